"""Places where the text of a run is looked for again, and the copy of it that a run may keep.

A run's folder has `text.json`: the folder from which its training counted the names of its texts, and of a kept copy,
`text.txt`, the sources in it. Checkpoints have none of this, as they are passed on, and nobody else need
know how somebody's disk is arranged.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import charrnn
from charrnn.errors import DataError
from charrnn.files import NotAFileError, open_strange, write_file, write_new
from charrnn.settings.text import TextConfig
from charrnn.text.sources import Source, find_sources, part_of_file
from charrnn.text.spool import Spool

__all__ = ["Place", "TextCopy", "changed_at", "is_kept", "places", "record_change", "record_text"]

_RECORD, _KEPT = "text.json", "text.txt"
_LARGEST = 2**23  # bytes of a record
_PARTS = [int, str, str], [int, NoneType, str]


class Part(NamedTuple):
    """A source within a copy: its size in bytes; the folder it lay in, where that is a label; and its name."""

    size: int
    folder: str | None
    name: str


class Place(NamedTuple):
    """A folder from which the names of texts are counted; or one with a copy, given the parts that it consists of."""

    folder: Path = Path()
    parts: tuple[Part, ...] | None = None

    def sources(self, config: TextConfig, spool: Spool, *, learns: bool) -> tuple[list[Source], list[str]]:
        """The sources that `config` names, as they are here, and notices of them; `learns` as for `find_sources`.

        Raises:
            CharrnnError: as `find_sources` does.
        """
        if self.parts is None:
            return find_sources(config, spool, self.folder, learns=learns)
        starts = accumulate((part.size for part in self.parts), initial=0)
        kept = self.folder / _KEPT
        return [part_of_file(kept, start, *part) for start, part in zip(starts, self.parts, strict=False)], []

    def validation_sources(self, config: TextConfig, spool: Spool) -> tuple[list[Source], list[str]]:
        """The sources of the text for validation, of which no copy is kept, and notices of them.

        Raises:
            CharrnnError: as `find_sources` does.
        """
        folder = Path() if self.parts else self.folder
        return find_sources(replace(config, corpus=(config.validation_file or "",)), spool, folder, learns=False)


class TextCopy:
    """A copy of a text's sources, unpacked, from which the text is then read: what is kept is what is learned."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._sources: list[Source] = []

    def taken(self, sources: Sequence[Source]) -> list[Source]:
        """The sources, copied."""
        for source in sources:
            start = self._spool.size
            for chunk in source.chunks():
                self._spool.append(chunk)
            self._sources.append(replace(source, place=self._spool, start=start))
        return self._sources

    def write(self, run: Path) -> list[Part]:
        """Write the copy into a run's folder; its parts."""
        write_new(run / _KEPT, self._spool.chunks(), replaces=True)
        return [Part(source.size, source.folder, source.name) for source in self._sources]


def record_text(run: Path, copy: TextCopy | None) -> None:
    """Note in a new run's folder from where its texts are named, and keep the copy of them, if there is one.

    Raises:
        ResourceError: as `files.write_file`.
    """
    _write(run, {"folder": str(Path.cwd())} | ({"parts": copy.write(run)} if copy else {}))


def record_change(run: Path, step: int, *, is_named: bool) -> None:
    """Note that a run goes on from a step with another text, which may have been named now, from the current folder.

    Raises:
        DataError, ResourceError: the record cannot be read, or not be written.
    """
    here, record = {"folder": str(Path.cwd())}, _read(run) or {}
    changed = {"changed_at": [*record.get("changed_at", []), step]}
    _write(run, here | record | changed | (here if is_named else {}))


def changed_at(run: Path) -> list[int]:
    """The steps at which a run went on with another text.

    Raises:
        DataError: the record cannot be read.
    """
    return list((_read(run) or {}).get("changed_at", []))


def is_kept(run: Path | None) -> bool:
    """True if a run keeps a copy of its text.

    Raises:
        DataError: the run's record of its text cannot be read.
    """
    return run is not None and "parts" in (_read(run) or {})


def places(names: Sequence[str], run: Path | None) -> Iterator[Place]:
    """The places where texts of these names may be, the likeliest first: the copy that the run keeps; the current
    folder; the one where it was trained, by its record, then by where it lies; and the one with this package's texts.

    Raises:
        DataError: the run's record of its text cannot be read.
    """
    record = _read(run) if run else None
    if run and record and "parts" in record:
        yield Place(run, tuple(Part(*part) for part in record["parts"]))
        if "-" in names:
            return  # or standard input would be waited for
    folders = [Path()]
    if "-" not in names and not all(map(os.path.isabs, names)):
        folders += [Path(record["folder"])] if record else []
        folders += [run.absolute().parent.parent] if run else []
        package = Path(charrnn.__file__).parent
        folders.append(package if (package / "corpora").is_dir() else package.parent)
    different = {folder.absolute(): folder for folder in reversed(folders)}
    yield from map(Place, reversed(different.values()))


def _write(run: Path, record: dict[str, Any]) -> None:
    write_file(run / _RECORD, json.dumps(record).encode() + b"\n")


def _read(run: Path) -> dict[str, Any] | None:
    """The record in a run's folder, None if there is none."""
    try:
        with open_strange(run / _RECORD) as (file, _):
            record = json.loads(file.read(_LARGEST))
        if not _is_record(record):
            raise ValueError("it is no record of a text")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (NotAFileError, OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {run / _RECORD}: {error}; remove it, and name the text yourself") from error
    return dict(record)


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("folder"), str)
        and all(type(step) is int for step in _listed(record.get("changed_at", [])))
        and all(
            list(map(type, part)) in _PARTS and part[0] >= 0 for part in map(_listed, _listed(record.get("parts", [])))
        )
    )


def _listed(value: Any) -> list[Any]:
    """A list as it is; anything else as a list that no record has."""
    return value if isinstance(value, list) else [None]
