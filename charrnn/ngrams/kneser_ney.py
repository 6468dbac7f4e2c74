"""A character model that needs no network: interpolated modified Kneser-Ney smoothing of n-grams.

After Chen & Goodman 1998, "An empirical study of smoothing techniques for language modeling", section 3, with the
treatment of beginnings of Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["GramCounts", "KneserNey", "Shares", "best_order"]

# Discounts of grams that are seen once, twice and more often, where a text is too small to tell.
_USUAL_DISCOUNTS = (0.5, 1.0, 1.5)
_LONGEST = 20  # grams; those of a text that repeats itself would grow for ever
_CHUNK = 2**20  # places that are scored at a time

Numbers = NDArray[np.int64]


class _Level(NamedTuple):
    """The n-grams of one length: a number for each, its place in `keys`, which are its context's number times V plus
    its last token. `begins` is true for grams at the beginning of a document; `endings` are the numbers, one level
    below, of the grams without their first tokens."""

    keys: Numbers
    counts: Numbers
    begins: NDArray[np.bool_]
    endings: Numbers


class Shares(NamedTuple):
    """The discounted probability of every gram of one length, and for every context the share that is left for the
    grams that are shorter by one."""

    keys: Numbers
    own: NDArray[np.float64]
    left: NDArray[np.float64]


class GramCounts:
    """The n-grams within the documents of a text, counted level by level when a length is first asked for.

    A document's first token, which starts it, is context only; all others are targets.
    """

    def __init__(self, tokens: Tokens, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._ids, self._depths = tokens.ids.astype(np.int64), _depths(tokens, 0, len(tokens.ids))
        self._levels: list[_Level] = []
        self._numbers = self._ids  # of the gram that ends at each place, -1 where it would cross a border
        self._shares: dict[int, Shares] = {}  # of grams that are not the longest

    def level(self, length: int) -> _Level:
        """The grams of a length, from 1 on."""
        while len(self._levels) < length:
            self._levels.append(self._counted(len(self._levels) + 1))
        return self._levels[length - 1]

    def _counted(self, length: int) -> _Level:
        before, places = self._numbers, np.flatnonzero(self._depths >= length - 1)
        if length == 1:  # all tokens have a number, as any may be a context
            size = self.vocabulary.size
            keys, firsts = np.arange(size), np.zeros(size, np.int64)
            counts = np.bincount(self._ids[self._depths > 0], minlength=size)
            return _Level(keys, counts, np.zeros(size, bool), firsts)
        keys, firsts, numbers, counts = np.unique(
            before[places - 1] * self.vocabulary.size + self._ids[places],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        self._numbers = np.full(len(self._ids), -1)
        self._numbers[places] = numbers
        return _Level(keys, counts, self._depths[places[firsts]] == length - 1, before[places[firsts]])

    def shares(self, length: int, *, longest: bool) -> Shares:
        """The probabilities of the grams of a length, which is the `longest` of a model or not.

        The longest count how often they are seen, others how many tokens they are seen after, but at the beginning of a
        document, where nothing comes before.
        """
        if not longest and length in self._shares:
            return self._shares[length]
        level, contexts = self.level(length), len(self.level(length - 1).keys) if length > 1 else 1
        counts = level.counts
        if not longest:
            varied = np.bincount(self.level(length + 1).endings, minlength=len(counts))
            counts = np.where(level.begins, counts, varied)
        found = _discounted(level.keys, counts, level.keys // self.vocabulary.size, contexts)
        if not longest:
            self._shares[length] = found
        return found


def _depths(tokens: Tokens, start: int, stop: int) -> Numbers:
    """For each place from `start` to `stop` the number of tokens before it in its document."""
    places = np.arange(start, stop)
    offsets = tokens.offsets.astype(np.int64)
    return places - offsets[np.searchsorted(offsets, places, "right") - 1]


def _discounted(keys: Numbers, counts: Numbers, contexts: Numbers, number: int) -> Shares:
    discounts = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(contexts, counts, number)
    seen = totals > 0
    left = np.where(seen, np.bincount(contexts, discounts, number) / np.where(seen, totals, 1), 1.0)
    return Shares(keys, (counts - discounts) / np.where(seen, totals, 1)[contexts], left)


def _discounts(counts: Numbers) -> tuple[float, ...]:
    """Chen & Goodman's discounts (equation 26) from the numbers of grams that are counted one to four times."""
    t = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if not t.all():
        return _USUAL_DISCOUNTS
    Y = t[0] / (t[0] + 2 * t[1])
    found = tuple(float(k - (k + 1) * Y * t[k] / t[k - 1]) for k in (1, 2, 3))
    return found if all(0 <= each <= k for k, each in enumerate(found, 1)) else _USUAL_DISCOUNTS


class KneserNey:
    """The model of grams of at most `order` tokens, that is, of a context of at most `order` - 1.

    Its probabilities are those of the characters, the end token and the unknown token, and sum to 1 after any context:
    what was never seen has a share of its own. Start tokens are never predicted.
    """

    def __init__(self, counts: GramCounts, order: int) -> None:
        self.order = order
        self._vocabulary = counts.vocabulary
        self.levels = [counts.shares(length, longest=length == order) for length in range(1, order + 1)]
        self.least = 1 / (counts.vocabulary.size - len(counts.vocabulary.starts))

    def nats(self, tokens: Tokens) -> NDArray[np.float64]:
        """The cost of every target (N,) of a text, in its order: -ln p after the tokens before it in its document."""
        size = len(tokens.ids)
        pieces = [self._nats(tokens, start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK)]
        return np.concatenate([np.empty(0), *pieces])

    def _nats(self, tokens: Tokens, start: int, stop: int) -> NDArray[np.float64]:
        """The costs of the targets at places from `start` to `stop`."""
        first = max(start - self.order, 0)  # the longest context of the first target, too
        ids, depths = tokens.ids[first:stop].astype(np.int64), _depths(tokens, first, stop)
        shares = np.full(len(ids), self.least)
        contexts = np.zeros(len(ids) + 1, np.int64)  # the number of the gram before each place, -1 if it was not seen
        for length, level in enumerate(self.levels, 1):
            reached = np.flatnonzero((depths >= length - 1) & (contexts[:-1] >= 0))
            above = contexts[reached]
            found = _found(level.keys, above * self._vocabulary.size + ids[reached])
            is_seen = found >= 0
            shares[reached] *= level.left[above]
            shares[reached[is_seen]] += level.own[found[is_seen]]
            contexts = np.full(len(ids) + 1, -1)
            contexts[reached + 1] = found
        kept = np.flatnonzero(depths > 0)
        nats: NDArray[np.float64] = -np.log(shares[kept[kept + first >= start]])
        return nats


def _found(keys: Numbers, wanted: Numbers) -> Numbers:
    """The places of the `wanted` (N,) in sorted keys; -1 for those that are not there."""
    places = np.searchsorted(keys, wanted)
    return np.where(np.append(keys, -1)[places] == wanted, places, -1)


def best_order(counts: GramCounts, judged: Tokens) -> int:
    """The order whose model costs a text the least. The search ends where the next two cost no less, or at 20."""
    costs: list[float] = []
    while len(costs) < _LONGEST and (len(costs) < 3 or min(costs[-2:]) < min(costs[:-2])):
        costs.append(float(KneserNey(counts, len(costs) + 1).nats(judged).sum()))
    return costs.index(min(costs)) + 1
