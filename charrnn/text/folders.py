"""The files in a folder that are read: those of some kinds, at any depth, without hidden ones."""

import os
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from charrnn.settings.text import TextConfig

__all__ = ["files_in", "kinds"]

_TEXTS = ("*.txt", "*.md")
_TABLES = ("*.csv", "*.tsv", "*.jsonl", "*.ndjson")


def kinds(config: TextConfig) -> tuple[str, ...]:
    """The patterns of the files that are read in folders: those asked for, or texts, or tables to read a column of."""
    return config.include or (_TEXTS if config.column is None else _TABLES)


def files_in(folder: Path, config: TextConfig) -> tuple[list[Path], Counter[str]]:
    """The files that are read, sorted by path; and how many others there are, by their suffix, such as ".py".

    A pattern with a slash is for paths within the folder, another for names; each is for packed files (.gz), too. A
    folder that is excluded is left out with all that it holds, and so is a hidden one, and a hidden file.

    Raises:
        OSError: a folder that cannot be read.
    """
    included, left_out = [], Counter[str]()
    for parent, folders, names in os.walk(folder, onerror=_raise):
        within = Path(parent).relative_to(folder)
        folders[:] = [name for name in folders if not _is_hidden(name) and not _fits(within / name, config.exclude)]
        for name in names:
            path = Path(parent, name)
            if _is_hidden(name) or not path.is_file():
                continue
            if _fits(within / name, kinds(config)) and not _fits(within / name, config.exclude):
                included.append(path)
            else:
                left_out[path.suffix or "without a suffix"] += 1
    return sorted(included), left_out


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _fits(path: Path, patterns: Sequence[str] | None) -> bool:
    """True if one of the patterns fits a path within the folder."""
    whole = path.as_posix().removesuffix(".gz"), path.as_posix()
    return any(
        fnmatchcase(each if "/" in pattern else each.rpartition("/")[2], pattern)
        for pattern in patterns or ()
        for each in whole
    )
