"""What is measured of memory, against models that remember a known number of characters and gradients by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CheckpointError, DataError
from charrnn.evaluation.evaluate import Reading, open_reading
from charrnn.evaluation.memory import LONGEST, gradient_norms, memory, target_places
from charrnn.model import CharacterModel, model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.tokens import offsets_of
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

AB = Vocabulary.of("ab", "character")
W, U, b_W, b_U = (f"stack.layers.0.{letter}" for letter in ("W", "U", "b_W", "b_U"))


def last_characters(folder: Path, text: str, remembered: float, documents: str = "none") -> Reading:
    """A reading by a rectified network that counts the a's before, each `remembered` times as much as the one after.

    It expects another character than a run of a's, the surer the longer that is; with 0 it sees the last one alone.
    """
    config = ModelConfig("rnn-relu", 1, 2, "one-hot", None, 0.0)
    arrays = {name: np.zeros_like(array) for name, array in random_checkpoint(config, AB).model.items()}
    arrays[W][0, 0] = 1
    arrays[U][0, 0] = remembered
    arrays["head.weight"][:2, 0] = [-1, 1]
    (folder / "t.txt").write_text(text)
    run = RunConfig(text=TextConfig(documents=documents), model=config)  # type: ignore[arg-type]
    return open_reading(Checkpoint(run, AB, arrays), ("t.txt",), device="cpu")


def test_who_only_sees_the_last_character_gains_nothing_from_more(folder: Path) -> None:
    found = memory(last_characters(folder, "aabab" * 500, 0.0), targets=50)
    assert found.contexts == (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert found.targets == 50
    assert set(found.bits) == {found.all_bits}
    assert found.gradients[0] == found.gradients[-1] == 0.0


def test_what_is_remembered_longer_shows_in_the_bits(folder: Path) -> None:
    """After n a's the state is n, the logits are -n, n, 0, 0, 0, so that an a costs n + ln(e^n + e^-n + 3) nats."""
    found = memory(last_characters(folder, "a" * 40, 1.0), targets=1000)
    assert found.contexts == (1, 2, 4, 8, 16)
    assert found.targets == 41 - 16  # the last is the end token, which has the logit 0
    for context, bits in zip(found.contexts, found.bits, strict=True):
        both = np.log(np.exp(context) + np.exp(-context) + 3)
        assert bits == pytest.approx((24 * (context + both) + both) / 25 / np.log(2), rel=1e-5)


@pytest.mark.parametrize("remembered", [0.5, 1.0])
def test_the_gradient_is_that_of_a_linear_recurrence(folder: Path, remembered: float) -> None:
    """With h_t = u h_{t-1} + 1, ∂loss/∂h_{t-k} is u^k ∂loss/∂h_t, and this is the expected less the true weight."""
    reading = last_characters(folder, "a" * 30, remembered)
    T, distances = 12, (1, 2, 4, 8)
    found = gradient_norms(reading.model, torch.zeros(3, T + 1, dtype=torch.long), distances)
    h = sum(remembered**k for k in range(T))
    logits = np.array([-h, h, 0, 0, 0])
    softmax = np.exp(logits) / np.exp(logits).sum()
    at_the_head = abs(softmax[1] - softmax[0] + 1)
    assert found.shape == (3, 4)
    assert found == pytest.approx(np.array([[remembered**k * at_the_head for k in distances]] * 3), rel=1e-5)


@pytest.mark.parametrize("cell", CORES)
def test_the_gradient_is_the_slope_of_the_loss(cell: str) -> None:
    """In double precision, along the gradient itself, every part of the state of every layer moved at once."""
    config = ModelConfig(cell, 2, 4, "embedding", 3, 0.0)
    model = model_from_arrays(config, AB, random_checkpoint(config, AB).model).double()
    ids = torch.tensor([[2, 0, 1, 1, 0, 1, 0, 0, 1]])
    for distance, norm in zip((2, 4), gradient_norms(model, ids, (2, 4))[0], strict=True):
        assert norm == pytest.approx(_slope(model, ids, distance), rel=1e-5)


def _slope(model: CharacterModel, ids: torch.Tensor, distance: int) -> float:
    """The root of the sum of squared central differences over every element of the state."""
    edge, step, squares = ids.shape[1] - 1 - distance, 1e-5, 0.0

    @torch.no_grad()
    def loss(state: object) -> float:
        logits, _ = model(ids[:, edge:-1], state)  # type: ignore[arg-type]
        return float(torch.nn.functional.cross_entropy(logits[:, -1].double(), ids[:, -1]))

    with torch.no_grad():
        _, state = model(ids[:, :edge], model.initial_state(1))
    for part in (part for layer in state for part in layer):
        flat = part.reshape(-1)
        assert flat.data_ptr() == part.data_ptr()  # so that what is changed here is the state
        for k in range(len(flat)):
            own = float(flat[k])
            flat[k] = own + step
            above = loss(state)
            flat[k] = own - step
            squares += ((above - loss(state)) / (2 * step)) ** 2
            flat[k] = own
    return float(squares**0.5)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 50))
def test_every_target_has_the_longest_context_in_its_own_document(lengths: list[int], count: int) -> None:
    offsets = offsets_of(np.array(lengths))
    possible = sum(lengths) > 0
    longest, places = target_places(offsets, count)
    assert possible
    assert 1 <= len(places) <= count
    assert longest in [2**k for k in range(LONGEST.bit_length())]
    assert len(set(places.tolist())) == len(places)
    for place in places.tolist():
        document = np.searchsorted(offsets, place, "right") - 1
        assert longest <= place - offsets[document] - 1  # characters before it, without the start token
        assert place < offsets[document + 1]
    if count > sum(lengths) + len(lengths):
        assert len(places) == sum(max(length + 1 - longest, 0) for length in lengths)


def test_documents_are_remembered_each_by_itself(folder: Path) -> None:
    found = memory(last_characters(folder, "aaab\nab\nbaaa\n", 0.0, "line"))
    assert found.contexts == (1, 2)
    assert set(found.bits) == {found.all_bits}


def test_a_text_that_the_model_does_not_know_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="no target that the model knows"):
        memory(last_characters(folder, "xyz" * 20, 0.0), targets=1)


def test_costs_that_overflow_are_told(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="overflow"):
        memory(last_characters(folder, "a" * 40, 1e30))


def test_unknown_targets_count_for_nothing(folder: Path) -> None:
    found = memory(last_characters(folder, "aX" * 40, 0.0))
    assert found.targets == sum(1 for place in range(32, 81) if place % 2 == 0)  # the last is the end


def test_a_row_that_is_too_short_has_no_gradient(folder: Path) -> None:
    with pytest.raises(ValueError, match="fewer than 4"):
        gradient_norms(last_characters(folder, "ab", 0.5).model, torch.zeros(1, 3, dtype=torch.long), (1, 2, 4))
