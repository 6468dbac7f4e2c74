"""Records of a run beside its checkpoints, as strict JSON, which has no numbers that are not finite."""

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["to_json"]


def to_json(record: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The record as a line of JSON, or indented; numbers that JSON lacks are texts: "nan", "inf" and "-inf"."""
    return json.dumps(_plain(record), indent=indent, allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
