"""Filters against a plain reference in double precision, over random and extreme logits."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from charrnn.errors import CheckpointError
from charrnn.sampling.filters import draw, keep_min_p, keep_top_k, keep_top_p, keep_typical, penalized, probabilities
from charrnn.settings.sampling import SamplingConfig

numbers = (
    st.floats(-1e30, 1e30)
    | st.floats(-20, 20)
    | st.floats(-1e-307, 1e-307)  # subnormal ones, too
    | st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-45, 3.4e38, -3.4e38, 1.7e308, -1.7e308])  # and so, ties
)
logits = st.lists(numbers | st.just(-math.inf), min_size=1, max_size=30).filter(lambda row: max(row) > -math.inf)
configs = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0, 1e-300, 1e-9, 0.5, 1, 2, 1e9, 1e300]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
)
filtered = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0, 1e-300, 0.5, 1, 1e300]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0, 1, exclude_min=True),
    min_p=st.none() | st.floats(0, 1, exclude_min=True),
    typical=st.none() | st.floats(0, 1, exclude_min=True),
)
shares = st.floats(1e-6, 1)


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


def reference_min_p(row: list[float], p: float) -> list[bool]:
    """Which tokens min-p keeps."""
    return [math.exp(x - max(row)) >= p for x in row]


def reference_typical(row: list[float], p: float) -> tuple[list[bool], float]:
    """Which tokens typical sampling keeps, and how near the choice was to another one."""
    weights = [math.exp(x - max(row)) for x in row]
    chances = [weight / sum(weights) for weight in weights]
    surprises = [-math.log(chance) if chance else math.inf for chance in chances]
    entropy = sum(chance * surprise for chance, surprise in zip(chances, surprises, strict=True) if chance)
    distances = [abs(surprise - entropy) for surprise in surprises]
    order = sorted(range(len(row)), key=lambda k: distances[k])
    gaps = [distances[b] - distances[a] for a, b in itertools.pairwise(order) if distances[b] < math.inf]
    kept, mass, near = [x == max(row) for x in row], 0.0, min(gaps, default=1.0)
    for k in order:
        near = min(near, abs(mass - p))
        kept[k] = kept[k] or mass < p
        mass += chances[k]
    return kept, near


@given(logits, shares)
def test_min_p_keeps_what_the_reference_keeps(row: list[float], p: float) -> None:
    assume(min(abs(math.exp(x - max(row)) - p) for x in row) > 1e-9 * p)
    with np.errstate(over="ignore"):
        found = keep_min_p(np.array(row), p)
    assert (found > -np.inf).tolist() == [
        keep and x > -math.inf for keep, x in zip(reference_min_p(row, p), row, strict=True)
    ]


@given(st.lists(st.floats(-20, 20) | st.just(-math.inf), min_size=1, max_size=30), shares)
def test_typical_keeps_what_the_reference_keeps(row: list[float], p: float) -> None:
    assume(max(row) > -math.inf)
    kept, near = reference_typical(row, p)
    assume(near > 1e-9)
    found = keep_typical(np.array(row), p)
    assert (found > -np.inf).tolist() == [keep and x > -math.inf for keep, x in zip(kept, row, strict=True)]


def test_typical_by_hand_drops_what_surprises_too_much_but_never_the_best() -> None:
    row = np.log([0.5, 0.25, 0.15, 0.1])  # surprises 0.69, 1.39, 1.90, 2.30; entropy 1.21
    assert (keep_typical(row, 0.2) > -np.inf).tolist() == [True, True, False, False]  # the best, and the most typical
    assert (keep_typical(row, 0.8) > -np.inf).tolist() == [True, True, True, False]


@given(logits, st.lists(st.integers(0, 29)), st.floats(1, 1e6))
def test_a_penalty_divides_and_multiplies_as_the_reference_does(row: list[float], seen: list[int], by: float) -> None:
    recent = sorted({k % len(row) for k in seen})
    with np.errstate(over="ignore"):  # what overflows in double precision is no float32
        found = penalized(np.array(row), np.array(recent, dtype=np.int64), by)
    expected = [x if k not in recent else x / by if x > 0 else x * by for k, x in enumerate(row)]
    assert found.tolist() == expected


@given(logits, filtered, st.lists(st.integers(0, 29)), st.floats(1, 1e6), st.floats(0, 1, exclude_max=True))
def test_all_filters_together_leave_a_valid_draw(
    row: list[float], config: SamplingConfig, seen: list[int], penalty: float, uniform: float
) -> None:
    with np.errstate(over="ignore"):
        single = np.array(row, dtype=np.float32)
    assume(single.max() > -np.inf)
    weighed = penalized(single, np.array(sorted({k % len(row) for k in seen}), dtype=np.int64), penalty)
    assume(weighed.max() > -np.inf)
    found = probabilities(weighed, config)
    assert found.sum() == pytest.approx(1)
    assert found[int(np.argmax(weighed))] == found.max()
    assert found[draw(found, uniform)] > 0


@given(logits, configs)
@example([0.0, 1e-80], SamplingConfig(temperature=1e300, top_p=0.5))
def test_every_filter_leaves_a_distribution_with_the_best_in_it(row: list[float], config: SamplingConfig) -> None:
    with np.errstate(over="ignore"):  # to infinity
        rows = [np.array(row), np.array(row, dtype=np.float32)]
    for own in rows:
        if own.max() > -np.inf:
            found = probabilities(own, config)
            assert np.isfinite(found).all()
            assert (found >= 0).all()
            assert found.sum() == pytest.approx(1)
            assert found[int(np.argmax(own))] == found.max()


@given(st.floats(allow_nan=False) | st.just(math.inf), configs)
def test_a_single_token_is_certain(logit: float, config: SamplingConfig) -> None:
    assume(logit > -math.inf)
    assert probabilities(np.array([logit]), config).tolist() == [1.0]


@given(logits, st.integers(1, 40), st.floats(0, 1, exclude_min=True))
def test_temperature_0_is_the_best_token_and_the_coldest_all_but(row: list[float], k: int, p: float) -> None:
    for top_k, top_p in ((None, None), (k, None), (None, p), (k, p)):
        greedy = probabilities(np.array(row), SamplingConfig(temperature=0, top_k=top_k, top_p=top_p))
        assert greedy.tolist() == [float(index == row.index(max(row))) for index in range(len(row))]
        coldest = probabilities(np.array(row), SamplingConfig(temperature=1e-320, top_k=top_k, top_p=top_p))
        assert not coldest[np.array(row) < max(row)].any() or max(row) - sorted(set(row))[-2] < 1e-317


def test_the_hottest_temperature_makes_all_possible_tokens_alike() -> None:
    found = probabilities(np.array([3.0, -20.0, -math.inf, 0.0]), SamplingConfig(temperature=1e9))
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 0, 1 / 3], atol=1e-6)


@given(st.lists(st.sampled_from([math.inf, 0.0, -math.inf, 1e300]), min_size=1, max_size=9), configs)
def test_infinite_logits_share_everything(row: list[float], config: SamplingConfig) -> None:
    assume(math.inf in row)
    found = probabilities(np.array(row), config)
    assert found.sum() == pytest.approx(1)
    assert not found[np.array(row) < math.inf].any()


@pytest.mark.parametrize("row", [[0.0, math.nan], [math.nan], [-math.inf] * 3], ids=str)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_that_expects_nothing_is_not_drawn_from(row: list[float], temperature: float) -> None:
    with pytest.raises(CheckpointError, match="no character a probability"):
        probabilities(np.array(row), SamplingConfig(temperature=temperature, top_k=2, top_p=0.5))


@given(logits, st.integers(1, 40))
def test_top_k_keeps_the_k_best_and_those_equal_to_the_last_of_them(row: list[float], k: int) -> None:
    kept = keep_top_k(np.array(row), k)
    least = sorted(row, reverse=True)[min(k, len(row)) - 1]
    assert kept.tolist() == [x if x >= least else -math.inf for x in row]


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
    for function in (
        partial(keep_top_k, k=3),
        partial(keep_top_p, p=0.6),
        partial(keep_min_p, p=0.4),
        partial(keep_typical, p=0.6),
    ):
        np.testing.assert_array_equal(function(rows), np.stack([function(row) for row in rows]))


def test_top_k_and_top_p_by_hand() -> None:
    inf = math.inf
    row = np.log([0.1, 0.4, 0.2, 0.3])
    np.testing.assert_array_equal(keep_top_k(row, 2), [-inf, row[1], -inf, row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 0.65), [-inf, row[1], -inf, row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 0.75), [-inf, row[1], row[2], row[3]])
    np.testing.assert_array_equal(keep_top_p(row, 1e-9), [-inf, row[1], -inf, -inf])
