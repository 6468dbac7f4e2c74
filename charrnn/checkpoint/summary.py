"""Summaries of runs, for a list of them: of each, small files and the header of one checkpoint are read. No numpy."""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.checkpoint.header import open_container, read_metadata
from charrnn.checkpoint.store import RUNS, Run
from charrnn.errors import CheckpointError

__all__ = ["RunSummary", "summaries", "summary_of"]


class RunSummary(NamedTuple):
    """A run in a few facts; None is what is not known, such as steps and losses before anything was saved.

    `when` is the time of the last save, else of the beginning, in seconds since 1970. `best_loss` is the best
    validation loss in nats per character. `characters_per_second` are those learned in all, per second of the training.
    `trouble` says why a run cannot be read.
    """

    path: Path
    when: float
    cell: str | None = None
    layers: int | None = None
    hidden_size: int | None = None
    text: tuple[str, ...] = ()
    step: int | None = None
    best_loss: float | None = None
    best_step: int | None = None
    characters_per_second: float | None = None
    trouble: str | None = None


def summaries(root: Path = RUNS) -> list[RunSummary]:
    """The runs in a folder, the newest first; none if there is no such folder.

    Raises:
        CheckpointError: the folder cannot be read, or is none.
    """
    try:
        with os.scandir(root) as entries:
            folders = [Path(entry.path) for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"cannot read the folder {root}: {error.strerror}") from error
    found = [summary for folder in folders if (summary := summary_of(folder))]
    return sorted(found, key=lambda each: (-each.when, each.path.name))


def summary_of(folder: Path) -> RunSummary | None:
    """The summary of a run's folder; None for any other."""
    for name in ("latest", "best", "run.toml"):  # the demo has no `latest`, and a run that begins only `run.toml`
        try:
            found = (folder / name).stat()
        except OSError:
            continue
        if not stat.S_ISREG(found.st_mode):  # such as a pipe, at which opening waits
            continue
        when = found.st_mtime
        try:
            return _unsaved(folder, when) if name == "run.toml" else _saved(folder, name, when)
        except CheckpointError as error:
            return RunSummary(folder, when, trouble=error.message)
    return None


def _saved(folder: Path, pointer: str, when: float) -> RunSummary:
    run = Run(folder)
    checkpoint = run.pointed(pointer)
    while checkpoint is not None:
        try:
            return _of_checkpoint(folder, checkpoint, when)
        except CheckpointError:
            newer = run.pointed(pointer)  # a training that goes on may have removed the checkpoint meanwhile
            if newer == checkpoint:
                raise
            checkpoint = newer
    raise CheckpointError(f"{folder / pointer} has gone")


def _of_checkpoint(folder: Path, checkpoint: Path, when: float) -> RunSummary:
    try:
        with open_container(checkpoint, "checkpoint") as (file, size):
            metadata = read_metadata(file, size)
        about, progress = (json.loads(_at(metadata, key, str) or "{}") for key in ("model", "training"))
    except (ValueError, RecursionError) as error:  # HeaderError is a ValueError
        raise CheckpointError(f"cannot read the checkpoint {checkpoint}: {error}") from error
    counters = _at(progress, "counters", dict)
    seconds, characters = _at(counters, "seconds", float), _at(counters, "characters", int)
    return _of_tables(_at(about, "configuration", dict), folder, when)._replace(
        step=_at(counters, "step", int),
        best_loss=_at(counters, "best_loss", float),
        best_step=_at(counters, "best_step", int),
        characters_per_second=characters / seconds if characters and seconds else None,
    )


def _unsaved(folder: Path, when: float) -> RunSummary:
    try:
        return _of_tables(tomllib.loads((folder / "run.toml").read_text("utf-8")), folder, when)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {folder / 'run.toml'}: {error}") from error


def _of_tables(configuration: Any, folder: Path, when: float) -> RunSummary:
    model, text = _at(configuration, "model", dict), _at(configuration, "text", dict)
    return RunSummary(
        folder,
        when,
        cell=_at(model, "cell", str),
        layers=_at(model, "layers", int),
        hidden_size=_at(model, "hidden_size", int),
        text=tuple(each for each in _at(text, "corpus", list) or () if isinstance(each, str)),
    )


def _at(table: Any, key: str, kind: type) -> Any:
    """The value at a key if it is of the kind, and the table is one; else None."""
    value = table.get(key) if isinstance(table, dict) else None
    return value if type(value) is kind else None
