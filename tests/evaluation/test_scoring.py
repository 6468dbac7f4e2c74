"""Sums that are checked against arithmetic, and that do not depend on how the text is read."""

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.evaluation import scoring
from charrnn.evaluation.characters import character_scores, line_scores
from charrnn.evaluation.scoring import Scored, Segments, carried, overlapping, score, scored, windowed
from charrnn.model import CharacterModel, model_from_arrays
from charrnn.settings.model import ModelConfig
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
    for first, begin, last, _ in zip(*segments, strict=True):
        state = model.initial_state(1)
        for place in range(first, last):
            logits, state = model(torch.tensor([[int(tokens.ids[place])]]), state)
            if place >= begin:
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


@pytest.mark.slow
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


@pytest.mark.parametrize("block", [1, 40, 10**6])
@pytest.mark.parametrize("choose", [carried, lambda t: windowed(t, 5), lambda t: overlapping(t, 7, 3)])
@torch.no_grad()
def test_each_target_is_scored_once_and_in_the_order_of_the_text(
    monkeypatch: pytest.MonkeyPatch, choose: Callable[[Tokens], Segments], block: int
) -> None:
    monkeypatch.setattr(scoring, "_BLOCK", block)
    tokens, model = tokenize(TEXTS, VOCABULARY), network()
    segments = choose(tokens)
    pieces = list(scored(model, tokens, segments, VOCABULARY, rows=3, chunk=10))
    found = Scored(*map(np.concatenate, zip(*pieces, strict=True)))
    targets = [place for place in range(len(tokens.ids)) if tokens.ids[place] != VOCABULARY.start]
    assert found.places.tolist() == targets
    assert found.ids.tolist() == tokens.ids[targets].tolist()
    expected = []
    for first, start, last, _ in zip(*segments, strict=True):
        ids = torch.from_numpy(tokens.ids[first:last].astype(np.int64))[None]
        logits, _ = model(ids, model.initial_state(1))
        for place in range(start, last):
            row, target = logits[0, place - first], int(tokens.ids[place + 1])
            expected.append((-row.log_softmax(-1)[target].item(), 1 + int((row > row[target]).sum())))
    assert found.nats.tolist() == pytest.approx([nats for nats, _ in expected], abs=1e-5)
    assert found.ranks.tolist() == [rank for _, rank in expected]


@given(st.integers(0, 2**32 - 1), st.integers(0, 117))
def test_nats_add_up_exactly_in_any_order(seed: int, cut: int) -> None:
    tokens = tokenize(TEXTS, VOCABULARY)
    pieces = scored(network(), tokens, carried(tokens), VOCABULARY)
    nats = np.random.default_rng(seed).permutation(np.concatenate([piece.nats for piece in pieces]))
    assert nats[:cut].sum() + nats[cut:].sum() == sum(nats.tolist()) == math.fsum(nats)


def test_of_equally_likely_tokens_the_first_has_the_better_rank() -> None:
    tokens = tokenize(["the cat"], VOCABULARY)
    (piece,) = scored(uniform(), tokens, carried(tokens), VOCABULARY)
    assert piece.ranks.tolist() == [int(token) + 1 for token in piece.ids]
    assert score(uniform(), tokens, carried(tokens), VOCABULARY).correct == "the cat".count(VOCABULARY.characters[0])


def test_unknown_characters_have_no_cost_but_a_place() -> None:
    tokens = tokenize(["aXe"], VOCABULARY)
    (piece,) = scored(network(), tokens, carried(tokens), VOCABULARY)
    assert np.isnan(piece.nats).tolist() == [False, True, False, False]
    assert (piece.ranks == 0).tolist() == [False, True, False, False]


def test_a_text_in_its_own_vocabulary_is_scored_like_one_in_the_models() -> None:
    own = Vocabulary.of("XYcaeht 한", "character")
    documents = ["the XX cat Y", "tea", "한"]
    expected = score(network(), tokenize(documents, VOCABULARY), carried(tokenize(documents, VOCABULARY)), VOCABULARY)
    tokens = tokenize(documents, own)
    found = score(network(), tokens, carried(tokens), VOCABULARY, translation=own.translation(VOCABULARY))
    assert found == expected
    assert found.unknown == 3


def test_a_translation_finds_characters_and_special_tokens() -> None:
    own = Vocabulary.of("aX한", "character")
    tokens = tokenize(["X한a"], own)
    assert own.translation(VOCABULARY)[tokens.ids].tolist() == tokenize(["X한a"], VOCABULARY).ids.tolist()
    assert own.translation(own).tolist() == list(range(own.size))


def test_a_reader_that_stops_leaves_the_model_as_it_was() -> None:
    tokens, model = tokenize(TEXTS, VOCABULARY), network().train()
    pieces = scored(model, tokens, carried(tokens), VOCABULARY, chunk=10)
    next(pieces)
    assert not model.training
    pieces.close()
    assert model.training


@pytest.mark.slow
@pytest.mark.parametrize("documents", [1, 400])
def test_characters_are_scored_in_constant_memory(monkeypatch: pytest.MonkeyPatch, documents: int) -> None:
    monkeypatch.setattr(scoring, "_BLOCK", 3000)
    vocabulary = Vocabulary.of("ab\n", "character")
    config = ModelConfig("rnn", 1, 2, "one-hot", None, 0.0)
    model = model_from_arrays(config, vocabulary, random_checkpoint(config, vocabulary).model)

    def peak(characters: int) -> int:
        tokens = tokenize(["ab\n" * (characters // documents // 3)] * documents, vocabulary)
        pieces = scored(model, tokens, carried(tokens), vocabulary, chunk=1000)
        tracemalloc.start()
        assert sum(line.nats for line in line_scores(character_scores(pieces, tokens, vocabulary, vocabulary))) > 0
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    peak(6_000)  # what is made once
    assert peak(30_000) < peak(6_000) + 200_000  # of 32 bytes for each of 24,000 characters more


@torch.no_grad()
def test_alternatives_are_the_likeliest_that_are_text() -> None:
    tokens, model = tokenize(TEXTS, VOCABULARY), network()
    pieces = list(scored(model, tokens, carried(tokens), VOCABULARY, alternatives=3, rows=2, chunk=10))
    found = Scored(*map(np.concatenate, zip(*pieces, strict=True)))
    assert found.likeliest.shape == found.shares.shape == (len(found.places), 3)
    logits, _ = model(
        torch.from_numpy(tokens.ids[: tokens.offsets[1] - 1].astype(np.int64))[None], model.initial_state(1)
    )
    shares = logits[0].softmax(-1).numpy()
    listed = [*range(VOCABULARY.start), VOCABULARY.end]
    for row, ids, own in zip(shares, found.likeliest, found.shares, strict=False):
        assert ids.tolist() == sorted(listed, key=lambda token, row=row: -row[token])[:3]
        np.testing.assert_allclose(own, row[ids], rtol=1e-5)
