"""Sums that are checked against arithmetic, and that do not depend on how the text is read."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import ModelConfig
from charrnn.evaluation.scoring import Segments, carried, overlapping, score, windowed
from charrnn.model import CharacterModel, model_from_arrays
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

TEXTS = ["the cat", "a", "한국어 cat the tea", "t" * 90]
VOCABULARY = Vocabulary.of("".join(TEXTS), "character")


def network(cell: str = "gru") -> CharacterModel:
    config = ModelConfig(cell, 2, 6, "embedding", 5, 0.5)
    return model_from_arrays(config, VOCABULARY, random_checkpoint(config, VOCABULARY).model)


def uniform() -> CharacterModel:
    model = network()
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    return model


def brute_force(model: CharacterModel, tokens: Tokens, segments: Segments) -> float:
    """The same sum, a token at a time."""
    nats = 0.0
    for first, scored, last in zip(*segments, strict=True):
        state = model.initial_state(1)
        for place in range(first, last):
            logits, state = model(torch.tensor([[int(tokens.ids[place])]]), state)
            if place >= scored:
                nats -= logits[0, 0].log_softmax(-1)[int(tokens.ids[place + 1])].item()
    return nats


@pytest.mark.parametrize("choose", [carried, lambda t: windowed(t, 5), lambda t: overlapping(t, 7, 3)])
@torch.no_grad()
def test_the_sum_is_that_of_single_steps(choose: object) -> None:
    tokens = tokenize(TEXTS, VOCABULARY)
    segments = choose(tokens)  # type: ignore[operator]
    found = score(network(), tokens, segments, VOCABULARY)
    assert found.nats == pytest.approx(brute_force(network(), tokens, segments), rel=1e-6)
    assert found.characters == tokens.targets == sum(len(text) + 1 for text in TEXTS)


@given(st.integers(1, 9), st.integers(1, 40), st.sampled_from(["carried", "windowed"]))
def test_the_result_does_not_depend_on_rows_or_chunks(rows: int, chunk: int, protocol: str) -> None:
    tokens = tokenize(TEXTS, VOCABULARY)
    segments = carried(tokens) if protocol == "carried" else windowed(tokens, 6)
    expected = score(network(), tokens, segments, VOCABULARY)
    found = score(network(), tokens, segments, VOCABULARY, rows=rows, chunk=chunk)
    assert found.nats == pytest.approx(expected.nats, rel=1e-6)
    assert found[1:] == expected[1:]


def test_a_uniform_model_costs_log_v() -> None:
    found = score(uniform(), tokenize(TEXTS, VOCABULARY), carried(tokenize(TEXTS, VOCABULARY)), VOCABULARY)
    assert found.nats_per_character == pytest.approx(math.log(VOCABULARY.size), rel=1e-6)
    assert found.bits_per_character == pytest.approx(math.log2(VOCABULARY.size), rel=1e-6)
    assert found.perplexity == pytest.approx(VOCABULARY.size, rel=1e-5)


@pytest.mark.parametrize(("text", "ratio"), [("the tea", 1), ("éééé", (2 * 4 + 1) / 5), ("한국어", (3 * 3 + 1) / 4)])
def test_bits_per_byte_count_the_bytes_of_utf8(text: str, ratio: float) -> None:
    vocabulary = Vocabulary.of(text, "character")
    config = ModelConfig("rnn", 1, 4, "one-hot", None, 0.0)
    model = model_from_arrays(config, vocabulary, random_checkpoint(config, vocabulary).model)
    tokens = tokenize([text], vocabulary)
    found = score(model, tokens, carried(tokens), vocabulary)
    assert found.bits_per_character == pytest.approx(found.bits_per_byte * ratio)


def test_unknown_characters_are_counted_and_not_scored() -> None:
    tokens = tokenize(["the XX cat Y"], VOCABULARY)
    found = score(network(), tokens, carried(tokens), VOCABULARY)
    assert found.unknown == 3
    assert found.characters == len("the XX cat Y") + 1 - 3
    assert found.bytes == found.characters


@torch.no_grad()
def test_accuracy_is_the_share_of_best_guesses() -> None:
    tokens = tokenize(["the tea cat"], VOCABULARY)
    model = network()
    logits, _ = model(torch.from_numpy(tokens.ids[:-1].astype(np.int64))[None], model.initial_state(1))
    right = (logits[0].argmax(-1).numpy() == tokens.ids[1:]).sum()
    assert score(model, tokens, carried(tokens), VOCABULARY).correct == right


def test_windows_with_a_long_context_come_close_to_the_carried_state() -> None:
    tokens = tokenize(["the cat and the tea" * 40], Vocabulary.of("the cat and the tea", "character"))
    vocabulary = Vocabulary.of("the cat and the tea", "character")
    config = ModelConfig("lstm", 1, 6, "one-hot", None, 0.0)
    model = model_from_arrays(config, vocabulary, random_checkpoint(config, vocabulary).model)
    whole = score(model, tokens, carried(tokens), vocabulary)
    near = score(model, tokens, overlapping(tokens, 100, 60), vocabulary)
    cold = score(model, tokens, windowed(tokens, 100), vocabulary)
    assert near.characters == whole.characters
    assert near.nats == pytest.approx(whole.nats, rel=1e-5)
    assert cold.nats != pytest.approx(whole.nats, rel=1e-5)


def test_the_model_is_scored_without_dropout_and_left_in_its_mode() -> None:
    tokens = tokenize(TEXTS, VOCABULARY)
    model = network().train()
    first = score(model, tokens, carried(tokens), VOCABULARY)
    assert first == score(model, tokens, carried(tokens), VOCABULARY)
    assert model.training
