"""Repeat a run from its record, in a temporary folder, and compare the weights and losses digit for digit."""

import json
import tempfile
import tomllib
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run
from charrnn.errors import CheckpointError, DataError, ResourceError, UsageError
from charrnn.events import Event
from charrnn.runtime import versions
from charrnn.settings.run import RunConfig
from charrnn.text.places import changed_at, places
from charrnn.training.clock import RecordedSteps
from charrnn.training.loop import train_prepared
from charrnn.training.setup import Setup, prepare

__all__ = ["LossDifference", "Verification", "verify"]

_Losses = dict[tuple[int, str], float | str]  # by step and kind; "nan" and the like are texts


class LossDifference(NamedTuple):
    """A loss that differs: the step, the kind (training, validation, skipped), both values; None where there is none.

    A training loss is the mean since the report before.
    """

    step: int
    kind: str
    recorded: float | str | None
    repeated: float | str | None


class Verification(NamedTuple):
    """The comparison of a run with its repeat.

    `weights` tells of each checkpoint that both have, by its step, whether all weights are the same. `versions` has
    what differs in software and machine, each as it was and as it is; `settings` names those that are not in the
    record as they are in the checkpoint, which must have been edited.
    """

    step: int
    losses: int
    first_difference: LossDifference | None
    weights: dict[int, bool]
    versions: dict[str, tuple[str | None, str | None]]
    settings: list[str]

    @property
    def is_same(self) -> bool:
        """True if weights were compared, and neither a loss nor a weight differs."""
        return self.first_difference is None and bool(self.weights) and all(self.weights.values())


def verify(run: Run) -> Generator[Event, None, Verification]:
    """Repeat a run up to its latest checkpoint; the events of the repeat, and in the end the comparison.

    Nothing is written in the run's folder.

    Raises:
        CheckpointError: the run has saved nothing, or its record is damaged.
        DataError: its text cannot be read again, or changed while it was trained.
        UsageError, ResourceError: it was trained in a way, or on a device, that cannot be repeated here.
        CharrnnError: as `train` does.
    """
    path = run.pointed("latest") or run.pointed("best")
    if path is None:
        raise CheckpointError(f"{run.path} is no run that has saved: neither `latest` nor `best` is there")
    original = from_file(path, training=True)
    last = original.counters.step
    losses = {key: loss for key, loss in _losses(run.path).items() if key[0] <= last}
    config = _record(run)
    setup = _prepared(run, config, original, _steps(losses, original))
    asked = count(1)
    with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:
        repeat = Run(Path(folder))
        yield from train_prepared(setup, repeat, lambda: next(asked) >= last)
        found = _losses(repeat.path)
        weights = dict(_compared(run, repeat, original))
    there, here = original.versions, versions(setup.device)
    changed = {
        key: (there.get(key), here.get(key)) for key in sorted({*there, *here}) if there.get(key) != here.get(key)
    }
    first = _first_difference(losses, found) if losses else None
    own, edited = original.config.flat(), config.flat()
    return Verification(last, len(losses), first, weights, changed, [key for key in own if own[key] != edited[key]])


def _losses(run: Path) -> _Losses:
    """The losses in a run's metrics."""
    try:
        lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith(b"\n")]  # a kill may have cut off the last
        return {(record["step"], record["split"]): record["loss"] for record in records}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"cannot read {run / 'metrics.jsonl'}: {error}") from error


def _steps(losses: _Losses, original: Checkpoint) -> RecordedSteps:
    """The steps at which the run reported and validated."""
    by_kind = {kind: {step for step, each in losses if each == kind} for kind in ("training", "validation")}
    if original.counters.loss is not None:  # the metrics may be gone
        by_kind["validation"].add(original.counters.step)
    return RecordedSteps(frozenset(by_kind["training"]), frozenset(by_kind["validation"]))


def _prepared(run: Run, config: RunConfig, original: Checkpoint, steps: RecordedSteps) -> Setup:
    """The training as it was, with the recorded threads and kind of device."""
    there = original.versions
    if changed := changed_at(run.path):
        at = f"the run went on with another text at step {changed[0]:,}"
        raise DataError(f"{at}, and its record has only the last one: it cannot be repeated")
    if "processes" in there:
        raise UsageError(f"the run was trained by {there['processes']} processes; only one repeats a run")
    if "gpu" in there and not torch.cuda.is_available():
        raise ResourceError(f"the run was trained on {there['gpu']}, and this machine has no GPU to repeat it on")
    changes: dict[str, Any] = {"threads": int(there["threads"])} if there.get("threads", "").isdecimal() else {}
    if config.training.device == "auto":
        changes["device"] = "cuda" if "gpu" in there else "cpu"
    if model := config.training.from_model:
        changes["from_model"] = next(_found(model, run.path), model)
    is_further = model is not None
    setup = prepare(config.override(changes), own=original.vocabulary, may_know_more=is_further, home=run.path)
    if setup.config.record.corpus_sha256 != config.record.corpus_sha256:
        raise DataError(f"{', '.join(config.text.corpus)} has changed since the run was trained on it; put it back")
    return replace(setup, steps=steps)


def _record(run: Run) -> RunConfig:
    path = run.path / "run.toml"
    try:
        return RunConfig.from_mapping(tomllib.loads(path.read_text("utf-8")), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise CheckpointError(f"cannot read the record of the run: {path}: {error}") from error


def _found(model: str, run: Path) -> Iterator[str]:
    """The paths at which a model is, whose name was counted from where the run was trained."""
    for place in places([model], run):
        if (path := place.folder / model).exists():
            yield str(path)


def _compared(run: Run, repeat: Run, original: Checkpoint) -> Iterator[tuple[int, bool]]:
    """The steps of checkpoints that both runs have, and whether all weights in them are the same."""
    repeated = {path.name: path for path in repeat.checkpoints()}
    for path in run.checkpoints():
        if path.name in repeated:
            one, other = from_file(path), from_file(repeated[path.name])
            step = int(path.stem.rpartition("-")[2])
            yield step, all(np.array_equal(one.model[name], other.model[name]) for name in original.model)


def _first_difference(recorded: _Losses, repeated: _Losses) -> LossDifference | None:
    for step, kind in sorted({*recorded, *repeated}):
        there, here = recorded.get((step, kind)), repeated.get((step, kind))
        if there != here:
            return LossDifference(step, kind, there, here)
    return None
