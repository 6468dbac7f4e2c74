"""Polynomial hashes of runs of numbers modulo 2^64 (Karp & Rabin 1987): of all runs of a length, or of given ones.

Two runs that differ have the same hash with a probability of about 2^-64. The number of a token is its code point,
well mixed, or a random number.
"""

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Vocabulary, code_points

__all__ = ["BASE", "WORD", "Hashes", "RunHasher", "gram_hashes", "grams_ending", "unit_values"]

Hashes = NDArray[np.uint64]

WORD = 1 << 64
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
_INVERSE = pow(BASE, -1, WORD)


def gram_hashes(values: Hashes, k: int) -> Hashes:
    """The hash of each run of `k` values (of N): sum of values[i + j] base^(k - 1 - j) modulo 2^64, (N - k + 1,)."""
    # Hashes of runs of 1, 2, 4, 8 ... values; the lengths in k's binary form are joined.
    doubled, size = values, 1
    joined = np.zeros(len(values) + 1, np.uint64)
    total = 0
    while True:
        if k & size:
            joined = _join(joined, total, doubled, size)
            total += size
        if 2 * size > k:
            return joined[: len(values) - k + 1]
        doubled = _join(doubled, size, doubled, size)
        size *= 2


def grams_ending(before: Hashes, values: Hashes, k: int) -> Hashes:
    """The hashes (V,) of the runs of `k` made of `before` (k - 1,) and one of `values` (V,)."""
    prefix = int(gram_hashes(before, k - 1)[0]) if k > 1 else 0
    return np.uint64(prefix * BASE % WORD) + values


def _join(left: Hashes, left_size: int, right: Hashes, right_size: int) -> Hashes:
    """The hashes of each run of `left_size` and the one of `right_size` that follows it."""
    following = right[left_size:]
    return left[: len(following)] * np.uint64(pow(BASE, right_size, WORD)) + following


class RunHasher:
    """Hashes, sum of values[j] base^j, of runs of any length that lie in at most `most` values."""

    def __init__(self, most: int) -> None:
        self._powers, self._inverses = _powers(BASE, most), _powers(_INVERSE, most)

    def hashes(self, values: Hashes, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Hashes:
        """The hash of each run values[start:stop], (runs,)."""
        # Σ_j v_j r^j over a run is a difference of prefix sums; divided by r^start it is a hash of the run alone.
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values * self._powers[: len(values)])])
        hashes: Hashes = (sums[stops] - sums[starts]) * self._inverses[starts]
        return hashes

    @staticmethod
    def joined(first: int, length: int, second: int) -> int:
        """The hash of two runs joined: the first given by its hash and `length`, the second by its hash."""
        return (first + pow(BASE, length, WORD) * second) % WORD


def _powers(base: int, most: int) -> Hashes:
    """The powers 0 to `most` of a number modulo 2^64, (most + 1,)."""
    factors = np.full(most + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def unit_values(vocabulary: Vocabulary) -> Hashes:
    """The number hashed for each token id, (V,): its code point, well mixed, so the same in every vocabulary."""
    points = np.zeros(vocabulary.size, np.uint64)
    points[: vocabulary.start] = code_points(vocabulary.characters)
    points[vocabulary.start :] = 0x110000  # beyond every code point
    # Steele, Lea & Flood 2014, as in java.util.SplittableRandom: similar numbers become dissimilar.
    mixed = (points + np.uint64(1)) * np.uint64(BASE)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
