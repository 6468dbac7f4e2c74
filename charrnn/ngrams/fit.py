"""The weights of a mixture of a network and n-grams with which a held-out text costs the least."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.table import NgramTable, Precedents, known, unfitted

__all__ = ["fitted_table"]

_STRENGTH = 10.0  # of the prior, so that few targets move the weights little
_STEPS = 12
_ROWS, _LOGITS = 2**11, 2**20  # of targets that are reckoned at a time, at most: their numbers stay in the caches
_ENOUGH = 1e-2  # nats in all that a step must gain

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Array = NDArray[Any]


class _Cost(NamedTuple):
    """A cost in nats, its gradient (P,) and its curvature (P, P)."""

    nats: float
    gradient: Array
    curvature: Array


def fitted_table(table: NgramTable, logits: Floats, found: Precedents, targets: Indices) -> NgramTable:
    """The table with the weights that suit a network best.

    The cost of the targets is convex in all of them, so Newton's method finds its least. It begins at the table's
    weights, which are near it when they were fitted before.

    Args:
        logits: those of the network, (M, V).
        found: what is known before the targets.
        targets: token ids (M,).
    """
    prior, rows = _in_a_row(unfitted(table.longest)), min(_ROWS, max(_LOGITS // table.vocabulary_size, 1))
    slices = [np.arange(k, min(k + rows, len(targets))) for k in range(0, len(targets), rows)]
    pieces = [_Piece(table, logits[own], found.at(own), targets[own]) for own in slices]
    weights = _in_a_row(table.mixing)
    cost = _cost_of_all(weights, prior, pieces)
    for _ in range(_STEPS):
        step, share = np.linalg.solve(cost.curvature, cost.gradient), 1.0
        while (better := _cost_of_all(weights - share * step, prior, pieces)).nats > cost.nats and share > 1e-3:
            share /= 2
        gain = cost.nats - better.nats
        if gain > 0:
            weights, cost = weights - share * step, better
        if gain < _ENOUGH:
            break
    return table.weighted(_by_name(weights.astype(np.float32), table))


def _cost_of_all(weights: Doubles, prior: Doubles, pieces: "list[_Piece]") -> _Cost:
    """The cost of all targets and of the distance from a prior, with some weights (P,)."""
    away = weights - prior
    nats, gradient = _STRENGTH * float(away @ away), 2 * _STRENGTH * away
    curvature = 2 * _STRENGTH * np.eye(len(weights))
    for piece in pieces:
        more = piece.cost(weights)
        nats += more.nats
        gradient += more.gradient
        curvature += more.curvature
    return _Cost(nats, gradient, curvature)


def _in_a_row(mixing: dict[str, Floats]) -> Doubles:
    """The weights (P,) one after the other."""
    return np.concatenate([array.ravel() for array in mixing.values()]).astype(np.float64)


def _by_name(numbers: Array, table: NgramTable) -> dict[str, Array]:
    """Numbers (P,), one for each weight, in the shapes of the table's weights."""
    arrays = table.mixing
    ends = np.cumsum([array.size for array in arrays.values()])
    parts = np.split(numbers, ends[:-1])
    return {name: part.reshape(array.shape) for (name, array), part in zip(arrays.items(), parts, strict=True)}


class _Piece:
    """The cost of some targets as a function of all P weights, those of `NgramTable.mixing` one after the other.

    A target's logits are sums of features times weights. Two features have a number for each token: the network's
    logits and the n-grams' logarithms, (M, 2, V). The others are 1 for one token: those of `Precedents.tokens`, (M, S).
    The weights of the first two are in turn sums of three of the P; so six of them count at a target, and S.
    """

    def __init__(self, table: NgramTable, logits: Floats, found: Precedents, targets: Indices) -> None:
        self._parts = np.stack([logits, table.log_probabilities(found.contexts)], 1)
        self._rows, self._targets = np.arange(len(targets)), targets
        self._tokens = found.tokens.astype(np.int64)
        self._some = self._tokens >= 0
        self._same = self._tokens[:, :, None] == self._tokens[:, None]
        size = sum(array.size for array in table.mixing.values())
        numbers = _by_name(np.arange(size), table)
        doubts = table.doubts(found.contexts)
        pair, following = numbers["weights"][known(found.contexts), doubts], numbers["following"].T[doubts]
        copying, recalling = numbers["copying"][found.copies.ranks], numbers["recalling"][found.recalled.ranks]
        sums = [pair, copying[:, 1:], recalling[:, 1:]]
        self._own: Indices = np.concatenate([*sums, copying[:, :1], recalling[:, :1], following], 1)  # (M, 6 + S)
        self._features = [0, 1] * len(sums) + list(range(2, 2 + self._tokens.shape[1]))  # theirs
        is_told = np.repeat(self._some[:, :2], 2, 1)  # the weights of a repetition stay as they are where there is none
        self._counts = np.concatenate([np.ones((len(targets), 2)), is_told, self._some], 1)

    def cost(self, weights: Doubles) -> _Cost:
        """The cost with some weights (P,)."""
        own = weights[self._own] * self._counts
        pair = (own[:, 0:2] + own[:, 2:4] + own[:, 4:6])[:, None].astype(np.float32)
        mixed = (pair @ self._parts)[:, 0]
        for tokens, more in zip(self._tokens.T, own[:, 6:].T, strict=True):
            mixed[self._rows, tokens] += more.astype(np.float32)
        mixed -= mixed.max(1, keepdims=True)
        aimed = mixed[self._rows, self._targets].astype(np.float64)
        shares = np.exp(mixed, out=mixed)
        sums = shares.sum(1, dtype=np.float64)
        shares /= sums[:, None].astype(np.float32)
        mean, covariance = self._moments(shares)
        differences = (mean - self._at_targets())[:, self._features] * self._counts
        covariances = covariance[:, self._features][:, :, self._features]
        covariances *= self._counts[:, :, None] * self._counts[:, None]
        size = len(weights)
        gradient = np.bincount(self._own.ravel(), differences.ravel(), size)
        pairs = self._own[:, :, None] * size + self._own[:, None]
        curvature = np.bincount(pairs.ravel(), covariances.ravel(), size**2).reshape(size, size)
        return _Cost(float((np.log(sums) - aimed).sum()), gradient, curvature)

    def _moments(self, shares: Floats) -> tuple[Doubles, Doubles]:
        """Means (M, 2 + S) and covariances (M, 2 + S, 2 + S) of the features under shares (M, V)."""
        weighed = self._parts * shares[:, None]
        at_tokens = np.take_along_axis(shares, self._tokens.clip(0), 1) * self._some
        mean = np.concatenate([weighed.sum(2, dtype=np.float64), at_tokens], 1)
        square = np.zeros((*mean.shape, mean.shape[1]))
        square[:, :2, :2] = weighed @ self._parts.transpose(0, 2, 1)
        square[:, :2, 2:] = np.take_along_axis(weighed, self._tokens.clip(0)[:, None], 2) * self._some[:, None]
        square[:, 2:, :2] = square[:, :2, 2:].transpose(0, 2, 1)
        square[:, 2:, 2:] = self._same * at_tokens[:, :, None]
        return mean, square - mean[:, :, None] * mean[:, None]

    def _at_targets(self) -> Doubles:
        """The features (M, 2 + S) at the targets."""
        return np.concatenate([self._parts[self._rows, :, self._targets], self._tokens == self._targets[:, None]], 1)
