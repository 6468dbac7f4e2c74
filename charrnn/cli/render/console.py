"""Consoles of rich, which draw with ASCII where a terminal may not show more."""

import sys
from typing import Literal

from rich.console import Console

from charrnn.cli.process.terminal import shows_all
from charrnn.messages import safe

__all__ = ["as_shown", "open_console", "own_words"]

Stream = Literal["stdout", "stderr"]

_ASCII = str.maketrans({"…": "...", "×": "x"})


class _AsciiConsole(Console):
    """A console whose frames and bars are drawn with ASCII."""

    @property
    def encoding(self) -> str:
        """The encoding by which rich chooses them."""
        return "ascii"


def open_console(stream: Stream) -> Console:
    """A console on a standard stream."""
    kind = Console if shows_all(stream) else _AsciiConsole
    return kind(stderr=stream == "stderr", highlight=False)


def as_shown(text: str, stream: Stream) -> str:
    """The text as a stream can show it, so that it is measured as it is seen: the rest is escaped."""
    encoding = getattr(getattr(sys, stream), "encoding", None) or "utf-8"
    return safe(text).encode(encoding, "backslashreplace").decode(encoding)


def own_words(text: str, stream: Stream) -> str:
    """A line of the program's own words as a stream can show it, with ASCII for its signs where need be."""
    return as_shown(text if shows_all(stream) else text.translate(_ASCII), stream)
