"""Events of a training as JSON, as `train --json` writes them, one object a line."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn.cli.process.terminal import as_told
from charrnn.events import Event, Notice

__all__ = ["event_record"]


def event_record(event: Event) -> dict[str, Any]:
    """A JSON record of an event: its kind under "event", and its fields."""
    if isinstance(event, Notice):
        return {"event": "notice", "text": as_told(event.message)}
    return {"event": type(event).__name__.lower(), **{name: _plain(value) for name, value in asdict(event).items()}}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
