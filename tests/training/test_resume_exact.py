"""Interrupted anywhere, as often as you like, is uninterrupted, to the bit; and what makes it so cannot be left out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import Arrays
from charrnn.checkpoint.store import find_resumable
from charrnn.events import Event, Finished
from charrnn.settings.run import RunConfig
from charrnn.training import session
from charrnn.training.loop import resume, train
from tests.conftest import everything, tiny_run

STEPS = 10
NOISE = {"dropout": 0.3, "input_dropout": 0.1, "recurrent_dropout": 0.2, "zoneout": 0.1}

every_kind_of_text = pytest.mark.parametrize(
    "text",
    [{"documents": "none"}, {"documents": "line", "batch_size": 4, "sequence_length": 9}, {"optimizer": "muon"}],
    ids=["tapes", "documents", "muon"],
)


def noisy_run(small_text: Path, text: dict[str, object]) -> RunConfig:
    """With every kind of randomness, a state of two parts, and documents longer than the chunks they are read in."""
    return tiny_run(small_text, steps=STEPS, cell="lstm", **NOISE, **text)


def stops_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= steps


def run_of(events: list[Event]) -> Path:
    assert isinstance(events[-1], Finished)
    return events[-1].run


def interrupted(config: RunConfig, step: int) -> tuple[object, ...]:
    """All of a run that stopped after a step and was gone on with in a process of which nothing is known."""
    run = run_of(list(train(config, f"stopped-{step}", stops_after(step))))
    torch.rand(step)
    list(resume(find_resumable(str(run)), {}))
    return everything(run)[:4]  # but for the reports, of which a stop makes one more


@pytest.mark.slow
@every_kind_of_text
def test_a_stop_at_any_step_changes_nothing(small_text: Path, text: dict[str, object]) -> None:
    config = noisy_run(small_text, text)
    whole = everything(run_of(list(train(config, "whole"))))[:4]
    for step in range(1, STEPS):
        assert interrupted(config, step) == whole, step


@every_kind_of_text
def test_a_stop_at_every_step_changes_nothing(small_text: Path, text: dict[str, object]) -> None:
    config = noisy_run(small_text, text)
    whole = everything(run_of(list(train(config, "whole"))))[:4]
    run = run_of(list(train(config, "stopped", stops_after(1))))
    for _ in range(STEPS - 1):
        torch.rand(3)
        list(resume(find_resumable(str(run)), {}, stops_after(1)))
    assert everything(run)[:4] == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "lost", ["rng.cpu", "state.0.h", "state.1.c", "optimizer.head.weight.exp_avg", "optimizer.head.bias.step"]
)
@every_kind_of_text
def test_what_is_lost_is_noticed(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, text: dict[str, object], lost: str
) -> None:
    """The tests above can fail: whatever is not restored makes another run."""
    config = noisy_run(small_text, text)
    whole = everything(run_of(list(train(config, "whole"))))[:4]
    real = session.restore

    def forgetful(arrays: Arrays, *others: object) -> object:
        new = torch.get_rng_state().numpy() if lost == "rng.cpu" else np.zeros_like(arrays[lost])
        return real({**arrays, lost: new}, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "restore", forgetful)
    assert any(interrupted(config, step) != whole for step in (4, 5, 6))
