"""The learned alphabet, of models whose vectors are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError
from charrnn.evaluation.alphabet import Kind, kinds, learned_alphabet
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint


def embedded(vectors: dict[str, tuple[float, ...]]) -> Checkpoint:
    vocabulary = Vocabulary.of("".join(vectors), "character")
    config = ModelConfig("gru", 1, 4, "embedding", len(next(iter(vectors.values()))), 0.0)
    checkpoint = random_checkpoint(config, vocabulary)
    for character, vector in vectors.items():
        checkpoint.model["encoder.vectors.weight"][vocabulary.characters.index(character)] = vector
    return checkpoint


def test_neighbours_and_kinds_are_those_of_the_vectors() -> None:
    vectors = {
        "a": (2, 0),
        "e": (3, 0.1),
        "b": (0, 1),
        "c": (0.1, 5),
        "A": (-1, 0),
        "B": (-0.2, 4),
        "1": (1, -1),
        "2": (-1, -1),
    }
    found = learned_alphabet(embedded(vectors))
    index = found.characters.index
    assert found.neighbours(index("a"), 2) == [
        ("e", pytest.approx(3 / np.hypot(3, 0.1))),
        ("1", pytest.approx(0.5**0.5)),
    ]
    assert found.neighbours(index("b"), 1) == [("c", pytest.approx(5 / np.hypot(5, 0.1)))]
    assert kinds(found) == [
        Kind("digits", 2, 0, 1 / 7),
        Kind("capitals", 2, 0, 1 / 7),
        Kind("vowels", 2, 1, 1 / 7),
        Kind("consonants", 2, 1, 1 / 7),
    ]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_plane_keeps_as_much_as_any_can(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    vectors = {character: tuple(random.normal(size=size).tolist()) for character in "abcdefg"}
    found = learned_alphabet(embedded(vectors))
    centred = np.array(list(vectors.values()))
    centred -= centred.mean(0)
    variances = np.sort(np.linalg.eigvalsh(centred.T @ centred))[::-1]
    expected = [*variances, 0.0][:2]
    assert (found.places**2).sum(0) == pytest.approx(expected, rel=1e-5, abs=1e-9)
    if size <= 2:  # nothing is lost
        distances = np.linalg.norm(centred[:, None] - centred, axis=2)
        assert np.linalg.norm(found.places[:, None] - found.places, axis=2) == pytest.approx(distances, abs=1e-5)


@pytest.mark.parametrize("cell", CORES)
def test_a_one_hot_model_has_its_input_weights_columns(cell: str) -> None:
    vocabulary = Vocabulary.of("abcd", "character")
    config = ModelConfig(cell, 2, 6, "one-hot", None, 0.0)
    checkpoint = random_checkpoint(config, vocabulary)
    names = [
        n for n, a in checkpoint.model.items() if n.startswith("stack.layers.0.") and a.ndim == 2 and a.shape[1] == 7
    ]
    W = min((checkpoint.model[name] for name in names), key=lambda array: -len(array))
    W[:, 1] = 3 * W[:, 0]
    assert learned_alphabet(checkpoint).neighbours(0, 1) == [("b", pytest.approx(1))]


def test_a_vector_of_zeros_is_like_nothing() -> None:
    found = learned_alphabet(embedded({"a": (1, 2), "b": (2, 1), "c": (0, 0)}))
    assert found.similarities[2].tolist() == [0, 0, 0]


def test_two_characters_are_no_alphabet() -> None:
    with pytest.raises(DataError, match="the model knows 2 characters"):
        learned_alphabet(embedded({"a": (1, 2), "b": (2, 1)}))
