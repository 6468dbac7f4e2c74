"""Forecast of a training's time, from a second or two of it in a temporary folder."""

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from charrnn.checkpoint.store import Run
from charrnn.events import Began, Reported, Saved
from charrnn.settings.training import Record
from charrnn.training.loop import train_prepared
from charrnn.training.schedule import NEVER, step_limit
from charrnn.training.setup import Setup

__all__ = ["Forecast", "forecast"]

_SECONDS = 1.0  # that are measured, from the first report on: work that is done only once comes before


class Forecast(NamedTuple):
    """Rough figures of a training. Validations, which take at most a twentieth more, are not counted.

    `memory_bytes` is the peak on the GPU, or else of the whole process; None if it cannot be measured.
    """

    model: str
    device: str
    parameters: int
    checkpoint_bytes: int
    memory_bytes: int | None
    characters_per_second: float
    steps: int
    epochs: float
    seconds: float


def forecast(setup: Setup) -> Forecast:
    """Train for some steps, and derive the figures of the whole training.

    Raises:
        CharrnnError: as `train` does.
    """
    budget = {"time": None, "epochs": None, "steps": NEVER, "validate_every": NEVER, "report_every": None}
    endless = replace(setup, config=replace(setup.config.override(budget), record=Record()))
    reports: list[Reported] = []

    def stop() -> bool:
        """True once the reports span a second."""
        return bool(reports) and reports[-1].seconds - reports[0].seconds >= _SECONDS

    with tempfile.TemporaryDirectory() as folder:
        for event in train_prepared(endless, Run(Path(folder)), stop):
            match event:
                case Began():
                    began = event
                case Reported():
                    reports.append(event)
                case Saved():
                    checkpoint_bytes = event.path.stat().st_size
    training, steps_per_epoch = setup.config.training, setup.batches().steps_per_epoch
    first, last = reports[0], reports[-1]
    step_seconds = (last.seconds - first.seconds) / (last.step - first.step)
    limits = (step_limit(training, steps_per_epoch) or math.inf, (training.time or math.inf) / step_seconds)
    steps = max(int(min(limits)), 1)
    return Forecast(
        began.model,
        began.device,
        began.parameters,
        checkpoint_bytes,
        _peak_memory(setup.device),
        setup.training.targets / steps_per_epoch / step_seconds,
        steps,
        steps / steps_per_epoch,
        steps * step_seconds,
    )


def _peak_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
