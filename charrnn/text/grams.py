"""K-grams, runs of K characters of a text, and their lookup in another text, exact or in little memory.

A K-gram lies within one document. It is identified by its rolling hash.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.text.rolling_hash import WORD, Hashes, gram_hashes, grams_ending, unit_values
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["GramIndex", "Grams", "count_shared"]

_BLOCK = 1 << 20  # characters hashed at a time
_PART = 1 << 23  # hashes sorted at a time: 64 MB


@dataclass(frozen=True)
class Grams:
    """The K-grams of some documents; they can be read any number of times."""

    tokens: Tokens
    vocabulary: Vocabulary
    k: int

    @property
    def count(self) -> int:
        """Number of K-grams, repeated ones counted each time."""
        return int(np.maximum(self.tokens.lengths - self.k, 0).sum())  # a length counts the end token, too

    def hashes(self) -> Iterator[Hashes]:
        """The hash of each K-gram, in the order of the text, in blocks."""
        ids, special = self.tokens.ids, self.vocabulary.start
        values = unit_values(self.vocabulary)
        for first in range(0, len(ids), _BLOCK):
            block = np.asarray(ids[first : first + _BLOCK + self.k - 1])
            if len(block) < self.k:
                break
            borders = np.cumsum(block >= special)  # a run across a border would be of two documents
            before = np.concatenate([[0], borders[: -self.k]])
            yield gram_hashes(values[block], self.k)[borders[self.k - 1 :] == before]
            self.tokens.release()


class GramIndex:
    """An approximate set of the distinct K-grams of a text: it finds all of them, and rarely one that the text lacks.

    A hash's first bits name its bucket, its next 16 are kept there. That takes 2.5 to 3 bytes for each distinct K-gram,
    of which there are at most as many as characters. A K-gram that the text does not have is found with a probability
    below 8 / 2^16, or one in 8,000.
    """

    def __init__(self, k: int, shift: int, offsets: NDArray[np.integer[Any]], remainders: NDArray[np.uint16]) -> None:
        self.k = k
        self._shift = np.uint64(shift)
        self._offsets, self._remainders = offsets, remainders

    @classmethod
    def of(cls, grams: Grams) -> Self:
        """The index of these K-grams; building it takes at most some 200 MB more."""
        bits = max(1, (grams.count // 8).bit_length())
        shift = 64 - bits
        counts = np.zeros(1 << bits, dtype=np.int64)
        remainders = []
        for distinct in _distinct(grams):
            buckets = distinct >> np.uint64(shift)
            first = int(buckets[0]) if len(buckets) else 0
            own = np.bincount((buckets - np.uint64(first)).astype(np.int64))
            counts[first : first + len(own)] += own
            remainders.append((distinct >> np.uint64(shift - 16)).astype(np.uint16))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        kind = np.uint32 if offsets[-1] < 2**32 else np.uint64
        return cls(grams.k, shift, offsets.astype(kind), np.concatenate([np.empty(0, np.uint16), *remainders]))

    @property
    def size(self) -> int:
        """Bytes that the index takes."""
        return self._offsets.nbytes + self._remainders.nbytes

    def has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Mask (N,) of the hashes (N,) whose K-grams the text has."""
        buckets = (hashes >> self._shift).astype(np.int64)
        start, end = self._offsets[buckets].astype(np.int64), self._offsets[buckets + 1].astype(np.int64)
        places = start[:, None] + np.arange((end - start).max(initial=0))
        is_own = places < end[:, None]
        wanted = (hashes >> (self._shift - np.uint64(16))).astype(np.uint16)
        kept = self._remainders.take(places, mode="clip") if len(self._remainders) else np.zeros_like(places)
        found: NDArray[np.bool_] = ((kept == wanted[:, None]) & is_own).any(axis=1)
        return found

    def ending(self, before: Ids, values: Hashes) -> NDArray[np.bool_]:
        """Mask (V,) of the tokens that make a K-gram of the text together with the K - 1 ids `before`.

        `values` (V,) are the `unit_values` of all tokens. The values for special tokens mean nothing.
        """
        return self.has(grams_ending(values[before], values, self.k))


def count_shared(grams: Grams, others: Grams) -> int:
    """Number of `grams`, repeated ones counted each time, that are also among `others`."""
    shared = 0
    for distinct in _distinct(others):
        if not len(distinct):
            continue
        for hashes in grams.hashes():
            hashes = hashes[(hashes >= distinct[0]) & (hashes <= distinct[-1])]
            shared += int((distinct[np.searchsorted(distinct, hashes)] == hashes).sum())
    return shared


def _distinct(grams: Grams) -> Iterator[Hashes]:
    """The distinct hashes in ascending order, in parts."""
    parts = -(-grams.count // _PART)
    for part in range(parts):
        low, high = (np.uint64(min(WORD * edge // parts, WORD - 1)) for edge in (part, part + 1))
        yield _sorted_set(
            hashes[(hashes >= low) & ((hashes < high) | (part == parts - 1))] for hashes in grams.hashes()
        )


def _sorted_set(pieces: Iterable[Hashes]) -> Hashes:
    hashes = np.concatenate([np.empty(0, np.uint64), *pieces])
    hashes.sort()
    is_first = np.ones(len(hashes), dtype=bool)
    is_first[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_first]
