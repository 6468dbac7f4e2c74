"""The state after a prime, and files of such states, so that a long prime is read only once."""

import hashlib
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.container import safetensors_bytes
from charrnn.checkpoint.format import Arrays, Checkpoint, model_sha256
from charrnn.checkpoint.header import HeaderError, open_container, read_array, read_entries, read_header
from charrnn.errors import CheckpointError
from charrnn.files import write_new
from charrnn.messages import named
from charrnn.recurrent.states import State
from charrnn.sampling.generate import Engine
from charrnn.text.vocabulary import Ids

__all__ = ["Primed", "load_state", "save_state"]

_FORMAT, _VERSION = "charrnn-state", "1"
_MOST_RECENT = 2**20  # tokens, more than any repetition window has


class Primed(NamedTuple):
    """Logits (1, V) and state after a prime, and the last of its tokens (N,)."""

    logits: NDArray[np.float32]
    state: State
    recent: Ids

    def after(self, engine: Engine, ids: Ids) -> "Primed":
        """Logits, state and last tokens after more tokens (N,) have been read."""
        if not len(ids):
            return self
        logits, state = engine.read(ids[None], self.state)
        return Primed(logits, state, np.concatenate([self.recent, ids])[-_MOST_RECENT:])


def save_state(path: Path, primed: Primed, engine: Engine, checkpoint: Checkpoint, *, replaces: bool = False) -> None:
    """Write a new safetensors file for the model of `checkpoint` alone; it has at most 4 MB besides the state.

    Raises:
        UsageError: a file of that name exists, and `replaces` is false.
        ResourceError: the file cannot be written.
    """
    arrays = {**_named(engine.as_arrays(primed.state)), "logits": primed.logits}
    arrays["recent"] = primed.recent.astype("<u4").view(np.uint8)
    metadata = {"format": _FORMAT, "version": _VERSION, "model_sha256": model_sha256(checkpoint)}
    write_new(path, [safetensors_bytes(arrays, {**metadata, "sha256": _digest(arrays)})], replaces=replaces)


def load_state(path: Path, engine: Engine, checkpoint: Checkpoint) -> Primed:
    """Read a file of `save_state`, from any origin, as strictly as a checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged, not one of ours, or that of another model.
    """
    try:
        with open_container(path, "state", advice=f"; {named('save_state', str(path))} writes it") as (file, size):
            return _read(file, size, engine, checkpoint)
    except HeaderError as error:
        raise CheckpointError(f"cannot use the state {path}: {error}") from error


def _read(file: BufferedReader, size: int, engine: Engine, checkpoint: Checkpoint) -> Primed:
    header = read_header(file, size)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != _FORMAT:
        raise HeaderError("it is no state that charrnn has saved")
    if metadata.get("version") != _VERSION:
        raise HeaderError(f"it has the version {metadata.get('version')!r:.40}; this charrnn reads {_VERSION}")
    if metadata.get("model_sha256") != model_sha256(checkpoint):
        raise HeaderError(
            f"it was saved with another model; name that by {named('model')}, or save a state of this one"
        )
    empty = engine.as_arrays(engine.initial_state(1))
    shapes = {name: ("F32", array.shape) for name, array in _named(empty).items()}
    shapes["logits"] = ("F32", (1, checkpoint.vocabulary.size))
    entries = read_entries(header, file.tell(), size)
    recent = entries.get("recent")
    found = {name: (entry.dtype, entry.shape) for name, entry in entries.items() if name != "recent"}
    if found != shapes or recent is None or recent.dtype != "U8" or len(recent.shape) != 1 or recent.shape[0] % 4:
        raise HeaderError("its arrays are not those of a state of the model")
    arrays = {name: read_array(file, entry) for name, entry in entries.items()}
    tokens = arrays.pop("recent").view("<u4")
    if _digest(arrays | {"recent": tokens.view(np.uint8)}) != metadata.get("sha256"):
        raise HeaderError("it is damaged: the sha256 does not match")
    if not all(np.isfinite(array).all() for array in arrays.values()) or tokens.max() >= checkpoint.vocabulary.size:
        raise HeaderError("it has numbers that no state has")
    layers = [
        type(layer)(*(arrays[f"layers.{index}.{part}"] for part in layer._fields)) for index, layer in enumerate(empty)
    ]
    try:
        state = engine.from_arrays(tuple(layers))
    except ValueError as error:
        raise HeaderError(f"it is no state of the model: {error}") from error
    return Primed(arrays["logits"], state, tokens.astype(np.int64))


def _named(state: State) -> Arrays:
    return {
        f"layers.{index}.{part}": array
        for index, layer in enumerate(state)
        for part, array in zip(layer._fields, layer, strict=True)
    }


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}\0".encode() + arrays[name].tobytes())
    return digest.hexdigest()
