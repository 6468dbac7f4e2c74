"""Changes to logits before a token is drawn: pure functions on (..., V). Every filter keeps the best token."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import overflow
from charrnn.settings.sampling import SamplingConfig

__all__ = [
    "FILTERS",
    "below_best",
    "draw",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "keep_typical",
    "penalized",
    "probabilities",
]

Logits = NDArray[np.floating[Any]]


def keep_top_k(logits: Logits, k: int) -> Logits:
    """-inf for all but the k largest logits (and those equal to the k-th)."""
    if k >= logits.shape[-1]:
        return logits
    threshold = np.partition(logits, -k, axis=-1)[..., -k, None]
    return np.where(logits < threshold, -np.inf, logits)


def keep_top_p(logits: Logits, p: float) -> Logits:
    """-inf for all but the smallest set of likeliest tokens of total probability p or more (Holtzman et al. 2020)."""
    order = np.argsort(-logits, axis=-1, kind="stable")
    likeliest_first = np.take_along_axis(softmax(logits), order, axis=-1)
    before = np.cumsum(likeliest_first, axis=-1) - likeliest_first  # 0 for the best, which p > 0 keeps
    dropped = np.empty(logits.shape, dtype=bool)
    np.put_along_axis(dropped, order, before >= p, axis=-1)
    return np.where(dropped, -np.inf, logits)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """-inf for all tokens less likely than `p` times the likeliest (Nguyen et al. 2024)."""
    return np.where(below_best(logits) < np.log(p), -np.inf, logits)


def keep_typical(logits: Logits, p: float) -> Logits:
    """-inf for all but the smallest set of total probability p or more whose surprise is nearest the entropy.

    Locally typical sampling (Meister et al. 2023), except that the best token is kept, too.
    """
    distribution = softmax(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(distribution)
        entropy = np.where(distribution > 0, distribution * surprise, 0).sum(axis=-1, keepdims=True)
    order = np.argsort(np.abs(surprise - entropy), axis=-1, kind="stable")
    nearest_first = np.take_along_axis(distribution, order, axis=-1)
    before = np.cumsum(nearest_first, axis=-1) - nearest_first
    dropped = np.empty(logits.shape, dtype=bool)
    np.put_along_axis(dropped, order, before >= p, axis=-1)
    return np.where(dropped & (logits < logits.max(axis=-1, keepdims=True)), -np.inf, logits)


# The filters in their order, by the name of their setting; a filter whose setting is None is not applied.
FILTERS: dict[str, Callable[[Logits, Any], Logits]] = {
    "top_k": keep_top_k,
    "top_p": keep_top_p,
    "typical": keep_typical,
    "min_p": keep_min_p,
}


def penalized(logits: Logits, recent: NDArray[np.integer[Any]], penalty: float) -> Logits:
    """Positive logits of the `recent` tokens divided by the penalty, negative ones multiplied (Keskar et al. 2019)."""
    weighed: Logits = logits.astype(np.float64)
    own = weighed[..., recent]
    weighed[..., recent] = np.where(own > 0, own / penalty, own * penalty)
    return weighed


def softmax(logits: Logits) -> Logits:
    """exp(logits) normalised to the sum 1, in the logits' own precision."""
    exponentials: Logits = np.exp(below_best(logits))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return exponentials


def below_best(logits: Logits) -> Logits:
    """Difference of each logit to the largest, 0 or less: 0 for the largest itself, even if it is infinite."""
    best = logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(logits == best, 0, logits - best)


def probabilities(logits: Logits, config: SamplingConfig) -> Logits:
    """The distribution (..., V) that tokens are drawn from; at temperature 0 the best token has probability 1.

    Raises:
        CheckpointError: a logit is not a number, or all are -inf, as huge weights can make them.
    """
    if not (logits.max(axis=-1) > -np.inf).all():
        raise overflow("the model gives no character a probability")
    logits = logits.astype(np.float64)
    is_best = np.arange(logits.shape[-1]) == logits.argmax(axis=-1, keepdims=True)
    if config.temperature == 0:
        logits = np.where(is_best, 0.0, -np.inf)
    else:
        with np.errstate(over="ignore"):  # to -inf, at a tiny temperature
            logits = below_best(logits) / config.temperature
    for name, keep in FILTERS.items():
        if (bound := getattr(config, name)) is not None:
            logits = keep(logits, bound)
    # A huge temperature makes all logits equal, and a filter may then have dropped the best token.
    return softmax(np.where(is_best, 0.0, logits))


def draw(shares: Logits, uniform: float | NDArray[np.float64]) -> NDArray[np.int64]:
    """The tokens (...) at which the running sums of `shares` (..., V) pass `uniform`, in [0, 1), times their total."""
    cumulative = np.cumsum(shares, axis=-1)
    tokens: NDArray[np.int64] = (cumulative <= (uniform * cumulative[..., -1])[..., None]).sum(axis=-1)
    return tokens
