"""The weights of a mixture of a network and n-grams with which a held-out text costs the least."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.copies import LENGTHS
from charrnn.ngrams.table import PRIOR, Precedents, known

__all__ = ["fitted_weights"]

_STRENGTH = 4.0  # of the prior, so that few targets move the weights little
_STEPS = 12
_ENOUGH = 1e-2  # nats in all that a step must gain

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class _Cost(NamedTuple):
    """The cost in nats of all targets, with that of the distance from the prior; its gradient and curvature."""

    nats: float
    gradient: Doubles
    curvature: Doubles


def fitted_weights(
    logits: Floats, logs: Floats, found: Precedents, targets: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """The `weights` (N, 2), `copying` (R, 3) and `recalling` (R, 3) of a table, as its docstring has them.

    The cost of the targets is convex in all of them, so Newton's method finds its least.

    Args:
        logits, logs: those of the network and the logarithms of the n-grams' probabilities, (M, V).
        found: what is known before the targets.
        targets: token ids (M,).
    """
    rows, ranks = found.contexts.shape[1] + 1, len(LENGTHS) + 1
    prior = np.concatenate([np.tile(PRIOR, rows), np.zeros(2 * 3 * ranks)])
    fit = _Fit(np.stack([logits, logs], 1), found, targets, prior)
    weights, cost = prior, fit.cost(prior)
    for _ in range(_STEPS):
        step, share = np.linalg.solve(cost.curvature, cost.gradient), 1.0
        while (better := fit.cost(weights - share * step)).nats > cost.nats and share > 1e-3:
            share /= 2
        gain = cost.nats - better.nats
        if gain > 0:
            weights, cost = weights - share * step, better
        if gain < _ENOUGH:
            break
    weights = weights.astype(np.float32)
    copying, recalling = weights[2 * rows :].reshape(2, ranks, 3)
    return weights[: 2 * rows].reshape(rows, 2), copying, recalling


class _Fit:
    """The cost as a function of all weights: those of `weights`, then of `copying`, then of `recalling`.

    At every target eight of them count: w and v by its context, and for each of the two repetitions c, or d, and what
    is added to w and v. They are multiplied with four features: the network's logits and the n-grams' logarithms,
    (M, 2, V), and for each repetition 1 at its token.
    """

    _FEATURES = (0, 1, 2, 0, 1, 3, 0, 1)

    def __init__(self, parts: Floats, found: Precedents, targets: NDArray[np.int64], prior: Doubles) -> None:
        self._parts, self._targets, self._prior = parts, targets, prior
        both = (found.copies, found.recalled)
        self._rows = [np.flatnonzero(each.ranks) for each in both]  # of the targets that have a repetition
        self._tokens = [each.tokens[rows] for each, rows in zip(both, self._rows, strict=True)]
        by_context = 2 * known(found.contexts)
        own, counts = [by_context, by_context + 1], [np.ones(len(targets))] * 2
        first = 2 * (found.contexts.shape[1] + 1)
        for each in both:
            own += [first + 3 * each.ranks.astype(np.int64) + part for part in range(3)]
            counts += [(each.ranks > 0).astype(np.float64)] * 3
            first += 3 * (len(LENGTHS) + 1)
        # The weights (M, 8) at each target, and 0 for those of no repetition, which therefore stay as they are.
        self._own, self._counts = np.stack(own, 1), np.stack(counts, 1)

    def cost(self, weights: Doubles) -> _Cost:
        """The cost with some weights."""
        w, v, c, c_w, c_v, d, d_w, d_v = weights[self._own].T
        pair = np.stack([w + c_w + d_w, v + c_v + d_v], 1)[:, None].astype(np.float32)
        mixed = (pair @ self._parts)[:, 0]
        for rows, tokens, more in zip(self._rows, self._tokens, (c, d), strict=True):
            mixed[rows, tokens] += more[rows].astype(np.float32)
        mixed -= mixed.max(1, keepdims=True)
        aimed = mixed[np.arange(len(mixed)), self._targets].astype(np.float64)
        shares = np.exp(mixed, out=mixed)
        sums = shares.sum(1, dtype=np.float64)
        shares /= sums[:, None].astype(np.float32)
        away = weights - self._prior
        nats = float((np.log(sums) - aimed).sum() + _STRENGTH * away @ away)
        mean, square = self._moments(shares)
        features = list(self._FEATURES)
        differences = (mean - self._at_targets())[:, features] * self._counts
        covariances = (square - mean[:, :, None] * mean[:, None])[:, features][:, :, features]
        covariances *= self._counts[:, :, None] * self._counts[:, None]
        gradient, curvature = 2 * _STRENGTH * away, 2 * _STRENGTH * np.eye(len(weights))
        np.add.at(gradient, self._own, differences)
        np.add.at(curvature, (self._own[:, :, None], self._own[:, None]), covariances)
        return _Cost(nats, gradient, curvature)

    def _moments(self, shares: Floats) -> tuple[Doubles, Doubles]:
        """Means (M, 4) of the features under shares (M, V), and of their products (M, 4, 4)."""
        weighed = self._parts * shares[:, None]
        mean, square = np.zeros((len(shares), 4)), np.zeros((len(shares), 4, 4))
        mean[:, :2] = weighed.sum(2, dtype=np.float64)
        square[:, :2, :2] = weighed @ self._parts.transpose(0, 2, 1)
        for feature, rows, tokens in zip((2, 3), self._rows, self._tokens, strict=True):
            mean[rows, feature] = square[rows, feature, feature] = shares[rows, tokens]
            square[rows, feature, :2] = square[rows, :2, feature] = weighed[rows, :, tokens]
        same = np.full(len(shares), -1)
        same[self._rows[0]] = self._tokens[0]
        rows = self._rows[1][same[self._rows[1]] == self._tokens[1]]
        square[rows, 2, 3] = square[rows, 3, 2] = mean[rows, 2]
        return mean, square

    def _at_targets(self) -> Doubles:
        """The features (M, 4) at the targets."""
        found = np.zeros((len(self._targets), 4))
        found[:, :2] = self._parts[np.arange(len(found)), :, self._targets]
        for feature, rows, tokens in zip((2, 3), self._rows, self._tokens, strict=True):
            found[rows, feature] = self._targets[rows] == tokens
        return found
