"""Repetitions: the token that came next where the last tokens stood before in the same document.

The last tokens are looked for among the last ones of the document, the longest of `LENGTHS` first, the newest place
first. The rank of a repetition is the place of its length in `LENGTHS`, counted from 1; 0 is no repetition.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.earlier import BEFORE, Earlier

__all__ = ["LENGTHS", "Copies", "copies_along", "newest_copy"]

LENGTHS = (3, 4, 5, 6, 8, 11, 16, 24, 32)


class Copies(NamedTuple):
    """The rank of the repetition at each place, and the token that came next at the earlier place, -1 if none."""

    ranks: NDArray[np.integer[Any]]
    tokens: NDArray[np.integer[Any]]


def copies_along(earlier: Earlier) -> Copies:
    """The repetitions (N,) at all places of a text."""
    found = Copies(np.zeros(len(earlier.ids), np.int8), np.full(len(earlier.ids), -1, np.int32))
    for rank, length in enumerate(LENGTHS, 1):
        (newest,) = earlier.newest(length)
        there = np.flatnonzero(newest >= 0)
        found.ranks[there], found.tokens[there] = rank, earlier.after(newest[there])
    return found


def newest_copy(window: str) -> tuple[int, int]:
    """Rank and token at the end of a window of tokens, which are the code points of a string: it is searched fast."""
    found, end = (0, -1), len(window) - 1
    for rank, length in enumerate(LENGTHS, 1):
        gram = window[-length:]
        start = window.rfind(gram, 0, end)
        if start < 0 or gram[0] == chr(BEFORE):
            return found
        end = start + length  # no longer gram ends later
        found = rank, ord(window[end])
    return found
