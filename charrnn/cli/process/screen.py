"""The whole terminal for a program that draws on it, even where standard streams are pipes. Quick to import."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from charrnn.errors import UsageError

__all__ = ["check_terminal", "is_gone", "whole_terminal"]

_TERMINAL = "/dev/tty"
_PLAIN = ("", "dumb", "unknown")


def check_terminal() -> None:
    """Raise UsageError unless there is a terminal that a program can draw on."""
    if (term := os.environ.get("TERM", "")) in _PLAIN:
        raise UsageError(
            f"the editor moves the cursor over a whole screen, and TERM={term} says that this terminal cannot; "
            "run it in another, or set TERM to what the terminal is, such as xterm-256color"
        )
    if not all(map(os.isatty, range(3))):
        os.close(_open_terminal())


@contextmanager
def whole_terminal() -> Iterator[None]:
    """Put the terminal in the place of those standard streams that are none, and afterwards put them back.

    UsageError if there is no terminal.
    """
    if sys.__stdin__ is None or sys.__stdout__ is None or sys.__stderr__ is None:
        raise UsageError("a standard stream is closed; the editor needs all three")
    sys.__stdout__.flush()
    sys.__stderr__.flush()
    others = [number for number in range(3) if not os.isatty(number)]
    kept = {number: os.dup(number) for number in others}
    if others:
        terminal = _open_terminal()
        for number in others:
            os.dup2(terminal, number)
        os.close(terminal)
    try:
        yield
    finally:
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)


def is_gone() -> bool:
    """True if the terminal on standard input has been closed."""
    if os.name != "posix":
        return False
    try:
        os.get_terminal_size(0)
    except OSError:
        return True
    return False


def _open_terminal() -> int:
    try:
        return os.open(_TERMINAL, os.O_RDWR)
    except OSError as error:
        raise UsageError(
            "the editor draws on a terminal, and there is none here; charrnn sample writes without one"
        ) from error
