"""A checkpoint of a few kilobytes, cut anywhere and with any bit turned: refused, or what it was."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import Arrays, Checkpoint, Counters, from_file, to_bytes
from charrnn.errors import CheckpointError
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint


def trained() -> Checkpoint:
    made = random_checkpoint(ModelConfig("rnn", 1, 3, "embedding", 2, 0.1), Vocabulary("\n abcdefgé한"))
    training: Arrays = {f"optimizer.{name}.exp_avg": array / 2 for name, array in made.model.items()}
    training |= {"rng.cpu": np.arange(200, dtype=np.uint8), "state.0.h": np.ones((2, 3), np.float32)}
    counters = Counters(step=7, characters=70, seconds=1.5, best_loss=1.25, best_step=4, stale=1)
    return replace(made, training=training, counters=counters, versions={"torch": "2.13.0"})


def content(checkpoint: Checkpoint) -> tuple[object, ...]:
    """All of a checkpoint, comparable."""
    arrays = {**checkpoint.model, **checkpoint.training}
    told = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    return checkpoint.config, checkpoint.vocabulary, checkpoint.counters, dict(checkpoint.versions), told


@pytest.fixture
def path(folder: Path) -> Path:
    path = folder / "step-00000007.safetensors"
    path.write_bytes(to_bytes(trained()))
    return path


def test_no_truncation_is_taken_for_a_checkpoint(path: Path) -> None:
    for length in reversed(range(path.stat().st_size)):
        os.truncate(path, length)
        for training in (False, True):
            with pytest.raises(CheckpointError):
                from_file(path, training=training)


@pytest.mark.slow
def test_any_flipped_bit_is_noticed_or_means_nothing(path: Path) -> None:
    data, whole = path.read_bytes(), content(trained())
    assert content(from_file(path, training=True)) == whole
    unnoticed = 0
    with path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(data):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([byte ^ 1 << bit]), position)
                try:
                    found = from_file(path, training=True)
                except CheckpointError:
                    continue
                assert content(found) == whole
                unnoticed += 1
            os.pwrite(file.fileno(), bytes([byte]), position)
    assert unnoticed < 32  # such as a space after the header that became another


def test_a_flipped_bit_of_the_model_is_noticed_by_a_sampler(path: Path) -> None:
    data, whole = path.read_bytes(), content(replace(trained(), training={}, counters=Counters(), versions={}))
    assert content(from_file(path)) == whole
    for position in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            found = from_file(path)
        except CheckpointError:
            continue
        assert content(found) == whole
