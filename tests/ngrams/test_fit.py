"""The weights of a mixture: those with which targets were drawn, and the least cost."""

import numpy as np
import pytest

from charrnn.ngrams.copies import LENGTHS, Copies
from charrnn.ngrams.fit import fitted_weights
from charrnn.ngrams.table import PRIOR, Precedents, known

M, V = 12_000, 9


def drawn(weights: np.ndarray, copying: np.ndarray, recalling: np.ndarray) -> tuple:
    """Logits and logarithms, what is known, and targets drawn from the mixture with these weights."""
    random = np.random.default_rng(3)
    logits = random.normal(size=(M, V), scale=2).astype(np.float32)
    logs = np.log(random.dirichlet([0.3] * V, M) + 1e-4).astype(np.float32)
    contexts = np.where(random.random((M, 1)) < 0.5, [5, -1], [5, 8])
    copies = Copies(random.choice([0, 0, 2, 5], M), random.integers(0, V, M))
    same = random.random(M) < 0.3
    recalled = Copies(random.choice([0, 5, 9], M), np.where(same, copies.tokens, random.integers(0, V, M)))
    w = weights[known(contexts)] + copying[copies.ranks, 1:] + recalling[recalled.ranks, 1:]
    mixed = w[:, :1] * logits + w[:, 1:] * logs
    mixed[np.arange(M), copies.tokens] += copying[copies.ranks, 0]
    mixed[np.arange(M), recalled.tokens] += recalling[recalled.ranks, 0]
    targets = (mixed + random.gumbel(size=(M, V))).argmax(1)
    return logits, logs, Precedents(contexts, copies, recalled), targets


NONE = np.zeros((len(LENGTHS) + 1, 3))


def test_the_weights_are_those_by_which_the_targets_came() -> None:
    weights = np.array([PRIOR, (0.6, 0.5), (0.3, 0.9)])
    copying, recalling = NONE.copy(), NONE.copy()
    copying[2], copying[5] = (1.5, 0.1, -0.1), (4.0, -0.1, 0.2)
    recalling[5], recalling[9] = (1.0, 0.1, 0.1), (3.0, -0.2, 0)
    found, copied, recalled = fitted_weights(*drawn(weights, copying, recalling))
    assert found == pytest.approx(weights, abs=0.08)
    assert copied == pytest.approx(copying, abs=0.25)
    assert recalled == pytest.approx(recalling, abs=0.25)
    assert found[0].tolist() == pytest.approx(PRIOR)  # which no target told of
    assert not copied[[0, 1, 3, 4, 6, 7, 8, 9]].any()


def test_few_targets_leave_the_weights_where_they_are() -> None:
    weights = np.array([PRIOR, (0.0, 2.0), (0.0, 2.0)])
    logits, logs, known_before, targets = drawn(weights, NONE, NONE)
    few = np.arange(3)
    found, *more = fitted_weights(logits[few], logs[few], known_before.at(few), targets[few])
    assert np.abs(found - PRIOR).max() < 0.7
    assert np.abs(more).max() < 0.7


def test_a_network_that_knows_all_or_nothing_is_weighted_by_that() -> None:
    _, logs, before, targets = drawn(np.tile(PRIOR, (3, 1)), NONE, NONE)
    nothing = np.zeros((M, V), np.float32)
    found, *_ = fitted_weights(nothing, logs, before, targets)
    assert found[1:, 0].tolist() == pytest.approx([PRIOR[0]] * 2, abs=1e-3)  # it is the same with any weight
    oracle = np.where(np.arange(V) == targets[:, None], 5, 0).astype(np.float32)
    found, *_ = fitted_weights(oracle, logs, before, targets)
    assert (found[1:, 0] > 1).all()
