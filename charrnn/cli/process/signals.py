"""How a signal asks a training to stop, for every command that trains."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["SIGNALS", "Stop", "stop_on_signals"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop:
    """Whether a signal has asked the training to stop, and which; and the run that is to be saved first, if any.

    A process that was started by a `parent`, to train with others, is to stop when that has ended, too.
    """

    received: int | None = None
    run: Path | None = None

    def __init__(self, parent: int | None = None) -> None:
        self.parent = parent

    def __call__(self) -> bool:
        if self.received is None and self.parent is not None and os.getppid() != self.parent:
            self.received = signal.SIGTERM
        return self.received is not None


@contextmanager
def stop_on_signals(parent: int | None = None) -> Iterator[Stop]:
    """The first SIGINT, SIGTERM or SIGHUP asks the training to save and stop; a second has its usual effect, at once.

    While there is no `run` to save, before its training, the first one is a KeyboardInterrupt. SIGHUP, which a terminal
    sends that is closed, stays ignored under `nohup`.
    """
    stop = Stop(parent)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before.get(getattr(signal, "SIGHUP", None)) is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def ask(number: int, _: FrameType | None) -> None:
        stop.received = number
        restore()
        if stop.run is None:
            raise KeyboardInterrupt

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
