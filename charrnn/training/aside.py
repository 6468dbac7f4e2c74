"""Work beside a training, done by a CPU while another device computes."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from charrnn.events import Event

__all__ = ["Aside"]


class Aside:
    """Work that yields events, done in a thread or, if the same cores would have to do both, at once.

    Events of work in the thread come later, from `done` or `finish`, and so do its exceptions. The thread has ended
    when the context is left.
    """

    def __init__(self, *, beside: bool) -> None:
        self.is_beside = beside
        self._thread = ThreadPoolExecutor(1)  # starts none until there is work for it
        self._work: Future[list[Event]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thread.shutdown()

    def do(self, work: Iterator[Event]) -> Iterator[Event]:
        """Begin some work once the work before it is finished; the events that there are by now."""
        if not self.is_beside:
            yield from work
            return
        yield from self.finish()
        self._work = self._thread.submit(list, work)

    def done(self) -> Iterator[Event]:
        """The events of the work that was begun, if it is done."""
        if self._work is not None and self._work.done():
            yield from self.finish()

    def finish(self) -> Iterator[Event]:
        """Wait for the work that was begun; its events."""
        work, self._work = self._work, None
        if work is not None:
            yield from work.result()
