"""A checkpoint as bytes: a safetensors file whose metadata holds everything that is not an array. No torch.

Arrays are `model.*` and, for going on with the training, `optimizer.*`, `rng.*` and `state.*`. The metadata holds
format and version, two JSON texts (`model`: configuration and vocabulary; `training`: counters and versions) and a
sha256 for each, over that text and the arrays that belong to it, so that a sampler checks only the part that it reads.
The model's digest uses the names of version 1 in every version: a model has the same digest in any file.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from charrnn.checkpoint.header import (
    HeaderError,
    open_container,
    read_array,
    read_entries,
    read_header,
    strict_json,
)
from charrnn.checkpoint.versions import OLDEST, VERSION, from_version_1, to_version_1
from charrnn.errors import CheckpointError, UsageError
from charrnn.layout import model_shapes
from charrnn.settings.fields import check_range
from charrnn.settings.run import RunConfig
from charrnn.settings.tables import from_table
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Arrays", "Checkpoint", "Counters", "from_file", "model_sha256", "to_bytes"]

FORMAT = "charrnn"

Arrays = dict[str, NDArray[Any]]

_MODEL = "model."
_TRAINING = ("optimizer.", "rng.", "state.")
_KEYS = {"format", "version", "model", "model_sha256", "training", "training_sha256"}


@dataclass(frozen=True)
class Counters:
    """Counters of a run. Losses are validation losses in nats per character."""

    step: int = 0
    characters: int = 0
    seconds: float = 0.0
    loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    stale: int = 0  # validations since the best
    skipped: int = 0  # steps whose loss or gradient was not finite
    skipped_in_a_row: int = 0  # the last of these, when nothing was learned since


@dataclass(frozen=True)
class Checkpoint:
    """A complete model, and the arrays for going on with its training (`training`, empty in one only for sampling).

    `folder` is the one that has its file, if it was read from one; its text is looked for from there, too.
    """

    config: RunConfig
    vocabulary: Vocabulary
    model: Arrays
    counters: Counters = field(default_factory=Counters)
    training: Arrays = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the content of a file."""
    model = {_MODEL + name: np.require(array, requirements="C") for name, array in checkpoint.model.items()}
    model_text = _model_text(checkpoint)
    training = {name: np.require(array, requirements="C") for name, array in checkpoint.training.items()}
    # Counters as in a new run are left out: a charrnn that does not know a counter reads runs that do not use it.
    new, own = asdict(Counters()), asdict(checkpoint.counters)
    counters = {key: value for key, value in own.items() if value != new[key]}
    training_text = _canonical({"counters": counters, "versions": dict(checkpoint.versions)})
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "model": model_text,
        "model_sha256": _model_digest(model_text, checkpoint.model, checkpoint.config),
        "training": training_text,
        "training_sha256": _digest(training_text, training),
    }
    return save(model | training, metadata)


def model_sha256(checkpoint: Checkpoint) -> str:
    """The digest of all that a sampler reads of the checkpoint, as in its file; it identifies a model."""
    return _model_digest(_model_text(checkpoint), checkpoint.model, checkpoint.config)


def _model_text(checkpoint: Checkpoint) -> str:
    """The metadata about the model: configuration and vocabulary."""
    # Empty labels are left out: a charrnn that knows no labels reads models without them.
    vocabulary = {key: value for key, value in asdict(checkpoint.vocabulary).items() if value != ()}
    about = {"configuration": checkpoint.config.to_mapping(), "vocabulary": vocabulary}
    return _canonical(about)


def _model_digest(text: str, model: Arrays, config: RunConfig) -> str:
    """The digest of all that a sampler reads, given the arrays by today's names."""
    return _digest(text, {_MODEL + to_version_1(name, config.model.cell): array for name, array in model.items()})


def from_file(path: Path, *, training: bool = False) -> Checkpoint:
    """Read a checkpoint from anyone: the model alone or, with `training`, all for going on with its training.

    It is loaded whole or not at all, no code in the file is run, and memory is a small multiple of the file's size.

    Raises:
        CheckpointError: the file is missing, not one of ours, damaged, or of another format version.
    """
    try:
        with open_container(path, "checkpoint") as (file, size):
            return replace(_read(file, size, training), folder=path.parent)
    except HeaderError as error:
        raise CheckpointError(f"{path} is not a charrnn checkpoint: no safetensors file ({error})") from error
    except _Refused as error:
        raise CheckpointError(f"cannot use the checkpoint {path}: {error}") from error


class _Refused(Exception):  # noqa: N818
    """The reason why a well-formed safetensors file is not a usable checkpoint."""


def _read(file: BufferedReader, size: int, with_training: bool) -> Checkpoint:
    header = read_header(file, size)
    metadata = _metadata(header.pop("__metadata__", None))
    entries = read_entries(header, file.tell(), size)
    if strange := [name for name in entries if not name.startswith((_MODEL, *_TRAINING))]:
        raise _Refused(f"a checkpoint has no array {strange[0]}")
    config, vocabulary, shapes = _model(metadata["model"])
    is_old, cell = metadata["version"] == "1", config.model.cell

    names = {name: _MODEL + (to_version_1(name, cell) if is_old else name) for name in shapes}
    if {name for name in entries if name.startswith(_MODEL)} != set(names.values()):
        raise _Refused("its arrays are not those of its configuration")
    model = {name: entries[in_file] for name, in_file in names.items()}
    for name, shape in shapes.items():
        if (model[name].dtype, model[name].shape) != ("F32", shape):
            raise _Refused(f"{name} should be F32 {shape}, is {model[name].dtype} {model[name].shape}")
    arrays = {name: read_array(file, entry) for name, entry in model.items()}
    _check("model", arrays, _model_digest(metadata["model"], arrays, config), metadata)
    if not with_training:
        return Checkpoint(config, vocabulary, arrays)

    counters, versions = _progress(metadata["training"])
    rest = {name: read_array(file, entry) for name, entry in entries.items() if not name.startswith(_MODEL)}
    _check("training", rest, _digest(metadata["training"], rest), metadata)
    if is_old:
        renamed = {from_version_1(name, cell): array for name, array in rest.items()}
        if len(renamed) != len(rest):
            raise _Refused("its training part has names of two versions")
        rest = renamed
    return Checkpoint(config, vocabulary, arrays, counters, rest, versions)


def _metadata(table: Any) -> dict[str, str]:
    """Check that the metadata are of our format and version, without other keys, and return them."""
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise _Refused("it was not written by charrnn")
    version = table.get("version")
    if version not in [str(number) for number in range(OLDEST, VERSION + 1)]:
        if not isinstance(version, str) or not re.fullmatch("[0-9]{1,9}", version):
            raise _Refused(f"its format version is {version!r:.40}, not a number")
        reader = "a newer charrnn reads it" if int(version) > VERSION else "no charrnn reads it any more"
        raise _Refused(f"it has format version {version}; {reader}, this charrnn reads version {OLDEST} to {VERSION}")
    if table.keys() != _KEYS or not all(map(_is_text, table.values())):
        raise _Refused("its metadata is not that of a checkpoint")
    return table


def _is_text(value: Any) -> bool:
    """True if the value is a text without lone surrogates, which JSON can express and UTF-8 cannot."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def _model(text: str) -> tuple[RunConfig, Vocabulary, dict[str, tuple[int, ...]]]:
    about = _parse(text, "model", {"configuration", "vocabulary"})
    try:
        config = RunConfig.from_mapping(about["configuration"], "configuration")
        vocabulary = from_table(Vocabulary, about["vocabulary"], "vocabulary")
        if not vocabulary.characters:
            raise ValueError("there are no characters in its vocabulary")
        if config.model.dropout is None:
            config = config.override({"dropout": 0.0})  # as for a model that is done with training
        return config, vocabulary, model_shapes(config.model, vocabulary.size)
    except (UsageError, ValueError, RecursionError) as error:
        why = getattr(error, "message", error)
        raise _Refused(f"its configuration does not hold together: {why}") from error


def _progress(text: str) -> tuple[Counters, dict[str, str]]:
    about = _parse(text, "training", {"counters", "versions"})
    try:
        counters = from_table(Counters, about["counters"], "counters")
        for name, value in asdict(counters).items():
            check_range(name, value, least=0, below=2**63 if isinstance(value, int) else None)
    except (UsageError, RecursionError) as error:
        raise _Refused(f"its counters do not hold together: {error}") from error
    versions = about["versions"]
    if not isinstance(versions, dict) or not all(isinstance(value, str) for value in versions.values()):
        raise _Refused("its versions are not texts")
    return counters, versions


def _parse(text: str, key: str, keys: set[str]) -> dict[str, Any]:
    try:
        parsed = strict_json(text)
    except ValueError as error:
        raise _Refused(f"its {key} metadata is no plain JSON: {error}") from error
    if parsed.keys() != keys:
        raise _Refused(f"its {key} metadata does not have {' and '.join(sorted(keys))}")
    return parsed


def _check(key: str, arrays: Arrays, digest: str, metadata: Mapping[str, str]) -> None:
    if digest != metadata[f"{key}_sha256"]:
        raise _Refused(f"its {key} part is damaged: the sha256 does not match")
    prefix = _MODEL if key == "model" else ""
    if bad := [prefix + name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise _Refused(f"not all numbers in it are finite: {', '.join(bad[:3])}")


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
