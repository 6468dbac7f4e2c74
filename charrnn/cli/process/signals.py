"""Signals that ask a training to stop, for every command that trains."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["SIGNALS", "Stop", "stop_on_signals"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stop:
    """The signal that has asked the training to stop, if any; and the run to save first, if any.

    A process that a `parent` has started, to train with others, also stops when the parent has ended.
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
    """Let the first SIGINT, SIGTERM or SIGHUP ask the training to save and stop; a second has its usual effect.

    While there is no `run` to save, before the training, the first one is a KeyboardInterrupt. SIGHUP, which a closing
    terminal sends, stays ignored under `nohup`.
    """
    stop = Stop(parent)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before.get(getattr(signal, "SIGHUP", None)) is signal.SIG_IGN:
        del before[signal.SIGHUP]

    def ask(number: int, _: FrameType | None) -> None:
        """Note the signal and restore the old handlers; KeyboardInterrupt if there is no run to save."""
        stop.received = number
        restore()
        if stop.run is None:
            raise KeyboardInterrupt

    def restore() -> None:
        """Put the old signal handlers back."""
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()
