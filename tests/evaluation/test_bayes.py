"""The Bayes mixture: the same as weighing the models anew after every character, and never much worse than the best."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError, UsageError
from charrnn.evaluation.bayes import bayes_mixture, check_readings
from charrnn.evaluation.evaluate import open_reading
from charrnn.settings.model import ModelConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.doubles import unigram

# For each character of a text, the probability that each of some models gives it.
SCRIPTS = st.integers(1, 5).flatmap(
    lambda models: st.lists(st.lists(st.floats(1e-6, 1.0), min_size=models, max_size=models), min_size=1, max_size=40)
)


def weighed_anew(script: np.ndarray) -> tuple[float, np.ndarray]:  # type: ignore[type-arg]
    """The cost of a text, a character at a time, and the weights at its end."""
    weights, nats = np.full(script.shape[1], 1 / script.shape[1]), 0.0
    for probabilities in script:
        nats -= math.log(weights @ probabilities)
        weights = weights * probabilities / (weights @ probabilities)
    return nats, weights


@given(SCRIPTS)
def test_it_is_that_of_weights_that_change_with_every_character(script: list[list[float]]) -> None:
    probabilities = np.array(script)
    costs = -np.log(probabilities).sum(0)
    found = bayes_mixture(costs.tolist())
    nats, weights = weighed_anew(probabilities)
    assert found.nats == pytest.approx(nats, rel=1e-9, abs=1e-9)
    assert found.weights == pytest.approx(weights.tolist(), rel=1e-6, abs=1e-12)
    assert sum(found.weights) == pytest.approx(1)
    assert costs.min() - 1e-9 <= found.nats <= costs.min() + math.log(len(costs)) + 1e-9


def models(cells: str = "gru lstm min-gru") -> list[Checkpoint]:
    vocabulary = Vocabulary.of("the cat sat", "character")
    return [
        random_checkpoint(ModelConfig(cell, 1, 6, "embedding", 4, 0.0), vocabulary, seed)
        for seed, cell in enumerate(cells.split())
    ]


@pytest.mark.slow
@given(st.text("the cas", min_size=1, max_size=60))
def test_a_text_costs_at_most_log_n_more_than_by_the_best_of_real_models(text: str) -> None:
    readings = [open_reading(each, text=text) for each in models()]
    check_readings(readings, ["a", "b", "c"])
    costs = [reading.score().nats for reading in readings]
    found = bayes_mixture(costs)
    script = np.array([[each.probability for each in reading.characters()] for reading in readings]).T
    assert found.nats == pytest.approx(weighed_anew(script)[0], rel=1e-6)
    assert min(costs) - 1e-9 <= found.nats <= min(costs) + math.log(3) + 1e-9


def test_texts_must_be_the_same_and_alphabets_too(folder: Path) -> None:
    lines = TextConfig(documents="line")
    running, in_lines = unigram({"a": 0.5, "\n": 0.4, None: 0.1}), unigram({"a": 0.5, "\n": 0.4, None: 0.1}, lines)
    with pytest.raises(DataError, match=r"x reads the text, and y the text, as other characters or documents"):
        check_readings([open_reading(each, text="a\na\n") for each in (running, in_lines)], ["x", "y"])
    other = unigram({"b": 0.9, None: 0.1})
    with pytest.raises(UsageError, match=r"only x knows '\\n', 'a', and only y knows 'b'"):
        check_readings([open_reading(each, text="ab") for each in (running, other)], ["x", "y"])
    check_readings([open_reading(running, text="a\nb")] * 2, ["x", "y"])


def test_huge_costs_do_not_overflow() -> None:
    found = bayes_mixture([1e6, 1e6 + 1, 5e6])
    assert found.nats == pytest.approx(1e6 + math.log(3) - math.log1p(math.exp(-1)))
    assert found.weights[2] == 0
