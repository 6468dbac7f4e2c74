"""A checkpoint as bytes: a safetensors file whose metadata holds everything that is not an array. No torch.

Arrays are `model.*`, perhaps `ngrams.*` and, for going on with the training, `optimizer.*`, `rng.*` and `state.*`. The
metadata holds format and version, two JSON texts (`model`: configuration and vocabulary; `training`: counters and
versions) and a sha256 for each, over that text and the arrays that belong to it, so that a sampler checks only the part
that it reads.
The model's digest uses the names of version 1 in every version: a model has the same digest in any file.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.container import safetensors_bytes
from charrnn.checkpoint.header import Entry, HeaderError, open_container, read_array, read_entries, read_header
from charrnn.checkpoint.metadata import FORMAT, Counters, RefusedError, checked_metadata, parse, progress
from charrnn.checkpoint.versions import from_version_1, to_version_1, version_of
from charrnn.errors import CheckpointError, UsageError
from charrnn.layout import model_shapes
from charrnn.ngrams.table import NgramTable
from charrnn.settings.run import RunConfig
from charrnn.settings.tables import from_table
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Arrays", "Checkpoint", "Counters", "check_file", "from_file", "model_sha256", "to_bytes"]

Arrays = dict[str, NDArray[Any]]

_MODEL, _NGRAMS = "model.", "ngrams."
_TRAINING = ("optimizer.", "rng.", "state.")


@dataclass(frozen=True)
class Checkpoint:
    """A complete model, and the arrays for going on with its training (`training`, empty in one only for sampling).

    `ngrams` are those of its training text, if they are mixed with the network.

    `folder` is the one that has its file, if it was read from one; its text is looked for from there, too.
    """

    config: RunConfig
    vocabulary: Vocabulary
    model: Arrays
    counters: Counters = field(default_factory=Counters)
    training: Arrays = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    ngrams: NgramTable | None = None


def to_bytes(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as the content of a file."""
    model_text = _model_text(checkpoint)
    # Counters as in a new run are left out: a charrnn that does not know a counter reads runs that do not use it.
    new, own = asdict(Counters()), asdict(checkpoint.counters)
    counters = {key: value for key, value in own.items() if value != new[key]}
    training_text = _canonical({"counters": counters, "versions": dict(checkpoint.versions)})
    metadata = {
        "format": FORMAT,
        "version": str(version_of(has_ngrams=checkpoint.ngrams is not None)),
        "model": model_text,
        "model_sha256": _model_digest(model_text, checkpoint.model, checkpoint.config, checkpoint.ngrams),
        "training": training_text,
        "training_sha256": _digest(training_text, checkpoint.training),
    }
    model = {_MODEL + name: array for name, array in checkpoint.model.items()}
    return safetensors_bytes(model | _ngram_arrays(checkpoint.ngrams) | checkpoint.training, metadata)


def model_sha256(checkpoint: Checkpoint) -> str:
    """The digest of all that a sampler reads of the checkpoint, as in its file; it identifies a model."""
    return _model_digest(_model_text(checkpoint), checkpoint.model, checkpoint.config, checkpoint.ngrams)


def _model_text(checkpoint: Checkpoint) -> str:
    """The metadata about the model: configuration and vocabulary."""
    # Empty labels are left out: a charrnn that knows no labels reads models without them.
    vocabulary = {key: value for key, value in asdict(checkpoint.vocabulary).items() if value != ()}
    about = {"configuration": checkpoint.config.to_mapping(), "vocabulary": vocabulary}
    return _canonical(about)


def _model_digest(text: str, model: Arrays, config: RunConfig, ngrams: NgramTable | None) -> str:
    """The digest of all that a sampler reads, given the arrays by today's names."""
    weights = {_MODEL + to_version_1(name, config.model.cell): array for name, array in model.items()}
    return _digest(text, weights | _ngram_arrays(ngrams))


def _ngram_arrays(table: NgramTable | None) -> Arrays:
    return {} if table is None else {_NGRAMS + name: array for name, array in table.to_arrays().items()}


def from_file(path: Path, *, training: bool = False) -> Checkpoint:
    """Read a checkpoint from anyone: the model alone or, with `training`, all for going on with its training.

    It is loaded whole or not at all, no code in the file is run, and memory is a small multiple of the file's size.

    Raises:
        CheckpointError: the file is missing, not one of ours, damaged, or of another format version.
    """
    with _opened(path) as opened:
        config, vocabulary, arrays, ngrams = opened.model()
        counters, progress, versions = opened.training() if training else (Counters(), {}, {})
        return Checkpoint(config, vocabulary, arrays, counters, progress, versions, path.parent, ngrams)


def check_file(path: Path) -> dict[str, str | None]:
    """Read all of a checkpoint; for each of its parts, model and training, None if it is sound, else the damage.

    Raises:
        CheckpointError: as `from_file`, where not even the parts can be told apart.
    """
    found: dict[str, str | None] = {}
    with _opened(path) as opened:
        for part, read in (("model", opened.model), ("training", opened.training)):
            try:
                read()
                found[part] = None
            except RefusedError as error:
                found[part] = str(error)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator["_Opened"]:
    """Open a checkpoint from anyone.

    Raises:
        CheckpointError: as `from_file`, also for errors within the context.
    """
    try:
        with open_container(path, "checkpoint") as (file, size):
            yield _Opened(file, size)
    except HeaderError as error:
        raise CheckpointError(f"{path} is not a charrnn checkpoint: no safetensors file ({error})") from error
    except RefusedError as error:
        raise CheckpointError(f"cannot use the checkpoint {path}: {error}") from error


class _Opened:
    """A checkpoint whose header has been checked, and whose parts are read, and checked, when they are asked for.

    Raises:
        HeaderError, RefusedError: the header, or the part, is not that of a checkpoint.
    """

    def __init__(self, file: BufferedReader, size: int) -> None:
        header = read_header(file, size)
        self._file, self._metadata = file, checked_metadata(header.pop("__metadata__", None))
        self._entries = read_entries(header, file.tell(), size)
        if strange := [name for name in self._entries if not name.startswith((_MODEL, _NGRAMS, *_TRAINING))]:
            raise RefusedError(f"a checkpoint has no array {strange[0]}")
        self._config, self._vocabulary, self._shapes = _model(self._metadata["model"])
        self._is_old = self._metadata["version"] == "1"

    def model(self) -> tuple[RunConfig, Vocabulary, Arrays, NgramTable | None]:
        """Configuration, vocabulary, weights, and n-grams, if it has any."""
        cell = self._config.model.cell
        names = {name: _MODEL + (to_version_1(name, cell) if self._is_old else name) for name in self._shapes}
        if {name for name in self._entries if name.startswith(_MODEL)} != set(names.values()):
            raise RefusedError("its arrays are not those of its configuration")
        entries = {name: self._entries[in_file] for name, in_file in names.items()}
        for name, shape in self._shapes.items():
            if (entries[name].dtype, entries[name].shape) != ("F32", shape):
                raise RefusedError(f"{name} should be F32 {shape}, is {entries[name].dtype} {entries[name].shape}")
        arrays, ngrams = self._arrays(entries), self._ngrams()
        digest = _model_digest(self._metadata["model"], arrays, self._config, ngrams)
        _check("model", arrays, digest, self._metadata)
        return self._config, self._vocabulary, arrays, ngrams

    def _ngrams(self) -> NgramTable | None:
        entries = {name.removeprefix(_NGRAMS): e for name, e in self._entries.items() if name.startswith(_NGRAMS)}
        longest = self._config.model.ngrams or 0
        if not longest and not entries:
            return None
        try:
            return NgramTable.from_arrays(self._arrays(entries), self._vocabulary.size, longest)
        except ValueError as error:
            raise RefusedError(f"its n-grams do not hold together: {error}") from error

    def training(self) -> tuple[Counters, Arrays, dict[str, str]]:
        """Counters, the arrays for going on with the training, and versions."""
        counters, versions = progress(self._metadata["training"])
        rest = self._arrays({name: e for name, e in self._entries.items() if name.startswith(_TRAINING)})
        _check("training", rest, _digest(self._metadata["training"], rest), self._metadata)
        if self._is_old:
            renamed = {from_version_1(name, self._config.model.cell): array for name, array in rest.items()}
            if len(renamed) != len(rest):
                raise RefusedError("its training part has names of two versions")
            rest = renamed
        return counters, rest, versions

    def _arrays(self, entries: Mapping[str, Entry]) -> Arrays:
        return {name: read_array(self._file, entry) for name, entry in entries.items()}


def _model(text: str) -> tuple[RunConfig, Vocabulary, dict[str, tuple[int, ...]]]:
    about = parse(text, "model", {"configuration", "vocabulary"})
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
        raise RefusedError(f"its configuration does not hold together: {why}") from error


def _check(key: str, arrays: Arrays, digest: str, metadata: Mapping[str, str]) -> None:
    if digest != metadata[f"{key}_sha256"]:
        raise RefusedError(f"its {key} part is damaged: the sha256 does not match")
    prefix = _MODEL if key == "model" else ""
    if bad := [prefix + name for name, array in arrays.items() if not np.isfinite(array).all()]:
        raise RefusedError(f"not all numbers in it are finite: {', '.join(bad[:3])}")


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
