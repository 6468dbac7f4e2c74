"""The two streams of a command: its product on stdout, as bytes, and notes on stderr. Quick to import."""

import codecs
import contextlib
import sys
import time
from pathlib import Path
from typing import Literal

from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError
from charrnn.files import open_new
from charrnn.messages import for_command_line, safe

__all__ = ["TextWriter", "as_told", "is_terminal", "note", "output_error", "shows_all"]

_FLUSH_SECONDS = 0.1

_FLAGS = {"from_model": "--from", "as_json": "--json"}  # which do not follow from the setting's name


def is_terminal(stream: Literal["stdout", "stderr"]) -> bool:
    """True if a standard stream is open and a terminal."""
    file = getattr(sys, stream)
    return file is not None and file.isatty()


def shows_all(stream: Literal["stdout", "stderr"]) -> bool:
    """True if what is written to a standard stream is UTF-8, and a terminal of this locale shows that."""
    from locale import getencoding  # which Python's UTF-8 mode, its choice for the locale C, leaves as it is

    written = getattr(getattr(sys, stream), "encoding", None) or ""
    return all("utf" in each.lower() for each in (written, getencoding()))


def as_told(message: str) -> str:
    """The message with flags for the settings that it names, made safe for a terminal."""
    return safe(for_command_line(message, _FLAGS))


def note(message: str, *, quiet: bool = False) -> None:
    """Write a message for the person on stderr; an error in that is ignored, as nobody may be there any more."""
    if not quiet and sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"charrnn: {as_told(message)}\n")
            sys.stderr.flush()


def output_error(error: OSError, name: str = "standard output") -> CharrnnError:
    """The error to raise when writing to stdout, or to another file, has failed."""
    if isinstance(error, BrokenPipeError):
        return ReaderGoneError()
    return ResourceError(f"cannot write to {name}: {error.strerror}")


class TextWriter:
    """Writes text to stdout, or into a new file, as it is made.

    Raw bytes go into a pipe or file; a terminal gets control characters escaped; `escape` forces either. On a terminal
    every piece is seen at once; elsewhere it is at most a tenth of a second late.

    Args:
        path: a new file to write into; `-` and None are stdout. It may be there already only if this `replaces` it.

    Raises:
        UsageError: there is something at `path`.
        ResourceError: there is nowhere to write.
    """

    def __init__(
        self,
        encoding: Literal["utf-8", "latin-1"],
        escape: bool | None = None,
        path: str | None = None,
        *,
        replaces: bool = False,
    ) -> None:
        is_file = self._is_own = path not in (None, "-")
        if sys.stdout is None and not is_file:
            raise ResourceError("standard output is closed; there is nowhere to write the text")
        self._name = str(path) if is_file else "standard output"
        self._file = open_new(Path(str(path)), replaces=replaces) if is_file else sys.stdout.buffer
        self._encoding = encoding
        self._on_terminal = not is_file and sys.stdout.isatty()
        self._escape = self._on_terminal if escape is None else escape
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._flushed = time.monotonic()
        self._last = "\n"
        self._held = ""  # a CR, until it is seen whether an LF follows

    def write(self, text: str) -> None:
        """Write some text, in the units of the model: characters, or bytes as the code points 0 to 255."""
        data = text.encode(self._encoding, "surrogateescape")  # a name on the disk may be no UTF-8
        shown = text
        if self._escape:
            shown = self._shown(self._decoder.decode(data))
            data = shown.encode("utf-8", "replace")
        self._last = shown[-1:] or self._last
        self._put(data)

    def end(self, separator: Literal["\n", "\0"]) -> None:
        """Write a separator between texts, which is never escaped."""
        self._put(self._tail().encode("utf-8") + separator.encode())
        self._last = separator

    def close(self) -> None:
        """Write the rest; a terminal also gets a newline if the text did not end with one."""
        tail = self._tail()
        last = tail[-1:] or self._last
        newline = "\n" if self._on_terminal and last not in "\n\0" else ""
        self._put((tail + newline).encode("utf-8"), flush=True)
        if self._is_own:
            self._file.close()

    def _tail(self) -> str:
        """The text shown for the first bytes of a character that was never completed, and for a CR before nothing."""
        held, self._held = self._held, ""
        return safe(held + self._decoder.decode(b"", final=True))

    def _shown(self, text: str) -> str:
        """The text with what drives a terminal escaped; CRLF is a line end there like LF."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        return safe(text.removesuffix("\r").replace("\r\n", "\n"))

    def _put(self, data: bytes, *, flush: bool = False) -> None:
        try:
            self._file.write(data)
            now = time.monotonic()
            if flush or self._on_terminal or now - self._flushed > _FLUSH_SECONDS:
                self._flushed = now
                self._file.flush()
        except OSError as error:
            raise output_error(error, self._name) from error
