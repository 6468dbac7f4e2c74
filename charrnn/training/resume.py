"""Going on with a training as if nothing had happened: choice of the checkpoint, and the arrays in it for that."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn.checkpoint.format import Arrays, Checkpoint, from_file
from charrnn.checkpoint.store import Resumable
from charrnn.errors import CheckpointError, DataError, UsageError
from charrnn.messages import named
from charrnn.model import CharacterModel
from charrnn.recurrent.stack import StackState
from charrnn.runtime import choose_device
from charrnn.settings.run import RunConfig
from charrnn.settings.training import Record
from charrnn.training.optimizer import Optimizer
from charrnn.training.setup import Setup, prepare

__all__ = ["GENERATORS", "capture", "newest_that_passes", "prepare_again", "restore"]

_BUDGETS = ("time", "epochs", "steps")  # which replace each other; patience is a budget, too, but goes with any
_SHAPE = ("batch_size", "sequence_length")
GENERATORS: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.mps}  # by the devices that draw numbers of their own


def newest_that_passes(resumable: Resumable) -> tuple[Path, Checkpoint, list[str]]:
    """The checkpoint asked for, or the run's newest that can be read; and the errors of those passed over."""
    if resumable.checkpoint:
        return resumable.checkpoint, from_file(resumable.checkpoint, training=True), []
    passed_over: list[str] = []
    for path in resumable.run.newest_first():
        try:
            return path, from_file(path, training=True), passed_over
        except CheckpointError as error:
            passed_over.append(f"passed over a checkpoint: {error.message}")
    raise CheckpointError("\n".join([f"{resumable.run.path} has no checkpoint to go on from", *passed_over[:2]]))


def prepare_again(path: Path, checkpoint: Checkpoint, given: Mapping[str, Any], accept_new_corpus: bool) -> Setup:
    """Prepare the training of the checkpoint at `path` to go on.

    On another kind of device than before, a precision that was chosen for the old one is chosen anew.

    Args:
        given: settings that were asked for: a budget or a device replaces the recorded one; others must be as
            recorded.

    Raises:
        UsageError: a setting was given that differs from the recorded one.
        DataError: the corpus is no longer the one that the run was trained on, or one that it cannot go on with.
        CheckpointError: the checkpoint has no training, or another vocabulary than its text.
    """
    recorded = checkpoint.config
    if not checkpoint.training:
        raise CheckpointError(f"{path} has only what a sampler needs; there is no training to go on with")
    _check_settings(path.parent, given, recorded)
    changes = {name: value for name, value in given.items() if name in ("corpus", "patience", "device", *_SHAPE)}
    changes["ngrams"] = recorded.model.ngrams or 0
    device = choose_device(changes.get("device", recorded.training.device)).type
    if device != _device_of(checkpoint) and recorded.training.precision != "fp32":
        changes["precision"] = "auto"
    if recorded.training.optimizer == "auto":  # by a version that had a single optimiser
        changes["optimizer"] = "adamw"
    if budget := {name: value for name, value in given.items() if name in _BUDGETS}:
        changes |= dict.fromkeys(_BUDGETS) | budget
    # The model that the run began from is not read again; only its vocabulary is needed.
    blank = recorded.override(changes | {"from_model": None})
    setup = prepare(
        replace(blank, record=Record(corpus_sha256=recorded.record.corpus_sha256)),
        own=checkpoint.vocabulary,
        may_know_more=recorded.training.from_model is not None,
        home=None if "corpus" in given else path.parent,
    )
    if setup.config.record.corpus_sha256 != recorded.record.corpus_sha256:
        _check_new_corpus(path.parent, setup, checkpoint, accept_new_corpus)
    if setup.config.record.validation_sha256 != recorded.record.validation_sha256 and not accept_new_corpus:
        raise DataError(
            f"{recorded.text.validation_file} has changed since the run began, so its losses could not be compared\n"
            f"put the old text back, go on with the new one by {named('accept_new_corpus')}, or train a new run"
        )
    if _shape(setup.config) != _shape(recorded):
        raise _differing(path.parent, {name: given[name] for name in _SHAPE if name in given}, recorded)
    if not setup.own_vocabulary_fits:
        raise CheckpointError(f"cannot go on from {path}: its vocabulary is not that of its text")
    digests = {name: getattr(setup.config.record, name) for name in ("corpus_sha256", "validation_sha256")}
    record = replace(recorded.record, **digests)
    config = setup.config.override({"from_model": recorded.training.from_model})
    return replace(setup, config=replace(config, record=record))


def _device_of(checkpoint: Checkpoint) -> str:
    """The kind of device on which a checkpoint was made, by its random states: it has the device's and the CPU's."""
    return next((device for device in GENERATORS if f"rng.{device}" in checkpoint.training), "cpu")


def _check_settings(run: Path, given: Mapping[str, Any], recorded: RunConfig) -> None:
    """Raise UsageError if settings were asked for that differ from the run's, as far as can be told without its text.

    Text and shape are checked once the text has been read, as it may be too short for the shape.
    """
    judged_elsewhere = ("corpus", "patience", "device", *_BUDGETS, *_SHAPE)
    own = recorded.flat()
    as_recorded: dict[str, tuple[Any, ...]] = {name: (value, "auto") for name, value in own.items()}
    as_recorded["ngrams"] += (0,) if recorded.model.ngrams is None else ()
    if began := recorded.training.from_model:  # recorded as the checkpoint that was found in a folder
        as_recorded["from_model"] = (began, str(Path(began).parent))
    differing = {
        name: value for name, value in given.items() if name not in judged_elsewhere and value not in as_recorded[name]
    }
    if differing:
        raise _differing(run, differing, recorded)


def _differing(run: Path, given: Mapping[str, Any], recorded: RunConfig) -> UsageError:
    own = recorded.flat()
    listed = ", ".join(f"{named(name, own[name])}, not {value}" for name, value in list(given.items())[:3])
    return UsageError(
        f"the run {run} has {listed}\n"
        f"leave that out to go on with it, or begin another run under another {named('name')}"
    )


def _check_new_corpus(run: Path, setup: Setup, checkpoint: Checkpoint, accepted: bool) -> None:
    """Raise DataError unless a run can, and may, go on with its changed text; UsageError for another text."""
    new, old = setup.config, checkpoint.config
    name = ", ".join(new.text.corpus)
    if not accepted and new.text.corpus != old.text.corpus:
        raise UsageError(
            f"the run {run} has learned {', '.join(old.text.corpus)}, not {name}\n"
            f"name that text, begin another run under another {named('name')}, "
            f"or go on with this text by {named('accept_new_corpus')}"
        )
    if not accepted:
        raise DataError(
            f"the text {name} has changed since the run began: its sha256 was {old.record.corpus_sha256}, "
            f"is {new.record.corpus_sha256}\n"
            f"put the old text back, go on with the new one by {named('accept_new_corpus')}, or train a new run on it"
        )
    if not setup.own_vocabulary_fits or _shape(new) != _shape(old):
        raise DataError(
            f"the changed text {name} has other characters than the run has learned, or is too short for it; "
            "train a new run on it"
        )


def _shape(config: RunConfig) -> tuple[int | None, ...]:
    return tuple(getattr(config.training, name) for name in _SHAPE)


def capture(optimizer: Optimizer, state: StackState, device: str) -> Arrays:
    """Optimiser, random states and carried hidden state as arrays `optimizer.*`, `rng.*` and `state.*`.

    Random states are those of the CPU and of the kind of device that computes; no other device is looked at.
    """
    tensors: dict[str, Tensor] = {"rng.cpu": torch.get_rng_state()}
    if device in GENERATORS:
        tensors[f"rng.{device}"] = GENERATORS[device].get_rng_state()
    for name, moments in optimizer.moments.items():
        for key, value in moments.items():
            tensors[f"optimizer.{name}.{key}"] = value
    for index, layer in enumerate(state):
        for key, value in layer._asdict().items():
            tensors[f"state.{index}.{key}"] = value
    return {name: tensor.detach().to("cpu", copy=True).numpy() for name, tensor in tensors.items()}


def restore(arrays: Arrays, model: CharacterModel, optimizer: Optimizer) -> StackState:
    """Put captured optimiser and random states back, for a model with its parameters; the carried hidden state.

    Raises:
        CheckpointError: an array is missing, or does not fit the model; then nothing is changed.
    """
    device = next(model.parameters()).device
    _check(arrays, model, optimizer)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    try:
        torch.set_rng_state(tensors["rng.cpu"])
        if (own := f"rng.{device.type}") in tensors and device.type in GENERATORS:
            GENERATORS[device.type].set_rng_state(tensors[own])
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint's random state cannot be used: {error}") from error
    remembered = optimizer.moments
    for name, moments in remembered.items():
        remembered[name] = {key: tensors[f"optimizer.{name}.{key}"].to(device) for key in moments}
    optimizer.remember(remembered)
    return tuple(
        type(layer)(*(tensors[f"state.{index}.{key}"].to(device) for key in layer._fields))
        for index, layer in enumerate(model.initial_state(1))
    )


def _check(arrays: Arrays, model: CharacterModel, optimizer: Optimizer) -> None:
    """Raise CheckpointError unless the arrays are like those that `capture` makes for the model."""
    wanted: dict[str, tuple[int, ...]] = {"rng.cpu": tuple(torch.get_rng_state().shape)}
    for name, moments in optimizer.moments.items():
        wanted |= {f"optimizer.{name}.{key}": tuple(value.shape) for key, value in moments.items()}
    for index, layer in enumerate(model.initial_state(1)):
        streams = arrays.get("state.0." + layer._fields[0], np.empty(0)).shape[:1]  # as many in every layer
        wanted |= {f"state.{index}.{key}": (*streams, value.shape[1]) for key, value in layer._asdict().items()}
    found = {name: array.shape for name, array in arrays.items() if name.removeprefix("rng.") not in GENERATORS}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointError(
                "the checkpoint's training state does not fit its model: "
                f"{name} should be {wanted.get(name, 'absent')}, is {found.get(name, 'absent')}"
            )
    for name, array in arrays.items():
        if array.dtype != (np.uint8 if name.startswith("rng.") else np.float32):
            raise CheckpointError(f"the checkpoint's training state does not fit its model: {name} is {array.dtype}")
