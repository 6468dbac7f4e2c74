"""The tutorials' forecasting task: at every step of a noisy time series a network tells the next ten values."""

import math

import pytest
import torch
from torch import Tensor, nn

from charrnn.recurrent.registry import CORES, core_class

pytestmark = pytest.mark.slow

LENGTH, AHEAD, H = 40, 10, 32


def series(count: int) -> Tensor:
    """Two sine waves of random frequency and phase with some noise on them, (count, LENGTH + AHEAD)."""
    time = torch.linspace(0, 1, LENGTH + AHEAD)
    frequency, phase = torch.rand(2, count, 1), torch.rand(2, count, 1)
    slow = 0.5 * torch.sin((time - phase[0]) * (frequency[0] * 10 + 10))
    fast = 0.2 * torch.sin((time - phase[1]) * (frequency[1] * 20 + 20))
    return slow + fast + 0.1 * (torch.rand(count, LENGTH + AHEAD) - 0.5)


def task(count: int) -> tuple[Tensor, Tensor]:
    """Inputs (N, T, 1), and targets (N, T, AHEAD): the values after each."""
    values = series(count)
    return values[:, :LENGTH, None], values.unfold(1, AHEAD, 1)[:, 1 : LENGTH + 1]


@pytest.mark.parametrize("name", CORES)
def test_every_core_forecasts_better_than_repeating_the_last_value(name: str) -> None:
    torch.manual_seed(0)
    core, readout = core_class(name)(1, H), nn.Linear(H, AHEAD)
    inputs, targets = task(2000)
    parameters = [*core.parameters(), *readout.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3)
    steps = 150
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 + math.cos(math.pi * step / steps)) / 2
        batch = torch.randint(len(inputs), (64,))
        outputs, _ = core(inputs[batch], core.initial_state(64))
        loss = (readout(outputs) - targets[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    inputs, targets = task(500)
    with torch.no_grad():
        outputs, _ = core.eval()(inputs, core.initial_state(500))
        forecast, repeated = (readout(outputs) - targets).square(), (inputs - targets).square()
    seen_enough = 10  # of the series to know its waves
    assert forecast[:, -1].mean() < 0.5 * repeated[:, -1].mean()
    assert forecast[:, seen_enough:].mean() < 0.5 * repeated[:, seen_enough:].mean()
