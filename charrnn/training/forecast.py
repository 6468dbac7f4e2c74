"""How long a training will take, by a second or two of it in a folder that is thrown away."""

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
from charrnn.training.schedule import step_limit
from charrnn.training.setup import Setup

__all__ = ["Forecast", "forecast"]

_ENDLESS = 2**62
_SECONDS = 1.0  # that are measured, from the first report on: what comes before has what is done once in it


class Forecast(NamedTuple):
    """What a training will come to, roughly: validations are not counted, which take a twentieth more at most.

    `memory_bytes` is the peak of the GPU's, or else of the whole process; None where it cannot be told.
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
    """Train for some steps, and tell what that means for the whole.

    Raises:
        CharrnnError: as `train` does.
    """
    budget = {"time": None, "epochs": None, "steps": _ENDLESS, "validate_every": _ENDLESS, "report_every": None}
    endless = replace(setup, config=replace(setup.config.override(budget), record=Record()))
    reports: list[Reported] = []

    def stop() -> bool:
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
