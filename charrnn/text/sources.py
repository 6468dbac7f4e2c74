"""Sources of bytes by name: files, folders, globs, gzip and standard input, read in chunks any number of times.

This module knows no encoding. A source that can be read only once, or is packed, is copied to a spool; other files
stay where they are.
"""

import glob
import gzip
import io
import os
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from charrnn.errors import DataError, UsageError
from charrnn.files import NotAFileError, open_strange
from charrnn.messages import counted, named
from charrnn.settings.text import TextConfig
from charrnn.text.folders import files_in, kinds
from charrnn.text.spool import CHUNK, Spool
from charrnn.text.vocabulary import code_points

__all__ = ["Source", "find_sources", "one_source", "part_of_file", "text_source"]

_HEAD = 64  # bytes that identify a compression, a byte order mark or another kind of file
_SHOWN = 3  # kinds of files in a message
_GZIP = b"\x1f\x8b"


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


def find_sources(
    config: TextConfig, spool: Spool, folder: Path = Path(), *, learns: bool
) -> tuple[list[Source], list[str]]:
    """The sources that `config` names, in their order, and notices of the files in folders and of globs.

    Names are counted from `folder`, else from the current one.

    A folder means its files of the kinds that `config` includes, at any depth, sorted by path, but not hidden ones; a
    glob its matches, sorted; `-` standard input.

    Args:
        learns: the text is to be learned, by a command that has all settings of a text.

    Raises:
        DataError: a source that is missing or unreadable, or a damaged gzip file.
        UsageError: no source, or standard input twice; kinds of files where there is no folder.
        ResourceError: no room to spool a source that has to be.
    """
    if not config.corpus or "" in config.corpus:  # Path("") would be the current folder
        raise UsageError("no text given: name files, folders or globs, or - for standard input")
    if config.corpus.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    patterns = [named(name) for name in ("include", "exclude") if getattr(config, name)]
    if learns and patterns and not any(_is_folder(folder, name) for name in config.corpus):
        raise UsageError(f"{' and '.join(patterns)} choose among the files of a folder, and no folder is given")
    sources: list[Source] = []
    notices: list[str] = []
    for name in config.corpus:
        _check_name(name)
        try:
            own, left_out = _named(name, config, spool, folder, learns)
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from error
        sources += own
        if _is_folder(folder, name) or len(own) > 1:
            notices.append(_about_files(name, own, left_out))
    return sources, notices


def _is_folder(folder: Path, name: str) -> bool:
    try:
        return name != "-" and (folder / name).is_dir()
    except (OSError, ValueError):  # a name that no file can have, which is told where it is opened
        return False


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


def part_of_file(path: Path, start: int, size: int, folder: str | None, name: str) -> Source:
    """`size` bytes of a file from `start` on, as they are, not unpacked; `folder` is the label, if there is one.

    `name` is that of the source whose bytes they are.

    Raises:
        DataError: it is missing or unreadable.
    """
    try:
        with open_strange(path) as (file, _):
            file.seek(start)
            return Source(name, file.read(min(_HEAD, size)), size, path, start, folder)
    except NotAFileError as error:
        raise DataError(f"{str(path)!r} is not a file") from error
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer


def _named(
    name: str, config: TextConfig, spool: Spool, folder: Path, learns: bool
) -> tuple[list[Source], Counter[str]]:
    """The sources of one name, and the kinds of the files in a folder that are left out."""
    may_sniff = config.unit == "character"
    if name == "-":
        return [_unpacked(_spooled("standard input", _standard_input(), spool), spool, may_sniff)], Counter()
    path = folder / name
    if path.is_dir():
        paths, left_out = files_in(path, config)
        if not paths:
            raise DataError(_nothing_in(path, left_out, config, learns))
    else:
        paths, left_out = _matches(name, folder), Counter[str]()
    sources = [_unpacked(_file(each, spool), spool, may_sniff) for each in paths]
    if config.labels and path.is_dir():
        sources = [replace(each, folder=_folder(file)) for each, file in zip(sources, paths, strict=True)]
    return sources, left_out


def _matches(name: str, folder: Path) -> list[Path]:
    """The file of a name, or the files that match a glob."""
    path = folder / name
    if path.exists() or not glob.has_magic(name):
        return [path]
    pattern = str(Path(glob.escape(str(folder)), name))
    matches = sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if not p.is_dir())
    if not matches:
        raise DataError(f"no file matches {name!r}")
    return matches


def _about_files(name: str, sources: list[Source], left_out: Counter[str]) -> str:
    """A notice of the number and size of the files that were read, and of the kinds of those that were not."""
    size = sum(source.size for source in sources)
    told = f"{counted(len(sources), 'file')} of {name}, "
    told += f"{size / 1e6:,.1f} MB" if size >= 1e6 else counted(size, "byte")
    return f"read {told}; left out {_kinds(left_out)}" if left_out else f"read {told}"


def _nothing_in(path: Path, left_out: Counter[str], config: TextConfig, learns: bool) -> str:
    """The message that a folder has no files of the kinds that are read."""
    nothing = f"the folder {str(path)!r} has no {' or '.join(kinds(config))}"
    if not left_out:
        return f"{nothing}, nor any other file that is not hidden"
    commonest = next((kind for kind, _ in left_out.most_common() if kind.startswith(".")), ".*")
    if learns:
        how = f"{named('include')} '*{commonest}' reads such"
    else:
        how = f"name files by a glob, such as '{path / '**' / f'*{commonest}'}'"
    return f"{nothing}; it has {_kinds(left_out)}: {how}"


def _kinds(counts: Counter[str]) -> str:
    told = [f"{count:,} {kind}" for kind, count in counts.most_common()]
    more = f" and {len(told) - _SHOWN:,} other kinds" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more


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
