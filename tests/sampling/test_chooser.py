"""The draw of tokens for several streams: by the filters' distributions, each by its own row alone."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CheckpointError
from charrnn.sampling.chooser import Chooser, surprisals
from charrnn.sampling.filters import draw, probabilities
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("abcdef")
logit = st.floats(-30, 30, width=32) | st.sampled_from([0.0, -math.inf, 3e38, -3e38])
rows = st.lists(logit, min_size=VOCABULARY.size, max_size=VOCABULARY.size).filter(lambda row: max(row[:6]) > -math.inf)
configs = st.builds(
    SamplingConfig,
    seed=st.integers(0, 9),
    until_end=st.booleans(),
    temperature=st.sampled_from([0, 1e-300, 0.5, 1, 1e300]),
    top_k=st.none() | st.integers(1, 9),
    top_p=st.none() | st.floats(0.01, 1),
    min_length=st.integers(0, 2),
)


def streams(config: SamplingConfig, count: int) -> list[Stream]:
    return [Stream(VOCABULARY, config, index) for index in range(count)]


def settings(**values: Any) -> SamplingConfig:
    return SamplingConfig(**{"seed": 1, "until_end": False} | values)


@given(st.lists(rows, min_size=1, max_size=5), configs)
def test_each_row_is_drawn_as_by_itself(table: list[list[float]], config: SamplingConfig) -> None:
    logits, chooser = np.array(table, np.float32), Chooser(VOCABULARY, config)
    together = chooser.choose(logits, streams(config, len(table)))
    alone = [chooser.choose(row[None], [own]) for row, own in zip(logits, streams(config, len(table)), strict=True)]
    assert [[token] for token in together] == alone
    for row, stream, token in zip(logits, streams(config, len(table)), together, strict=True):
        allowed = row.astype(np.float64)
        allowed[[VOCABULARY.start, VOCABULARY.unknown]] = -np.inf
        if not config.until_end or config.min_length:
            allowed[VOCABULARY.end] = -np.inf
        assert token == draw(probabilities(allowed, config), stream.uniform())


@given(rows, st.sets(st.integers(0, 5)))
def test_what_is_forbidden_is_not_drawn(row: list[float], forbidden: set[int]) -> None:
    config = settings(temperature=1)
    logits, mask = np.array([row], np.float32), np.isin(np.arange(VOCABULARY.size), list(forbidden))[None]
    (token,) = Chooser(VOCABULARY, config).choose(logits, streams(config, 1), mask)
    rest = [place for place in range(6) if place not in forbidden and row[place] > -math.inf]
    assert token in rest if rest else token == -1


@pytest.mark.parametrize("count", [1, 3])
def test_infinite_logits_are_drawn_and_what_is_forbidden_is_not(count: int) -> None:
    logits = np.zeros((count, VOCABULARY.size), np.float32)
    logits[:, [2, VOCABULARY.start, VOCABULARY.unknown, VOCABULARY.end]] = np.inf
    assert Chooser(VOCABULARY, settings()).choose(logits, streams(settings(), count)) == [2] * count


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("config", [settings(), settings(top_k=2), settings(temperature=0)], ids=["plain", "k", "0"])
def test_a_model_that_expects_nothing_is_refused(count: int, config: SamplingConfig) -> None:
    for value in (np.nan, -np.inf):
        logits = np.zeros((count, VOCABULARY.size), np.float32)
        logits[-1] = value
        with pytest.raises(CheckpointError, match="gives no character a probability"):
            Chooser(VOCABULARY, config).choose(logits, streams(config, count))


def test_a_stream_takes_its_numbers_in_the_order_of_its_seed() -> None:
    own = Stream(VOCABULARY, settings(seed=5), 3)
    random = np.random.default_rng((5, 3))
    assert [own.uniform() for _ in range(200)] == [random.random() for _ in range(200)]


def test_surprisals_are_logarithms_of_the_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32)) + np.float32([[3], [-4]])
    np.testing.assert_allclose(surprisals(logits, [1, 2]), [-math.log(0.25), -math.log(0.8)], rtol=1e-6)
    assert math.isnan(surprisals(np.array([[np.inf, 0]], np.float32), [0])[0])
