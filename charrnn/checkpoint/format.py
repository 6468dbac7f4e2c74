"""One checkpoint, as bytes: a safetensors file whose metadata says everything that its arrays do not. No torch.

Arrays are `model.*` and, for going on with the training, `optimizer.*`, `rng.*` and `state.*`. The metadata holds
format and version, two JSON texts (`model`: configuration and vocabulary; `training`: counters and versions) and a
sha256 for either, over that text and the arrays that belong to it, so that a sampler checks only what it reads.
"""

import hashlib
import json
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from charrnn.config import RunConfig, from_table
from charrnn.errors import CheckpointError, UsageError
from charrnn.layout import model_shapes
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Arrays", "Checkpoint", "Counters", "from_file", "to_bytes"]

FORMAT = "charrnn"
VERSION = 1

Arrays = dict[str, NDArray[Any]]

_MODEL = "model."


@dataclass(frozen=True)
class Counters:
    """How far a run has come. Losses are validation losses in nats per character."""

    step: int = 0
    characters: int = 0
    seconds: float = 0.0
    loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    stale: int = 0  # validations since the best


@dataclass(frozen=True)
class Checkpoint:
    """A complete model, and what a training needs to go on from it (`training`, empty in a model for sampling only)."""

    config: RunConfig
    vocabulary: Vocabulary
    model: Arrays
    counters: Counters = field(default_factory=Counters)
    training: Arrays = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the content of a file."""
    model = {_MODEL + name: np.require(array, requirements="C") for name, array in checkpoint.model.items()}
    training = {name: np.require(array, requirements="C") for name, array in checkpoint.training.items()}
    vocabulary = asdict(checkpoint.vocabulary)
    model_text = _canonical({"configuration": checkpoint.config.to_mapping(), "vocabulary": vocabulary})
    counters = {key: value for key, value in asdict(checkpoint.counters).items() if value is not None}
    training_text = _canonical({"counters": counters, "versions": dict(checkpoint.versions)})
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": model_text,
        "model_sha256": _digest(model_text, model),
        "training": training_text,
        "training_sha256": _digest(training_text, training),
    }
    return save(model | training, metadata)


def from_file(path: Path, *, training: bool = False) -> Checkpoint:
    """Read a checkpoint: the model alone, or also what a `training` needs to go on. Nothing is ever loaded in part.

    Raises:
        CheckpointError: the file is missing, not one of ours, damaged, or of another format version.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path} is not a file")
        with safe_open(path, framework="numpy") as file:
            return _read(file, training)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint at {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a charrnn checkpoint: no safetensors file ({error})") from error
    except _Refused as error:
        raise CheckpointError(f"cannot use the checkpoint {path}: {error}") from error


class _Refused(Exception):  # noqa: N818
    """Why a well-formed safetensors file is not a checkpoint that can be used."""


def _read(file: Any, with_training: bool) -> Checkpoint:
    metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise _Refused("it was not written by charrnn")
    if (version := metadata.get("version")) != str(VERSION):
        raise _Refused(f"it has format version {version}, this charrnn reads version {VERSION}")
    about = _parse(metadata, "model")
    try:
        config = RunConfig.from_mapping(about["configuration"], "configuration")
        vocabulary = Vocabulary(**about["vocabulary"])
        shapes = model_shapes(config.model, vocabulary.size)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _Refused(f"its configuration does not hold together: {error}") from error

    names = sorted(file.keys())
    model_names = [name for name in names if name.startswith(_MODEL)]
    if {name.removeprefix(_MODEL) for name in model_names} != set(shapes):
        raise _Refused("its arrays are not those of its configuration")
    for name, shape in shapes.items():
        piece = file.get_slice(_MODEL + name)
        if tuple(piece.get_shape()) != shape or piece.get_dtype() != "F32":
            raise _Refused(f"{name} should be F32 {shape}, is {piece.get_dtype()} {tuple(piece.get_shape())}")
    model = _load(file, metadata, "model", model_names)
    if bad := [name for name, array in model.items() if not np.isfinite(array).all()]:
        raise _Refused(f"not all numbers in it are finite: {', '.join(bad)}")
    model = {name.removeprefix(_MODEL): array for name, array in model.items()}
    if not with_training:
        return Checkpoint(config, vocabulary, model)

    rest = _parse(metadata, "training")
    try:
        counters = from_table(Counters, rest["counters"], "counters")
        versions = {str(key): str(value) for key, value in rest["versions"].items()}
    except (UsageError, KeyError, AttributeError) as error:
        raise _Refused(f"its counters do not hold together: {error}") from error
    arrays = _load(file, metadata, "training", [name for name in names if not name.startswith(_MODEL)])
    return Checkpoint(config, vocabulary, model, counters, arrays, versions)


def _parse(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        parsed = json.loads(metadata.get(key, ""))
    except (ValueError, RecursionError) as error:
        raise _Refused(f"its {key} metadata is no JSON") from error
    if not isinstance(parsed, dict):
        raise _Refused(f"its {key} metadata is no JSON object")
    return parsed


def _load(file: Any, metadata: Mapping[str, str], key: str, names: Iterable[str]) -> Arrays:
    arrays = {name: file.get_tensor(name) for name in names}
    if _digest(metadata[key], arrays) != metadata.get(f"{key}_sha256"):
        raise _Refused(f"its {key} part is damaged: the sha256 does not match")
    return arrays


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
