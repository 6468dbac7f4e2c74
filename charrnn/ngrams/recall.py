"""Repetitions of the training text: the token that came next where it has the last tokens.

A hash of the last 20, 12 or 8 tokens, the longest first, leads to the newest place of the text that has them. How long
the repetition is, is then seen by comparing, so a wrong place is never taken.
"""

from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.copies import LENGTHS, Copies

__all__ = ["Recall"]

_HASHED = (20, 12, 8)
_BASE = 0x9E3779B97F4A7C15  # odd, so that no power of it is 0
_WORD = 2**64
_POWERS = [pow(_BASE, k, _WORD) for k in range(max(_HASHED))]
_MOST = LENGTHS[-1]

Hashes = NDArray[np.uint64]


class Recall:
    """The tokens of a text (N,), in which repetitions are looked up."""

    def __init__(self, ids: NDArray[np.unsignedinteger[Any]]) -> None:
        self.ids = ids

    @cached_property
    def _places(self) -> dict[int, tuple[Hashes, NDArray[np.uint32]]]:
        """For each hashed length the hashes of its grams, which ascend, and the place after the newest gram of each."""
        tables = {}
        for length in _HASHED:
            hashes = _hashes(self.ids[:-1], length)[length - 1 :]
            order = np.argsort(hashes, kind="stable")
            hashes = hashes[order]
            newest = np.append(hashes[1:] != hashes[:-1], True)[: len(hashes)]
            tables[length] = hashes[newest], (order[newest] + length).astype(np.uint32)
        return tables

    def along(self, ids: NDArray[np.int64], begins: NDArray[np.int64]) -> Copies:
        """The repetitions (N,) at all places of token ids (N,), of which place n looks back to `begins[n]` at most."""
        found = Copies(np.zeros(len(ids), np.int8), np.full(len(ids), -1, np.int32))
        depths = np.arange(len(ids)) - np.maximum(begins, 0) + 1
        for length, (hashes, places) in self._places.items():
            open_places = np.flatnonzero((depths >= length) & (found.ranks == 0))
            if not len(hashes):
                continue
            wanted = _hashes(ids, length)[open_places]
            at = hashes.searchsorted(wanted).clip(max=len(hashes) - 1)
            nexts = np.where(hashes[at] == wanted, places[at], 0).astype(np.int64)
            shared = self._shared(ids, open_places, nexts, depths)
            own = shared >= length
            at, nexts = open_places[own], nexts[own]
            found.ranks[at], found.tokens[at] = _ranks(shared[own]), self.ids[nexts]
        return found

    def _shared(
        self, ids: NDArray[np.int64], places: NDArray[np.int64], nexts: NDArray[np.int64], depths: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The number of tokens, of at most `_MOST`, that stand alike up to `places` and before `nexts` in the text."""
        shared, going = np.zeros(len(places), np.int64), np.flatnonzero(nexts)
        for back in range(_MOST):
            going = going[(depths[places[going]] > back) & (nexts[going] > back)]
            going = going[self.ids[nexts[going] - 1 - back] == ids[places[going] - back]]
            shared[going] += 1
        return shared

    def at_ends(self, windows: NDArray[np.uint32]) -> Copies:
        """The repetitions (B,) at the ends of windows (B, W) of the last tokens, as in `along`."""
        return Copies(*np.array([self._at_end(window) for window in windows]).T)

    def _at_end(self, window: NDArray[np.uint32]) -> tuple[int, int]:
        """Rank and token at the end of a window (W,): a few dozen single numbers, which Python reckons sooner."""
        last = window[-_MOST:].tolist()[::-1]
        sums = list(accumulate((token + 1) * power for token, power in zip(last, _POWERS, strict=False)))
        for length, (hashes, places) in self._views.items():
            if length > len(last):
                continue
            wanted = sums[length - 1] % _WORD
            at = bisect_left(hashes, wanted)
            after = places[at] if at < len(hashes) and hashes[at] == wanted else 0
            shared = 0
            for token, there in zip(last, self._ids[max(after - _MOST, 0) : after][::-1], strict=False):
                if token != there:
                    break
                shared += 1
            if shared >= length:
                return bisect_right(LENGTHS, shared), self._ids[after]
        return 0, -1

    @cached_property
    def _views(self) -> dict[int, tuple[Any, Any]]:
        return {length: (hashes.data, places.data) for length, (hashes, places) in self._places.items()}

    @cached_property
    def _ids(self) -> Any:
        return np.ascontiguousarray(self.ids).data


def _ranks(shared: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranks of repetitions of these lengths."""
    ranks: NDArray[np.int64] = np.searchsorted(LENGTHS, shared, "right")
    return ranks


def _hashes(ids: NDArray[np.integer[Any]], length: int) -> Hashes:
    """The hash Σ (id + 1) · base^k mod 2^64 of the gram that ends at each place, k being 0 for its last token.

    The first `length` - 1 mean nothing.
    """
    singles = ids.astype(np.uint64) + np.uint64(1)
    hashes = np.zeros(len(ids), np.uint64)
    for back in range(min(length, len(ids))):
        hashes[back:] += singles[: len(ids) - back] * np.uint64(_POWERS[back])
    return hashes
