"""The n-grams of a text beside a network: the probabilities that they give all tokens, and the mixing of both.

The logits of the mixture are w · logits of the network + v · ln p of the n-grams, a weighted product of the two
distributions, + c for the token that repeats an earlier passage of the same document, + d for the token that repeats a
passage of the text, + e for each token that followed the last tokens in the same document. (w, v) depend on the number
of tokens before that stand so in the text, on the doubt of the n-grams, and on the lengths of the repetitions, as c and
d do; e depends on the doubt. The doubt is the share that the n-grams leave to shorter contexts.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.copies import LENGTHS, Copies
from charrnn.ngrams.followers import FOLLOWERS
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey
from charrnn.ngrams.recall import Recall
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Contexts", "Level", "NgramTable", "Precedents", "known", "unfitted"]

_LEAST = np.float32(1e-9)  # share that the longest known context leaves to others; no probability is 0
_MOST_KEPT = 2**22  # probabilities
_DOUBTS = np.array([0.05, 0.2, 0.5], np.float32)  # the borders between the classes of doubt
_BORDERS = _DOUBTS.tolist()
# Before they are fitted: w and v; c or d by rank, and what is added to v; e by class of doubt.
_PAIR, _FOLLOWING = (0.5, 0.5), (0.02, 0.1, 0.18, 0.3)
_REPETITION, _LESS = (0.1, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 1.5, 2.0), -0.1

Floats = NDArray[np.float32]
# (..., N - 1): the number of the n-gram of each length below N that ends at a place, -1 if there is none.
Contexts = NDArray[np.integer[Any]]


class Precedents(NamedTuple):
    """The knowledge at M places of what stood there before: contexts (M, N - 1), followers (M, F) as the document has
    them, and repetitions of the document and of the text."""

    contexts: Contexts
    followers: NDArray[np.integer[Any]]
    copies: Copies
    recalled: Copies

    def at(self, rows: NDArray[np.int64]) -> "Precedents":
        """Those with these indices."""
        copies, recalled = (Copies(*(part[rows] for part in each)) for each in self[2:])
        return Precedents(self.contexts[rows], self.followers[rows], copies, recalled)

    @classmethod
    def joined(cls, several: Sequence["Precedents"]) -> Self:
        """Several, one after the other."""
        contexts, followers, *both = zip(*several, strict=True)
        copies, recalled = (Copies(*map(np.concatenate, zip(*each, strict=True))) for each in both)
        return cls(np.concatenate(contexts), np.concatenate(followers), copies, recalled)

    @property
    def tokens(self) -> NDArray[np.integer[Any]]:
        """The tokens (M, 2 + F) that the document or the text speaks for, -1 where there is none: those of the two
        repetitions, and the followers."""
        both = [self.copies.tokens, self.recalled.tokens]
        return np.concatenate([np.stack(both, 1), self.followers], 1)


class Level(NamedTuple):
    """The n-grams of one length in the order of their numbers: sorted by context, then by last token.

    A context is an n-gram that is shorter by one, or for single tokens the only one, which is empty. `offsets` (C + 1)
    are the borders between the n-grams of each context, `tokens` (G,) their last tokens, and `own` (G,) their
    discounted probabilities; `left` (C,) is the factor of the probabilities by the shorter context. All single tokens
    are there, and `own` are their whole probabilities.
    """

    offsets: NDArray[np.unsignedinteger[Any]]
    tokens: NDArray[np.unsignedinteger[Any]]
    own: Floats
    left: Floats


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of at most N tokens of a text in V tokens, smoothed after Kneser and Ney, and the weights.

    `weights[k, q]` of (N, Q, 2) are (w, v) where the last k tokens, of at most N - 1, stand so in the text, and the
    doubt is of class q. Row r of `copying` (R, 3) is c, and what is added to (w, v), for a repetition of rank r in the
    document; row 0, for none, is 0. So is `recalling` (R, 3) with d for those in the text. `following` (F, Q) is e for
    each follower and class of doubt.
    """

    levels: tuple[Level, ...]
    weights: Floats
    copying: Floats
    recalling: Floats
    following: Floats
    recall: Recall
    vocabulary_size: int

    @classmethod
    def of(cls, tokens: Tokens, vocabulary: Vocabulary, longest: int) -> Self:
        """The table of a text, with weights that are not fitted; `longest` is N, at least 2.

        ValueError if no document has so many tokens.
        """
        if np.diff(tokens.offsets).max() < longest:
            raise ValueError(f"no document is as long as an n-gram of length {longest}")
        model, size = KneserNey(GramCounts(tokens, vocabulary), longest), vocabulary.size
        levels: list[Level] = []
        contexts = 1
        for keys, own, left in model.levels:
            if not levels:  # there is nothing shorter
                own, left = own + left * model.least, np.ones(1)
            offsets = keys.searchsorted(np.arange(contexts + 1) * size)
            last = (keys % size).astype(vocabulary.dtype)
            left = np.maximum(left, _LEAST)
            levels.append(Level(offsets.astype(np.uint32), last, own.astype(np.float32), left.astype(np.float32)))
            contexts = len(keys)
        mixing: dict[str, Any] = unfitted(longest)
        recall = Recall(np.array(tokens.ids, vocabulary.dtype))
        return cls(tuple(levels), **mixing, recall=recall, vocabulary_size=vocabulary.size)

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], vocabulary_size: int, longest: int) -> Self:
        """The table of the arrays of `to_arrays`, from anyone.

        Raises:
            ValueError: they are not those of a table of this size.
        """
        names = {f"{length}.{part}" for length in range(1, longest + 1) for part in Level._fields}
        usual = unfitted(longest)
        if arrays.keys() != names | usual.keys() | {"text"}:
            raise ValueError("arrays are missing, or there are others")
        levels = tuple(
            Level(*(arrays[f"{length}.{part}"] for part in Level._fields)) for length in range(1, longest + 1)
        )
        text, contexts = arrays["text"], 1
        for level in levels:
            _check(level, contexts, vocabulary_size)
            contexts = len(level.tokens)
        if len(levels[0].tokens) != vocabulary_size or contexts >= 2**24 or not (levels[0].own >= _LEAST).all():
            raise ValueError("they are not of the size of the vocabulary")
        if text.dtype.kind != "u" or text.ndim != 1 or len(text) >= 2**32 or (text >= vocabulary_size).any():
            raise ValueError("its text is none")
        mixing: dict[str, Any] = {name: arrays[name] for name in usual}
        for name, array in mixing.items():
            if array.dtype != np.float32 or array.shape != usual[name].shape or not np.isfinite(array).all():
                raise ValueError("its weights are not those of a mixture")
        return cls(levels, **mixing, recall=Recall(text), vocabulary_size=vocabulary_size)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the table by name."""
        named = {
            f"{length}.{part}": array
            for length, level in enumerate(self.levels, 1)
            for part, array in level._asdict().items()
        }
        return named | self.mixing | {"text": self.recall.ids}

    @property
    def mixing(self) -> dict[str, Floats]:
        """All weights of the mixture by name."""
        return {name: getattr(self, name) for name in unfitted(self.longest)}

    def weighted(self, mixing: dict[str, Floats]) -> "NgramTable":
        """The table with other weights, as `mixing` has them."""
        return replace(self, **cast("dict[str, Any]", mixing))

    @property
    def longest(self) -> int:
        """N, the length of the longest n-grams."""
        return len(self.levels)

    @cached_property
    def _views(self) -> list[tuple[Any, ...]]:
        """The arrays of the levels as memoryviews, which give single numbers several times as fast."""
        return [tuple(np.ascontiguousarray(array).data for array in level) for level in self.levels]

    @cached_property
    def _keys(self) -> list[NDArray[np.int64]]:
        """For each length the context's number times V plus the last token, (G,), which ascend."""
        return [
            np.repeat(np.arange(len(level.left)), _sizes(level)) * self.vocabulary_size + level.tokens
            for level in self.levels
        ]

    def no_contexts(self, rows: int) -> Contexts:
        """The contexts (rows, N - 1) before anything was read."""
        return np.full((rows, self.longest - 1), -1)

    def check_contexts(self, contexts: Contexts) -> None:
        """Raise ValueError unless contexts (B, N - 1) are numbers of n-grams, or -1."""
        most = np.array([len(level.tokens) for level in self.levels[:-1]])
        if ((contexts < -1) | (contexts >= most)).any():
            raise ValueError("there is no n-gram of that number")

    def read(self, ids: Ids, contexts: Contexts) -> Contexts:
        """The contexts (B, T, N - 1) after each of token ids (B, T), T > 0, from contexts (B, N - 1)."""
        found = np.empty((*ids.shape, self.longest - 1), np.int64)
        found[:, :, 0] = ids
        for length in range(2, self.longest):
            before = np.concatenate([contexts[:, None, length - 2], found[:, :-1, length - 2]], 1)
            wanted = before * self.vocabulary_size + ids  # below 0 where there is no such context
            keys = self._keys[length - 1]
            places = keys.searchsorted(wanted)
            found[:, :, length - 1] = np.where(keys.take(places, mode="clip") == wanted, places, -1)
        return found

    def read_one(self, token: int, contexts: Contexts) -> Contexts:
        """As `read` of one token after contexts (1, N - 1), but sooner: the contexts (1, N - 1)."""
        found = [token]
        for above, level, (offsets, singles, *_) in zip(
            contexts[0, :-1].tolist(), self.levels[1:], self._views[1:], strict=False
        ):
            number = -1
            if above >= 0:
                first, last = offsets[above], offsets[above + 1]
                place = first if last - first == 1 else first + int(level.tokens[first:last].searchsorted(token))
                if place < last and singles[place] == token:
                    number = place
            found.append(number)
        return np.array([found])

    def log_probabilities(self, contexts: Contexts) -> Floats:
        """ln p (M, V) of all tokens after contexts (M, N - 1)."""
        shares = np.tile(self.levels[0].own, (len(contexts), 1))
        for column, level in enumerate(self.levels[1:]):
            rows = np.flatnonzero(contexts[:, column] >= 0)
            above = contexts[rows, column]
            shares[rows] *= level.left[above, None]
            first = level.offsets[above].astype(np.int64)
            counts = level.offsets[above + 1] - first
            places = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
            shares[np.repeat(rows, counts), level.tokens[places]] += level.own[places]
        return np.log(shares, out=shares)

    def log_probabilities_of_one(self, contexts: Contexts) -> Floats:
        """As `log_probabilities` of contexts (1, N - 1), to the bit, but sooner."""
        numbers = contexts[0].tolist()
        first = min(2, len(numbers)) if numbers[min(1, len(numbers) - 1)] >= 0 else 0
        shares = self._after_two(tuple(numbers[:first])).copy() if first else self.levels[0].own.copy()
        self._lengthened(shares, numbers, first)
        return np.log(shares)[None]

    @cached_property
    def _known_after_two(self) -> dict[tuple[int, ...], Floats]:
        return {}

    def _after_two(self, numbers: tuple[int, ...]) -> Floats:
        """The probabilities (V,) after contexts of one and two tokens, which come again and again, and are kept."""
        kept = self._known_after_two
        if numbers not in kept:
            if len(kept) * self.vocabulary_size > _MOST_KEPT:
                kept.clear()
            shares = self.levels[0].own.copy()
            self._lengthened(shares, numbers, 0)
            kept[numbers] = shares
        return kept[numbers]

    def _lengthened(self, shares: Floats, numbers: Sequence[int], first: int) -> None:
        """Turn probabilities (V,) after the contexts before `first` into those after all contexts, in place."""
        for column in range(first, len(numbers)):
            number = numbers[column]
            if number < 0:
                break
            (_, tokens, own, _), (offsets, singles, shares_of, left) = self.levels[column + 1], self._views[column + 1]
            start, end = offsets[number], offsets[number + 1]
            shares *= left[number]
            if end - start == 1:
                shares[singles[start]] += shares_of[start]
            else:
                shares[tokens[start:end]] += own[start:end]

    def doubts(self, contexts: Contexts) -> NDArray[np.int64]:
        """The class of the n-grams' doubt (M,) after contexts (M, N - 1)."""
        left = np.ones(len(contexts), np.float32)
        for column, level in enumerate(self.levels[1:]):
            rows = np.flatnonzero(contexts[:, column] >= 0)
            left[rows] = level.left[contexts[rows, column]]
        classes: NDArray[np.int64] = _DOUBTS.searchsorted(left)
        return classes

    def weights_at(self, found: Precedents) -> tuple[Floats, NDArray[np.integer[Any]], Floats]:
        """(w, v) (M, 2); the tokens (M, 2 + F) of repetitions and followers, -1 for none; their c, d and e, then 0."""
        copying, recalling = self.copying[found.copies.ranks], self.recalling[found.recalled.ranks]
        doubts = self.doubts(found.contexts)
        weights = self.weights[known(found.contexts), doubts] + copying[:, 1:] + recalling[:, 1:]
        more = np.concatenate([copying[:, :1], recalling[:, :1], self.following.T[doubts]], 1)
        tokens = found.tokens
        return weights, tokens, more * (tokens >= 0)

    def mixed(self, logits: Floats, found: Precedents) -> Floats:
        """The logits (M, V) of the mixture, of a network's logits (M, V)."""
        if len(logits) == 1:
            return self._mixed_one(logits, found)
        weights, copied, more = self.weights_at(found)
        logs = self.log_probabilities(found.contexts)
        mixture: Floats = weights[:, :1] * logits + weights[:, 1:] * logs
        rows = np.arange(len(mixture))
        for tokens, own in zip(copied.T, more.T, strict=True):
            mixture[rows, tokens] += own  # which adds 0 to the last token where there is none
        return mixture

    def _mixed_one(self, logits: Floats, found: Precedents) -> Floats:
        """As `mixed` of logits (1, V), but sooner."""
        numbers, left = found.contexts[0].tolist(), 1.0
        for (*_, factors), number in zip(self._views[1:], numbers, strict=True):
            left = factors[number] if number >= 0 else left
        weights, *sources, following = self._mixing
        doubt = bisect_left(_BORDERS, left)
        w, v = weights[sum(number >= 0 for number in numbers)][doubt]
        more = []
        for source, (ranks, tokens) in zip(sources, (found.copies, found.recalled), strict=True):
            own, own_w, own_v = source[int(ranks[0])]
            w, v = w + own_w, v + own_v
            more.append((int(tokens[0]), own))
        more += zip(found.followers[0].tolist(), following[doubt], strict=True)
        mixture: Floats = self.log_probabilities_of_one(found.contexts)
        mixture *= v
        mixture += w * logits
        for token, own in more:
            if token >= 0:
                mixture[0, token] += own
        return mixture

    @cached_property
    def _mixing(self) -> tuple[Any, ...]:
        """The weights as Python's numbers, those of followers by doubt."""
        return self.weights.tolist(), self.copying.tolist(), self.recalling.tolist(), self.following.T.tolist()


def unfitted(longest: int) -> dict[str, Floats]:
    """The weights of a mixture by name before they are fitted: such as those of many texts are."""
    doubts = len(_FOLLOWING)
    weights, following = np.empty((longest, doubts, 2), np.float32), np.empty((FOLLOWERS, doubts), np.float32)
    weights[:], following[:] = _PAIR, _FOLLOWING
    copying = np.zeros((len(LENGTHS) + 1, 3), np.float32)
    copying[1:, 0], copying[1:, 2] = _REPETITION, _LESS
    return {"weights": weights, "copying": copying, "recalling": copying.copy(), "following": following}


def known(contexts: Contexts) -> NDArray[np.int64]:
    """The number (M,) of tokens before that stand so in the text, of contexts (M, N - 1)."""
    count: NDArray[np.int64] = (contexts >= 0).sum(-1)
    return count


def _sizes(level: Level) -> NDArray[np.int64]:
    """The number of n-grams of each context, (C,)."""
    borders = level.offsets.astype(np.int64)
    sizes: NDArray[np.int64] = borders[1:] - borders[:-1]
    return sizes


def _check(level: Level, contexts: int, vocabulary_size: int) -> None:
    """Raise ValueError unless the arrays of a level, which are from anyone, are those of so many contexts."""
    offsets, tokens, own, left = level
    kinds = [offsets.dtype.kind, tokens.dtype.kind, own.dtype.kind, left.dtype.kind]
    shapes = [offsets.shape, tokens.shape, left.shape]
    if kinds != ["u", "u", "f", "f"] or shapes != [(contexts + 1,), own.shape, (contexts,)] or own.ndim != 1:
        raise ValueError("an array has another shape or type")
    steps = _sizes(level)
    if offsets[0] != 0 or offsets[-1] != len(tokens) or (steps < 0).any() or (tokens >= vocabulary_size).any():
        raise ValueError("a number in it is out of range")
    ascends = np.diff(tokens.astype(np.int64)) > 0
    ascends[offsets[(offsets > 0) & (offsets < len(tokens))] - 1] = True
    if not ascends.all() or not all(
        ((part >= least) & (part <= 1)).all() for part, least in ((own, 0), (left, _LEAST))
    ):
        raise ValueError("its n-grams are not sorted, or have no probabilities")
