"""What is to be lowered where memory lacks, and that it is what takes it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from charrnn.cli import app
from charrnn.model import CharacterModel
from charrnn.settings.model import ModelConfig


def told_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], function: str) -> str:
    """What `charrnn train` says that has no memory when it calls a function that a module of the training uses."""

    def without_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(f"charrnn.training.{function}", without_memory)
    monkeypatch.setattr(sys, "argv", ["charrnn", "train", "small.txt", "--hidden-size", "8", "--steps", "2"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 7
    return capsys.readouterr().err.partition("charrnn: out of memory\n")[2]


def test_before_the_first_step_it_is_the_network(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_by(monkeypatch, capsys, "session.CharacterModel")
    assert told == "the network is too large: lower --hidden-size first, then --layers\n"


def test_in_a_step_it_is_the_batch(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_by(monkeypatch, capsys, "loop.learning_rate")
    assert told == "in a training, lower --batch-size first, then --sequence-length, then --hidden-size\n"


def memory_of_a_step(batch_size: int, sequence_length: int, hidden_size: int) -> int:
    """Bytes that a forward pass keeps for its backward pass."""
    model = CharacterModel(ModelConfig("gru", 2, hidden_size, "embedding", 16, 0.1), 70, 69)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    ids = torch.zeros(batch_size, sequence_length, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits, _ = model(ids, model.initial_state(batch_size))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
    total = sum(size for place, size in kept.items() if place not in weights)
    loss.backward()
    return total


Lowered = Callable[[int, int, int], tuple[int, int, int]]


@pytest.mark.parametrize(
    "lowered",
    [lambda B, T, H: (B // 2, T, H), lambda B, T, H: (B, T // 2, H), lambda B, T, H: (B, T, H // 2)],
    ids=["batch size", "sequence length", "hidden size"],
)
def test_each_of_them_takes_memory(lowered: Lowered) -> None:
    assert memory_of_a_step(*lowered(16, 32, 128)) < 0.62 * memory_of_a_step(16, 32, 128)
