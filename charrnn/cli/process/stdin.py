"""Read the bytes of a prime from files and standard input. Quick to import."""

import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

from charrnn.cli.process.terminal import note
from charrnn.errors import DataError, UsageError
from charrnn.messages import named

__all__ = ["lines_of", "pieces_of", "stdin_is_piped", "wait_for_stdin"]

_PIECE = 2**20  # bytes
_PATIENCE = 1.0  # seconds after which a person is told that a prime is awaited


def stdin_is_piped() -> bool:
    """True if standard input is a pipe, a socket or a file: neither a terminal nor a device such as /dev/null."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # it is closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode)


def pieces_of(path: str) -> Iterator[bytes]:
    """The bytes of a file, or of standard input (`-`), some at a time.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with _opened(path) as file:
            while piece := file.read(_PIECE):
                yield piece
    except OSError as error:
        raise DataError(f"cannot read the prime {path}: {error.strerror}") from error


def lines_of(path: str, encoding: str | None = None) -> Iterator[tuple[str, str]]:
    """Pairs of a name and a line, without its end (LF or CRLF), for each line of a file or of standard input.

    Without an encoding it is in UTF-8, and bytes that are not become surrogates, as on a command line. A byte order
    mark at its start is no text.

    Raises:
        UsageError: there is no such encoding.
        DataError: the file is not in it, or as `pieces_of`.
    """
    data = b"".join(pieces_of(path))
    try:
        text = data.decode(encoding or "utf-8", "strict" if encoding else "surrogateescape")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not {encoding}: {error.reason} at offset {error.start}") from error
    except (LookupError, ValueError) as error:
        raise UsageError(f"{named('encoding')} must be one that Python knows, got {encoding!r:.40}") from error
    *lines, rest = text.removeprefix("\ufeff").split("\n")
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        yield f"line {number}", line.removesuffix("\r")


def wait_for_stdin(*, quiet: bool) -> None:
    """Say that a prime is awaited if standard input is a pipe that nobody writes to, as in some scripts."""
    if os.name == "posix" and not select.select([sys.stdin], [], [], _PATIENCE)[0]:
        note('waiting for a prime on standard input; --prime "" or < /dev/null is none', quiet=quiet)


def _opened(path: str) -> AbstractContextManager[IO[bytes]]:
    if path != "-":
        return Path(path).open("rb")
    if sys.stdin is None:
        raise DataError("cannot read the prime: standard input is closed")
    return nullcontext(sys.stdin.buffer)
