"""Earlier places of a document that have the same last tokens, found for all places of a text at once."""

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Ids

__all__ = ["BEFORE", "WINDOW", "Earlier"]

WINDOW = 4096  # tokens of the document, the last ones, that are looked back to
BEFORE = 0x10FFFF  # stands for the tokens before a document


class Earlier:
    """The token ids (N,) of a text, of which place n looks back to `begins[n]` at most, and `WINDOW` tokens at most."""

    def __init__(self, ids: Ids, begins: NDArray[np.int64]) -> None:
        self.ids = ids
        places = np.arange(len(ids))
        self._firsts = np.maximum(np.maximum(begins, places - WINDOW + 1), 0)
        self._numbers: dict[int, NDArray[np.int64]] = {1: ids.astype(np.int64)}
        self._newest: dict[int, NDArray[np.int64]] = {}

    def newest(self, length: int, many: int = 1) -> NDArray[np.int64]:
        """The `many` newest earlier places (many, N), the newest first, that have the same last `length` tokens.

        It is -1 where there are no more.
        """
        if length not in self._newest:
            self._newest[length] = _newest(self._gram_numbers(length))
        before = self._newest[length]
        found = np.empty((many, len(self.ids)), np.int64)
        at = np.arange(len(self.ids))
        for row in found:
            earlier = np.where(at < 0, -1, before[at])
            row[:] = at = np.where(earlier - length + 1 >= self._firsts, earlier, -1)
        return found

    def after(self, places: NDArray[np.int64]) -> NDArray[np.int32]:
        """The tokens after earlier places, -1 for -1."""
        return np.where(places < 0, -1, self.ids[np.minimum(places + 1, len(self.ids) - 1)]).astype(np.int32)

    def _gram_numbers(self, length: int) -> NDArray[np.int64]:
        """A number for the gram of a length that ends at each place, the same for equal ones; -1 where none can end."""
        if length not in self._numbers:
            late = length // 2
            early = length - late
            before, after = self._gram_numbers(early), self._gram_numbers(late)
            numbers = np.full(len(after), -1)
            pairs = before[: max(len(after) - late, 0)] * (after.max(initial=0) + 1) + after[late:]
            own = slice(length - 1, None)
            numbers[own] = np.unique(pairs[early - 1 :], return_inverse=True)[1]
            self._numbers[length] = numbers
        return self._numbers[length]


def _newest(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The newest earlier place that has the same number as each place, -1 if there is none."""
    newest = np.full(len(numbers), -1)
    order = np.argsort(numbers, kind="stable")
    own = numbers[order]
    again = np.flatnonzero((own[1:] == own[:-1]) & (own[1:] >= 0))
    newest[order[again + 1]] = order[again]
    return newest
