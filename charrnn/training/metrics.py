"""The lines of a run's metrics.jsonl."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from charrnn.events import Reported, Skipped, Validated

__all__ = ["metrics_line"]

_SPLITS: dict[type, str] = {Reported: "training", Skipped: "skipped", Validated: "validation"}
_NOT_WRITTEN = ("total_steps", "seconds_left", "best")  # the plan is in run.toml, the best step in the checkpoint


def metrics_line(event: Reported | Skipped | Validated) -> dict[str, Any]:
    """The event's numbers, its loss in bits as well, the kind of the line, and the time of day."""
    values = {name: value for name, value in asdict(event).items() if name not in _NOT_WRITTEN}
    bits = event.loss / math.log(2)
    now = datetime.now(UTC).isoformat()
    return values | {"split": _SPLITS[type(event)], "bits_per_character": bits, "time": now}
