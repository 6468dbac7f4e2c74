"""The lines of a run's metrics.jsonl and samples.jsonl."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from charrnn.events import Reported, Sampled, Skipped, Validated
from charrnn.settings.text import Unit
from charrnn.text.units import readable

__all__ = ["metrics_line", "sample_line"]

_SPLITS: dict[type, str] = {Reported: "training", Skipped: "skipped", Validated: "validation"}
_NOT_WRITTEN = ("total_steps", "seconds_left", "best")  # the plan is in run.toml, the best step in the checkpoint


def metrics_line(event: Reported | Skipped | Validated) -> dict[str, Any]:
    """The event's numbers, its loss in bits as well, the kind of the line, and the time of day."""
    values = {name: value for name, value in asdict(event).items() if name not in _NOT_WRITTEN}
    bits = event.loss / math.log(2)
    return values | {"split": _SPLITS[type(event)], "bits_per_character": bits, "time": _now()}


def sample_line(event: Sampled, unit: Unit) -> dict[str, Any]:
    """The step, the text that was written then, and the time of day. Bytes that are not UTF-8 are replaced."""
    return {"step": event.step, "text": readable(event.text, unit, "replace"), "time": _now()}


def _now() -> str:
    return datetime.now(UTC).isoformat()
