"""Filters against a plain reference in double precision, over random and extreme logits."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.config import SamplingConfig
from charrnn.sampling.filters import draw, keep_top_k, keep_top_p, probabilities

numbers = st.floats(-1e30, 1e30) | st.floats(-20, 20)
logits = st.lists(numbers | st.just(-math.inf), min_size=1, max_size=30).filter(lambda row: max(row) > -math.inf)
configs = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0, 1e-300, 1e-9, 0.5, 1, 2, 1e9, 1e300]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
)


def reference(row: list[float], config: SamplingConfig) -> list[float]:
    """The same distribution in twenty plain lines; ties in top-p go to the lower id."""
    best = max(row)
    if config.temperature == 0:
        return [1.0 if k == row.index(best) else 0.0 for k in range(len(row))]
    scaled = [(x - best) / config.temperature for x in row]
    if config.top_k is not None and config.top_k < len(row):
        threshold = sorted(scaled, reverse=True)[config.top_k - 1]
        scaled = [x if x >= threshold else -math.inf for x in scaled]
    weights = [math.exp(x) for x in scaled]
    if config.top_p is not None:
        total, before = sum(weights), 0.0
        for rank, k in enumerate(sorted(range(len(row)), key=lambda k: (-weights[k], k))):
            share = weights[k] / total
            if rank and before >= config.top_p:
                weights[k] = 0.0
            before += share
    return [weight / sum(weights) for weight in weights]


@given(logits, configs)
def test_probabilities_are_those_of_the_reference(row: list[float], config: SamplingConfig) -> None:
    if config.top_p is not None:  # where a cumulative sum all but equals p, either answer is right
        everything = sorted(reference(row, SamplingConfig(temperature=config.temperature, top_k=config.top_k)))
        sums = np.cumsum(everything[::-1])
        assume(np.abs(sums - config.top_p).min() > 1e-9)
        assume(np.diff(everything).min(initial=1) > 1e-12 or len(set(everything)) == len(everything))
    found = probabilities(np.array(row), config)
    np.testing.assert_allclose(found, reference(row, config), atol=1e-9)


@given(logits, configs)
def test_every_filter_leaves_a_distribution_with_the_best_in_it(row: list[float], config: SamplingConfig) -> None:
    found = probabilities(np.array(row), config)
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)
    assert found[int(np.argmax(row))] > 0


@given(logits, configs, st.floats(0, 1, exclude_max=True))
def test_only_what_is_possible_is_drawn(row: list[float], config: SamplingConfig, uniform: float) -> None:
    distribution = probabilities(np.array(row), config)
    assert distribution[draw(distribution, uniform)] > 0


@given(st.integers(0, 5))
def test_draws_follow_the_distribution(seed: int) -> None:
    distribution = np.array([0.5, 0.0, 0.3, 0.2])
    drawn = [draw(distribution, u) for u in np.random.default_rng(seed).random(4000)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, distribution, atol=0.04)


def test_filters_take_many_rows_at_once() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 7))
    for function in (lambda x: keep_top_k(x, 3), lambda x: keep_top_p(x, 0.6)):
        np.testing.assert_array_equal(function(rows), np.stack([function(row) for row in rows]))


def test_top_k_and_top_p_by_hand() -> None:
    inf = math.inf
    row = np.log([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_array_equal(keep_top_k(row, 2), [-inf, row[1], -inf, row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 0.65), [-inf, row[1], -inf, row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 0.75), [-inf, row[1], row[2], row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 1e-9), [-inf, row[1], -inf, -inf])
