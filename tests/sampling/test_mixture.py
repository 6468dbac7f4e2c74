"""Several models that write one text: the arithmetic of the mixture, and every control on it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CheckpointError, UsageError
from charrnn.sampling.mixture import Mixture, open_mixture
from charrnn.sampling.session import Session
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import Blend, EngineConfig, PrimeConfig, SamplingConfig, shares_of
from charrnn.text.same_alphabet import check_alphabets
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.doubles import unigram

ALPHABET = Vocabulary.of("the cat.\n", "character")
A, B = unigram({"a": 0.7, "b": 0.2, None: 0.1}), unigram({"a": 0.1, "b": 0.8, None: 0.1})


def network(cell: str, seed: int, vocabulary: Vocabulary = ALPHABET) -> Checkpoint:
    return random_checkpoint(ModelConfig(cell, 2, 6, "embedding", 4, 0.0), vocabulary, seed)


GRU, LSTM = network("gru", 1), network("lstm", 2)


def mixed(*models: Checkpoint, weights: Sequence[float | None] = (None, None), blend: Blend = "mixture") -> Mixture:
    return Mixture.of(models, [f"model {k}" for k in range(len(models))], shares_of(weights), blend)


def probabilities(mixture: Mixture) -> np.ndarray:  # type: ignore[type-arg]
    """Of the first token after the start."""
    engine = open_mixture(mixture, SamplingConfig(), EngineConfig(engine="numpy")).engine
    logits, _ = engine.step(np.array([mixture.checkpoints[0].vocabulary.start]), engine.initial_state(1))
    return np.exp(logits[0].astype(np.float64))


def write(mixture: Mixture, prime: str = "", reading: PrimeConfig = PrimeConfig(), **settings: object) -> str:  # noqa: B008
    config = SamplingConfig(**({"seed": 1, "length": 40} | settings))  # type: ignore[arg-type]
    session = Session(mixture.checkpoints[0], config, prime, reading, EngineConfig(engine="numpy"), mixture)
    return "".join(piece.text for piece in session.pieces())


@pytest.mark.parametrize(("weights", "share"), [((None, None), 0.5), ((None, 0.3), 0.7), ((3.0, 1.0), 0.75)])
def test_probabilities_are_the_weighted_mean(weights: tuple[float | None, ...], share: float) -> None:
    found = probabilities(mixed(A, B, weights=weights))
    assert found[:2] == pytest.approx([share * 0.7 + (1 - share) * 0.1, share * 0.2 + (1 - share) * 0.8], rel=1e-5)
    assert found.sum() == pytest.approx(1, abs=1e-5)


def test_a_product_is_the_normalised_geometric_mean() -> None:
    found = probabilities(mixed(A, B, weights=(0.25, 0.75), blend="product"))
    raw = np.array([0.7**0.25 * 0.1**0.75, 0.2**0.25 * 0.8**0.75, 0.1])
    assert found[[0, 1, A.vocabulary.end]] == pytest.approx(raw / raw.sum(), rel=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("blend", ["mixture", "product"])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.0}, {"num_samples": 70, "length": 5}, {"beam": 3}])
def test_a_model_with_itself_writes_as_alone(blend: Blend, settings: dict[str, object]) -> None:
    config = SamplingConfig(**({"seed": 1, "length": 40} | settings))  # type: ignore[arg-type]
    alone = "".join(piece.text for piece in Session(GRU, config, "the ", engine=EngineConfig(engine="numpy")).pieces())
    assert write(mixed(GRU, GRU, blend=blend), "the ", **settings) == alone


def test_a_weight_near_one_leaves_the_other_silent() -> None:
    config = SamplingConfig(seed=1, length=40)
    alone = "".join(piece.text for piece in Session(GRU, config, "the ", engine=EngineConfig(engine="numpy")).pieces())
    assert write(mixed(GRU, LSTM, weights=(1.0, 1e-12)), "the ") == alone
    assert write(mixed(GRU, LSTM), "the ") != alone


@given(st.integers(0, 2**32), st.sampled_from(["mixture", "product"]))
def test_a_sample_does_not_depend_on_how_many_are_drawn(seed: int, blend: Blend) -> None:
    mixture = mixed(GRU, LSTM, blend=blend)
    config = SamplingConfig(seed=seed, length=6, num_samples=3)
    pieces = list(Session(GRU, config, "", engine=EngineConfig(engine="numpy"), mixture=mixture).pieces())
    first = "".join(piece.text for piece in pieces if piece.sample == 0)
    assert first == write(mixture, seed=seed, length=6)


def test_torch_writes_the_same() -> None:
    mixture, config = mixed(GRU, LSTM), SamplingConfig(seed=3, length=60)
    torch = Session(GRU, config, "the ", engine=EngineConfig(engine="torch", device="cpu"), mixture=mixture)
    assert "".join(piece.text for piece in torch.pieces()) == write(mixture, "the ", seed=3, length=60)


def test_filters_and_limits_are_on_the_mixture() -> None:
    # Alone, one would only write a, the other only b; together a has 0.4 and b 0.5.
    assert set(write(mixed(A, B), top_k=1, until_end=False)) == {"b"}
    assert set(write(mixed(A, B), min_p=0.9, until_end=False)) == {"b"}
    assert set(write(mixed(A, B), min_p=0.7, temperature=1.0, until_end=False)) == {"a", "b"}
    assert set(write(mixed(A, B), ban="b", until_end=False)) == {"a"}
    assert "ab" not in write(mixed(A, B), stop=("ab",), until_end=False)
    assert len(write(mixed(A, B), length=0, until_end=True, min_length=7)) >= 7
    assert set(write(mixed(A, B), temperature=0.0, repetition_penalty=5.0, until_end=False)) == {"a", "b"}


def test_lines_of_primes_and_unknown_characters_are_read_by_both() -> None:
    mixture = mixed(GRU, LSTM)
    config, engine = SamplingConfig(seed=1, length=5), EngineConfig(engine="numpy")
    lines = [("line 1", "the "), ("line 2", "cat.")]
    pieces = list(Session(GRU, config, lines, engine=engine, mixture=mixture).pieces())
    assert "".join(piece.text for piece in pieces if piece.sample == 0) == write(mixture, "the ", length=5)
    assert write(mixture, "theX ", PrimeConfig(unknown="token"), length=5).startswith("the ")


def test_labels_are_those_of_both() -> None:
    labelled = Vocabulary.of("the cat.\n", "character", {"x": 3, "y": 1})
    first, second = network("gru", 1, labelled), network("gru", 2, labelled)
    for each in (first, second):
        for array in each.model.values():
            array *= 5  # so that it matters which token is read
    assert write(mixed(first, second), label="x") != write(mixed(first, second), label="y")
    with pytest.raises(UsageError, match=r"have the same labels: model 0 has x, y, model 1 none"):
        mixed(first, GRU)


@pytest.mark.parametrize("setting", ["load_state", "save_state"])
def test_a_state_is_of_one_model(setting: str) -> None:
    with pytest.raises(UsageError, match=f"{setting} is for the state of one model; it cannot go with several"):
        write(mixed(GRU, LSTM), "", PrimeConfig(**{setting: "file"}))


def test_alphabets_that_differ_are_refused_with_what_differs() -> None:
    def of(characters: str) -> Vocabulary:
        return Vocabulary.of(characters, "character")

    check_alphabets([of("abc"), of("cba")], ["x", "y"])
    with pytest.raises(UsageError, match=r"only x knows 'c', and only y knows '\\n', 'd'\ntrain a model on all"):
        check_alphabets([of("abc"), of("abd\n")], ["x", "y"])
    with pytest.raises(UsageError, match=r"only y knows ('.', ){9}'.' and 16 more"):
        check_alphabets([of("A"), of("AabcdefghijklmnopqrstuvwxyzA")], ["x", "y"])
    with pytest.raises(UsageError, match="x reads characters, and y bytes"):
        check_alphabets([of("abc"), Vocabulary.of("", "byte")], ["x", "y"])


@given(st.lists(st.one_of(st.none(), st.floats(1e-3, 1e3)), min_size=1, max_size=6))
def test_shares_sum_to_one(weights: list[float | None]) -> None:
    given_ones = [weight for weight in weights if weight is not None]
    if None in weights and sum(given_ones) >= 1:
        with pytest.raises(UsageError, match="leaves nothing for a model without one"):
            shares_of(weights)
        return
    shares = shares_of(weights)
    assert math.fsum(shares) == pytest.approx(1)
    assert min(shares) > 0
    if None in weights:
        assert [share for share, weight in zip(shares, weights, strict=True) if weight is not None] == given_ones


def test_huge_weights_of_a_network_are_told() -> None:
    broken = replace(LSTM, model={name: array * np.float32(np.inf) for name, array in LSTM.model.items()})
    with pytest.raises(CheckpointError, match="overflow"):
        write(mixed(GRU, broken))
