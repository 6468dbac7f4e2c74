"""Records of a run beside its checkpoints, as strict JSON, which has no numbers that are not finite."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from charrnn.files import NotAFileError, open_strange

__all__ = ["Points", "losses_of", "samples_of", "to_json"]

Points = list[tuple[float, float]]


def to_json(record: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The record as a line of JSON, or indented; numbers that JSON lacks are texts: "nan", "inf" and "-inf"."""
    return json.dumps(_plain(record), indent=indent, allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def losses_of(run: Path) -> dict[str, Points]:
    """Steps and losses of a run's `metrics.jsonl`, in nats per character, by split: "training" and "validation"."""
    found: dict[str, Points] = {}
    for record in _records(run / "metrics.jsonl"):
        match record:
            case {"split": "training" | "validation" as split, "step": int(step), "loss": float(loss)}:
                if math.isfinite(loss):
                    found.setdefault(split, []).append((float(step), loss))
    return found


def samples_of(run: Path) -> list[tuple[int, str]]:
    """Steps and texts of a run's `samples.jsonl`."""
    pairs = ((record.get("step"), record.get("text")) for record in _records(run / "samples.jsonl"))
    return [(step, text) for step, text in pairs if isinstance(step, int) and isinstance(text, str)]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file, none if there is no file. A line that cannot be read, as a crash leaves, is left out."""
    try:
        with open_strange(path) as (file, _):
            lines = file.read().splitlines()
    except (OSError, NotAFileError):
        return
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(record := json.loads(line), dict):
                yield record
