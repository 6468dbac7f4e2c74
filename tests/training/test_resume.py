"""What a training goes on from is that of its model, or nothing is changed at all."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import Arrays
from charrnn.errors import CheckpointError
from charrnn.model import CharacterModel
from charrnn.settings.model import ModelConfig
from charrnn.settings.training import OptimizerName, TrainingConfig
from charrnn.training.optimizer import Optimizer
from charrnn.training.resume import capture, restore

MODEL = ModelConfig("lstm", 2, 4, "embedding", 3, 0.0)


def fresh(config: ModelConfig = MODEL, kind: OptimizerName = "adamw") -> tuple[CharacterModel, Optimizer]:
    model = CharacterModel(config, 8, 7)
    return model, Optimizer(model, TrainingConfig(optimizer=kind))


def captured(config: ModelConfig = MODEL, streams: int = 5, kind: OptimizerName = "adamw") -> Arrays:
    """After a step of training."""
    model, optimizer = fresh(config, kind)
    logits, state = model(torch.zeros(streams, 6, dtype=torch.int64), model.initial_state(streams))
    logits.square().sum().backward()
    optimizer.step(0, 0.1, torch.tensor(0.0))
    return capture(optimizer, state, "cpu")


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_what_was_captured_is_restored(kind: OptimizerName) -> None:
    arrays = captured(kind=kind)
    model, optimizer = fresh(kind=kind)
    again = capture(optimizer, restore(arrays, model, optimizer), "cpu")
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], array) for name, array in arrays.items())


def without(name: str) -> Callable[[], Arrays]:
    return lambda: {key: value for key, value in captured().items() if key != name}


def changed(**arrays: np.ndarray) -> Callable[[], Arrays]:
    return lambda: captured() | {name.replace("__", "."): array for name, array in arrays.items()}


STRANGE = {
    "nothing": (dict, "optimizer.encoder.vectors.weight.exp_avg should be"),
    "a larger model": (
        lambda: captured(ModelConfig("lstm", 2, 5, "embedding", 3, 0.0)),
        r"should be \(8, 4\), is \(8, 5\)",
    ),
    "a deeper model": (lambda: captured(ModelConfig("lstm", 3, 4, "embedding", 3, 0.0)), "should be absent"),
    "another cell": (lambda: captured(ModelConfig("gru", 2, 4, "embedding", 3, 0.0)), "should be"),
    "another optimiser": (lambda: captured(kind="muon"), r"exp_avg should be .*, is absent"),
    "another encoder": (lambda: captured(ModelConfig("lstm", 2, 4, "one-hot", dropout=0.0)), "is absent"),
    "no moment": (without("optimizer.head.bias.exp_avg"), r"head.bias.exp_avg should be \(8,\), is absent"),
    "no step": (without("optimizer.head.bias.step"), r"head.bias.step should be \(\), is absent"),
    "no random state": (without("rng.cpu"), "rng.cpu should be"),
    "no cell state": (without("state.1.c"), "state.1.c should be"),
    "a moment of a row more": (changed(optimizer__head__bias__exp_avg=np.zeros((1, 8), np.float32)), "exp_avg should"),
    "a step for each number": (changed(optimizer__head__bias__step=np.ones(8, np.float32)), "step should be"),
    "a moment in bytes": (changed(optimizer__head__bias__exp_avg=np.zeros(8, np.uint8)), "exp_avg is uint8"),
    "a moment of nobody's": (changed(optimizer__head__bias__more=np.zeros(8, np.float32)), "more should be absent"),
    "a short random state": (changed(rng__cpu=np.zeros(9, np.uint8)), "rng.cpu should be"),
    "a random state of numbers": (changed(rng__cpu=np.zeros(5056, np.float32)), "rng.cpu is float32"),
    "a random state that cannot be": (changed(rng__cpu=np.full(5056, 255, np.uint8)), "random state cannot be used"),
    "layers of as many streams": (changed(state__1__c=np.zeros((4, 4), np.float32)), r"should be \(5, 4\)"),
    "a state without streams": (changed(state__0__h=np.zeros((), np.float32)), "state.0"),
}


@pytest.mark.parametrize(("arrays", "message"), STRANGE.values(), ids=STRANGE.keys())
def test_what_is_not_of_the_model_is_refused_and_changes_nothing(arrays: Callable[[], Arrays], message: str) -> None:
    given = arrays()
    model, optimizer = fresh()
    before = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=message) as caught:
        restore(given, model, optimizer)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(moment.any() for moments in optimizer.moments.values() for moment in moments.values())
    assert "\n" not in str(caught.value)
