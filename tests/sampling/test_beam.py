"""Beam search: wide enough it finds the best text there is, one wide it is greedy."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, UsageError
from charrnn.sampling.batched import Beginning
from charrnn.sampling.beam import Continuation, beam_search, log_probabilities, write_likeliest
from charrnn.sampling.generate import Engine, generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.stream import Stream
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary
from tests.conftest import random_checkpoint
from tests.sampling.markov import Markov

VOCABULARY = Vocabulary("\nab")
START, END = VOCABULARY.start, VOCABULARY.end

configs = st.builds(
    SamplingConfig,
    length=st.integers(1, 4),
    until_end=st.booleans(),
    min_length=st.integers(0, 1),
    lines=st.none() | st.integers(1, 2),
    stop=st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=2).map(tuple),
    allow=st.none() | st.sampled_from(["ab", "a\\n"]),
)
primes = st.text("ab\n", max_size=3)


def search(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, prime: Ids
) -> tuple[Continuation, str, Stream]:
    """What a beam finds, the text, and the stream that has written it."""
    before = np.array([vocabulary.start, *prime])
    found = beam_search(engine, vocabulary, config, *engine.read(before[None], engine.initial_state(1)))
    beginning = Beginning(Stream(vocabulary, replace(config, seed=1), 0), engine.initial_state(1), before)
    (piece,) = write_likeliest(engine, vocabulary, config, lambda _: beginning, 1)
    assert piece.finished is not None
    stop = found.ids[len(piece.text) :]  # what is not written ends the text
    assert vocabulary.encode(piece.text).tolist() + stop.tolist() == found.ids.tolist()
    assert (piece.finished.finish in ("end", "stop")) == bool(len(stop))
    assert piece.finished.nats == pytest.approx(found.nats[: len(piece.text)].sum())
    return found, piece.text, piece.finished


def ways_to_end(config: SamplingConfig) -> Iterator[tuple[int, ...]]:
    """All token sequences by which a text may come to its end."""
    allowed = (config.allow or "ab\n").replace("\\n", "\n")
    characters = [token for token, character in enumerate(VOCABULARY.characters) if character in allowed]
    for length in range(config.length + 1):
        for ids in product(characters, repeat=length):
            text = VOCABULARY.decode(np.array(ids, dtype=np.int64))
            if any(ends(config, text[:place]) for place in range(len(text))):
                continue
            if ends(config, text):
                yield ids
            elif config.until_end and length >= config.min_length:
                yield (*ids, END)


def ends(config: SamplingConfig, text: str) -> bool:
    stopped = any(text.endswith(stop) for stop in config.stop)
    return stopped or len(text) == config.length or (config.lines is not None and text.count("\n") == config.lines)


@given(st.integers(0, 10**6), configs, primes)
def test_a_beam_that_holds_everything_finds_the_best_text(seed: int, config: SamplingConfig, prime: str) -> None:
    engine, before = Markov(VOCABULARY, seed), VOCABULARY.encode(prime)
    found, _, _ = search(engine, VOCABULARY, replace(config, beam=4**4), before)
    costs = {ids: engine.log_probability([START, *before.tolist()], ids) for ids in ways_to_end(config)}
    best = max(costs.values())
    assert found.log_probability == pytest.approx(best, abs=1e-4)
    assert costs[tuple(found.ids.tolist())] == pytest.approx(best, abs=1e-4)


@given(st.integers(0, 10**6), configs, primes)
def test_one_alone_is_greedy(seed: int, config: SamplingConfig, prime: str) -> None:
    engine, before = Markov(VOCABULARY, seed), VOCABULARY.encode(prime)
    config = replace(config, length=20)
    greedy = "".join(generate(engine, VOCABULARY, replace(config, temperature=0, seed=1), before))
    assert search(engine, VOCABULARY, replace(config, beam=1), before)[1] == greedy


@pytest.mark.parametrize("width", [2, 5])
def test_what_is_said_to_be_its_probability_is(width: int) -> None:
    engine, before = Markov(VOCABULARY, 3), VOCABULARY.encode("ab")
    found, _, stream = search(engine, VOCABULARY, SamplingConfig(length=30, until_end=False, beam=width), before)
    assert (len(found.ids), stream.finish) == (30, "length")
    expected = engine.log_probability([START, *before.tolist()], found.ids.tolist())
    assert found.log_probability == pytest.approx(expected, abs=1e-4)


def test_a_text_that_may_still_become_likelier_is_gone_on_with() -> None:
    engine = Markov(VOCABULARY, 0)
    a = int(VOCABULARY.encode("a")[0])
    engine.log_table[:] = np.log(1e-6)
    engine.log_table[START, START, [a, END]] = np.log([0.6, 0.4])
    engine.log_table[:, a, a] = 0
    found, text, _ = search(engine, VOCABULARY, SamplingConfig(length=3, until_end=True, beam=2), np.empty(0, np.int64))
    assert text == "aaa"
    assert found.log_probability == pytest.approx(np.log(0.6), abs=1e-4)


def test_rows_of_a_real_model_keep_their_own_states() -> None:
    checkpoint = random_checkpoint(ModelConfig("lstm", 2, 6, "embedding", 4, 0.0), Vocabulary("abcd"), seed=2)
    checkpoint.model["head.weight"] *= 20
    engine, V = NumpyEngine(checkpoint.config.model, checkpoint.model), checkpoint.vocabulary
    found, _, _ = search(engine, V, SamplingConfig(length=4, until_end=False, beam=4**4), V.encode("a"))
    ways = np.array(list(product(range(4), repeat=4)))
    logits, state = engine.read(np.array([[V.start, 0]] * len(ways)), engine.initial_state(len(ways)))
    total = np.zeros(len(ways))
    for column in ways.T:
        total += log_probabilities(logits)[np.arange(len(ways)), column]
        logits, state = engine.step(column, state)
    assert found.ids.tolist() == ways[total.argmax()].tolist()
    assert found.log_probability == pytest.approx(total.max(), abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.5}, {"top_k": 3}, {"repetition_penalty": 2.0}, {"num_samples": 2}, {"length": 0}, {"novel": 9}],
    ids=str,
)
def test_what_makes_no_sense_with_it_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(UsageError, match=f"beam .* {name}"):
        SamplingConfig(beam=2, **options)


def test_logits_that_are_no_numbers_are_refused_and_infinite_ones_are_not() -> None:
    assert log_probabilities(np.array([[np.inf, 1, -np.inf]])).tolist() == [[0, -np.inf, -np.inf]]
    for row in ([np.nan, 1], [-np.inf, -np.inf]):
        with pytest.raises(CheckpointError, match="overflow"):
            log_probabilities(np.array([row]))
