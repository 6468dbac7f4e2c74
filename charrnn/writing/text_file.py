"""The file of a text that is edited: opened and saved as UTF-8, and the recovery file beside it.

A recovery file has the text as it was when it was last not saved. It is plain UTF-8, so that any program can open it.
"""

import contextlib
import hashlib
from pathlib import Path

from charrnn.errors import DataError, ResourceError, UsageError
from charrnn.files import NotAFileError, open_strange, remove, rewrite, write_file, write_new
from charrnn.settings.text import TextConfig

__all__ = ["Recovery", "TextFile", "decoded", "discard"]

_UNTITLED = "untitled"
_SUFFIX = "charrnn-recovery"


def decoded(data: bytes, name: str) -> str:
    """The text of some bytes.

    Raises:
        DataError: they are not UTF-8; the message calls them `name`.
    """
    try:
        return data.decode(TextConfig.encoding)
    except UnicodeDecodeError as error:
        place = f"byte 0x{data[error.start]:02x} at offset {error.start}, line {data.count(10, 0, error.start) + 1}"
        raise DataError(
            f"{name} is not UTF-8: {place} ({error.reason})\nmake a copy in UTF-8: iconv -f CP1252 -t UTF-8 OLD > NEW"
        ) from error


class TextFile:
    """A text's file, which may not be there yet; without a path the text has no name so far.

    If all its lines end in CRLF, the text has LF, and is saved with CRLF again.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._ends_in_crlf = False
        self._digest: bytes | None = None  # of the file as it was read or written last; None for none

    def open(self) -> str:
        """The text; an empty one if there is no file.

        Raises:
            UsageError: it is no file, or its folder is not there.
            DataError: it cannot be read, or is not UTF-8.
        """
        data = self._data()
        if data is None:
            if self.path is not None and not self.path.parent.is_dir():
                raise UsageError(f"cannot write {self.path}: there is no folder {str(self.path.parent)!r}; make it")
            return ""
        text = decoded(data, str(self.path))
        self._digest = hashlib.sha256(data).digest()
        self._ends_in_crlf = "\r\n" in text and not _has_other_ends(text)
        return text.replace("\r\n", "\n") if self._ends_in_crlf else text

    def has_changed(self) -> bool:
        """True if the file on the disk is not the one that was read or written last.

        Raises:
            UsageError, DataError: as `open`.
        """
        data = self._data()
        return data is not None and hashlib.sha256(data).digest() != self._digest

    def save(self, text: str) -> None:
        """Write the text into the file, whatever is there.

        Raises:
            ResourceError: it cannot be written.
        """
        if self.path is None:
            raise ValueError("the text has no name")
        data = (text.replace("\n", "\r\n") if self._ends_in_crlf else text).encode()
        rewrite(self.path, data)
        self._digest = hashlib.sha256(data).digest()

    def _data(self) -> bytes | None:
        if self.path is None:
            return None
        try:
            with open_strange(self.path) as (file, _):
                return file.read()
        except FileNotFoundError:
            return None
        except NotAFileError as error:
            raise UsageError(f"{str(self.path)!r} is no file; name a text file") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise DataError(f"cannot read {str(self.path)!r}: {reason}") from error


def _has_other_ends(text: str) -> bool:
    ends = text.count("\r\n")
    return text.count("\n") != ends or text.count("\r") != ends


class Recovery:
    """The recovery file of a session. Each session has its own, so that none overwrites that of another."""

    def __init__(self, path: Path | None) -> None:
        path = path or Path(_UNTITLED)
        self._first = path.with_name(f".{path.name}.{_SUFFIX}")
        self._own: Path | None = None

    @property
    def path(self) -> Path | None:
        """The file of this session; None while there is none."""
        return self._own

    def left(self) -> Path | None:
        """The newest file that an earlier session has left; None if there is none."""
        names = self._first.parent.glob(f"{_escaped(self._first.name)}*") if self._first.parent.is_dir() else ()
        found = [path for path in names if path != self._own and path.is_file()]
        return max(found, key=lambda path: path.stat().st_mtime, default=None)

    def keep(self, text: str) -> Path:
        """Write the text into the file of this session, durably; its path.

        Raises:
            ResourceError: it cannot be written.
        """
        if self._own is not None:
            write_file(self._own, text.encode())
            return self._own
        number = 1
        while True:
            path = self._first if number == 1 else self._first.with_name(f"{self._first.name}-{number}")
            try:
                write_new(path, [text.encode()])
            except UsageError:  # it is that of another session
                number += 1
                continue
            self._own = path
            return path

    def drop(self) -> None:
        """Remove the file of this session, as the text is saved or not wanted."""
        if self._own is not None:
            discard(self._own)
            self._own = None


def discard(path: Path) -> None:
    """Remove a recovery file, if it is still there.

    Raises:
        ResourceError: it cannot be removed.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            remove(path)
    except OSError as error:
        raise ResourceError(f"cannot remove {path}: {error.strerror}") from error


def _escaped(name: str) -> str:
    """A name for a glob that matches it alone."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
