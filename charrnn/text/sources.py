"""Sources of bytes by name: files, folders, globs, gzip and standard input, read in chunks any number of times.

This module knows no encoding. A source that can be read only once, or is packed, is copied to a spool; other files
stay where they are.
"""

import glob
import gzip
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from charrnn.errors import DataError, UsageError
from charrnn.files import NotAFileError, open_strange
from charrnn.settings.text import TextConfig
from charrnn.text.spool import CHUNK, Spool
from charrnn.text.vocabulary import code_points

__all__ = ["Source", "find_sources", "one_source", "part_of_file", "text_source"]

_HEAD = 16  # bytes that identify a compression or a byte order mark
_FOLDER_SUFFIXES = (".txt", ".md", ".txt.gz", ".md.gz")
_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {
    rb"\x28\xb5\x2f\xfd": "zstd -dc",
    rb"\xfd7zXZ\x00": "xz -dc",
    rb"BZh[1-9]1AY&SY": "bzip2 -dc",
    rb"PK\x03\x04": "unzip -p",
}


@dataclass(frozen=True)
class Source:
    """`size` bytes under a name, from `start` of a file or a spool on; `head` are the first of them.

    `folder` is the name of the folder that a file lies in, where that is to be a label.
    """

    name: str
    head: bytes
    size: int
    place: Path | Spool
    start: int = 0
    folder: str | None = None

    def chunks(self) -> Iterator[bytes]:
        """All the bytes, in chunks. Bytes added to a file since it was found are left out.

        Raises:
            DataError: the file cannot be read, or has become shorter.
        """
        if isinstance(self.place, Spool):
            for start in range(0, self.size, CHUNK):
                yield self.place.read(self.start + start, min(CHUNK, self.size - start))
            return
        left = self.size
        try:
            with self.place.open("rb") as file:
                file.seek(self.start)
                while left and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
        except OSError as error:
            raise _unreadable(self.name, error) from error
        if left:
            raise DataError(
                f"{self.name} became shorter while it was being read; start again when nothing writes to it"
            )


def find_sources(config: TextConfig, spool: Spool, folder: Path = Path()) -> Iterator[Source]:
    """The sources that `config` names, in their order; names are counted from `folder`, else from the current one.

    A folder means its .txt and .md files (and their .gz), at any depth, sorted by path; a glob its matches, sorted; `-`
    standard input.

    Raises:
        DataError: a source that is missing, unreadable, or packed in a way that is not read.
        UsageError: no source, or standard input twice.
        ResourceError: no room to spool a source that has to be.
    """
    if not config.corpus or "" in config.corpus:  # Path("") would be the current folder
        raise UsageError("no text given: name files, folders or globs, or - for standard input")
    if config.corpus.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    may_sniff, has_labels = config.unit == "character", bool(config.labels)
    return _found(config.corpus, folder, spool, may_sniff=may_sniff, has_labels=has_labels)


def text_source(text: str, spool: Spool) -> Source:
    """A text in memory, in UTF-8.

    Raises:
        DataError: it has a lone surrogate, which is no character.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"character {error.start} of the text is a lone surrogate, which is not text") from error
    start = spool.size
    spool.append(data)
    return Source("the text", data[:_HEAD], len(data), spool, start)


def one_source(name: str, spool: Spool) -> Source:
    """The bytes of one file, or of standard input (`-`), as they are, not unpacked.

    Raises:
        DataError: it is missing or unreadable.
        ResourceError: no room to spool it, if it has to be.
    """
    try:
        if name == "-":
            return _spooled("standard input", _standard_input(), spool)
        if Path(name).is_dir():
            raise DataError(f"{name!r} is a folder; name a file")
        return _file(Path(name), spool)
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error


def part_of_file(path: Path, start: int, size: int, folder: str | None) -> Source:
    """`size` bytes of a file from `start` on, as they are, not unpacked; `folder` is the label, if there is one.

    Raises:
        DataError: it is missing or unreadable.
    """
    try:
        with open_strange(path) as (file, _):
            file.seek(start)
            return Source(str(path), file.read(min(_HEAD, size)), size, path, start, folder)
    except NotAFileError as error:
        raise DataError(f"{str(path)!r} is not a file") from error
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer


def _found(names: Sequence[str], folder: Path, spool: Spool, *, may_sniff: bool, has_labels: bool) -> Iterator[Source]:
    for name in names:
        _check_name(name)
        try:
            if name == "-":
                yield _unpacked(_spooled("standard input", _standard_input(), spool), spool, may_sniff)
            else:
                is_label = has_labels and (folder / name).is_dir()
                for path in _paths(name, folder):
                    source = _unpacked(_file(path, spool), spool, may_sniff)
                    yield replace(source, folder=_folder(path)) if is_label else source
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from error


def _paths(name: str, folder: Path) -> list[Path]:
    path = folder / name
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.name.endswith(_FOLDER_SUFFIXES) and p.is_file())
        if not files:
            raise DataError(
                f"the folder {name!r} has no {', '.join(_FOLDER_SUFFIXES)} file; "
                f"name other files by a glob, such as '{path / '**' / '*.py'}'"
            )
        return files
    if not path.exists() and glob.has_magic(name):
        pattern = str(Path(glob.escape(str(folder)), name))
        matches = sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if not p.is_dir())
        if not matches:
            raise DataError(f"no file matches {name!r}")
        return matches
    return [path]


def _folder(path: Path) -> str:
    return Path(os.path.abspath(path)).parent.name  # noqa: PTH100 (a link is not followed: its name is the label)


def _check_name(name: str) -> None:
    """DataError for a name with surrogates (PEP 383): the run records names as UTF-8."""
    try:
        code_points(name)
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name {name!a} is not {sys.getfilesystemencoding()}, so the run could not record it; "
            "rename it, or use standard input (-)"
        ) from error


def _unreadable(name: str, error: OSError | ValueError) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"cannot read the text {name!r}: {reason}")


def _file(path: Path, spool: Spool) -> Source:
    try:
        with open_strange(path, may_be_pipe=True) as (file, size):
            if size:
                return Source(str(path), file.read(_HEAD), size, path)
            return _spooled(str(path), file, spool)  # a pipe, or a file without a size, such as one in /proc
    except NotAFileError as error:
        raise DataError(f"{str(path)!r} is neither a file nor a folder") from error


def _spooled(name: str, file: IO[bytes] | gzip.GzipFile, spool: Spool) -> Source:
    start = spool.size
    while chunk := file.read(CHUNK):
        spool.append(chunk)
    size = spool.size - start
    return Source(name, spool.read(start, min(_HEAD, size)), size, spool, start)


def _unpacked(source: Source, spool: Spool, may_sniff: bool) -> Source:
    """Undo gzip, known by the name or, unless the text is in bytes, which may begin with any, by the first bytes."""
    if source.name.endswith(".gz") or (may_sniff and source.head.startswith(_GZIP)):
        try:
            with gzip.GzipFile(fileobj=io.BufferedReader(_Stream(source))) as file:
                return _spooled(source.name, file, spool)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{source.name}: damaged gzip data: {error}") from error
    for magic, tool in _OTHER_COMPRESSIONS.items():
        if may_sniff and re.match(magic, source.head):
            raise DataError(
                f"{source.name} is compressed in a way that is not read here; unpack it: {tool} FILE > TEXT"
            )
    return source


class _Stream(io.RawIOBase):
    """The bytes of a source as a file that is read from start to end."""

    def __init__(self, source: Source) -> None:
        self._chunks = source.chunks()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """True: the stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into `buffer`, at most what it holds; their number, 0 at the end."""
        self._rest = self._rest or memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
