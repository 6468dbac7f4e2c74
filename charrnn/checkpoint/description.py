"""A checkpoint in facts, read from the header of its file alone: quick, and without numpy."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.checkpoint.header import HeaderError, open_container, read_entries, read_header
from charrnn.checkpoint.metadata import Counters, RefusedError, checked_metadata, parse, progress
from charrnn.errors import CheckpointError, UsageError
from charrnn.settings.run import RunConfig
from charrnn.settings.text import Unit

__all__ = ["Description", "describe"]


class Description(NamedTuple):
    """The facts. `size` is in bytes; `characters` are the different ones that the model knows.

    `can_resume` is true if the file has what it takes to go on with the training.
    """

    path: Path
    size: int
    format_version: int
    config: RunConfig
    unit: Unit
    characters: int
    labels: tuple[str, ...]
    parameters: int
    counters: Counters
    versions: Mapping[str, str]
    can_resume: bool
    model_sha256: str


def describe(path: Path) -> Description:
    """Read the header of a checkpoint from anyone. That its arrays are sound is not checked, only that they are there.

    Raises:
        CheckpointError: the file is missing, not one of ours, cut off, or of another format version.
    """
    try:
        with open_container(path, "checkpoint") as (file, size):
            header = read_header(file, size)
            metadata = checked_metadata(header.pop("__metadata__", None))
            entries = read_entries(header, file.tell(), size)
        config, vocabulary = _model(metadata["model"])
        counters, versions = progress(metadata["training"])
    except HeaderError as error:
        raise CheckpointError(f"{path} is not a charrnn checkpoint: no safetensors file ({error})") from error
    except RefusedError as error:
        raise CheckpointError(f"cannot use the checkpoint {path}: {error}") from error
    shapes = {name: entry.shape for name, entry in entries.items()}
    return Description(
        path,
        size,
        int(metadata["version"]),
        config,
        vocabulary["unit"],
        len(vocabulary["characters"]),
        tuple(vocabulary["labels"]),
        sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("model.")),
        counters,
        versions,
        any(name.startswith("optimizer.") for name in shapes),
        metadata["model_sha256"],
    )


def _model(text: str) -> tuple[RunConfig, dict[str, Any]]:
    """Configuration and vocabulary, the latter as a table."""
    about = parse(text, "model", {"configuration", "vocabulary"})
    try:
        config = RunConfig.from_mapping(about["configuration"], "configuration")
    except (UsageError, ValueError, RecursionError) as error:
        raise RefusedError(f"its configuration does not hold together: {error}") from error
    table = {"unit": "character", "labels": []} | (about["vocabulary"] if isinstance(about["vocabulary"], dict) else {})
    is_sound = isinstance(table.get("characters"), str) and table["unit"] in ("character", "byte")
    if not is_sound or not isinstance(table["labels"], list) or not all(isinstance(x, str) for x in table["labels"]):
        raise RefusedError("its vocabulary is none")
    return config, table
