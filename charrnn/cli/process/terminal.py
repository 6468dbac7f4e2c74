"""The two streams of a command: its product on stdout, as bytes; a word about it on stderr. Quick to import."""

import codecs
import contextlib
import re
import sys
import time
from typing import Literal

from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError

__all__ = ["TextWriter", "is_terminal", "note", "output_error", "safe"]

_FLUSH_SECONDS = 0.1

# What could drive a terminal: C0 but tab and newline, DEL, C1, and the bidirectional overrides and isolates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """The text with every character that could drive a terminal shown as an escape, such as \\x1b."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)


def is_terminal(stream: Literal["stdout", "stderr"]) -> bool:
    """Whether a standard stream is open and a terminal."""
    file = getattr(sys, stream)
    return file is not None and file.isatty()


def note(text: str, *, quiet: bool = False) -> None:
    """A line on stderr, from the program to the person, who may be gone: that is no reason to stop."""
    if not quiet and sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"charrnn: {safe(text)}\n")
            sys.stderr.flush()


def output_error(error: OSError) -> CharrnnError:
    """What a failure to write to stdout means."""
    if isinstance(error, BrokenPipeError):
        return ReaderGoneError()
    return ResourceError(f"cannot write to standard output: {error.strerror}")


class TextWriter:
    """Writes text to stdout as it is made: raw bytes into a pipe or file, controls shown escaped on a terminal.

    `escape` forces either. On a terminal every piece is seen at once; elsewhere what is written is at most a tenth of
    a second late.
    """

    def __init__(self, encoding: Literal["utf-8", "latin-1"], escape: bool | None = None) -> None:
        if sys.stdout is None:
            raise ResourceError("standard output is closed; there is nowhere to write the text")
        self._file = sys.stdout.buffer
        self._encoding = encoding
        self._on_terminal = sys.stdout.isatty()
        self._escape = self._on_terminal if escape is None else escape
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._flushed = time.monotonic()
        self._last = "\n"

    def write(self, text: str) -> None:
        """Write some text, in the units of the model: characters, or bytes as the code points 0 to 255."""
        data = text.encode(self._encoding, "surrogateescape")  # a name on the disk may be no UTF-8
        shown = text
        if self._escape:
            shown = safe(self._decoder.decode(data))
            data = shown.encode("utf-8", "replace")
        self._last = shown[-1:] or self._last
        self._put(data)

    def end(self, separator: Literal["\n", "\0"]) -> None:
        """Write what stands between texts, which is never escaped."""
        self._put(self._tail().encode("utf-8") + separator.encode())
        self._last = separator

    def close(self) -> None:
        """Write what is left; a terminal also gets a newline where the text did not end with one."""
        tail = self._tail()
        last = tail[-1:] or self._last
        newline = "\n" if self._on_terminal and last not in "\n\0" else ""
        self._put((tail + newline).encode("utf-8"), flush=True)

    def _tail(self) -> str:
        """How the first bytes of a character that was never completed are shown."""
        return safe(self._decoder.decode(b"", final=True))

    def _put(self, data: bytes, *, flush: bool = False) -> None:
        try:
            self._file.write(data)
            now = time.monotonic()
            if flush or self._on_terminal or now - self._flushed > _FLUSH_SECONDS:
                self._flushed = now
                self._file.flush()
        except OSError as error:
            raise output_error(error) from error
