"""Repetitions: the token that came next where the last tokens stood before in the same document.

The last tokens are looked for among the `WINDOW` last ones of the document, the longest of `LENGTHS` first, the newest
place first. The rank of a repetition is the place of its length in `LENGTHS`, counted from 1; 0 is no repetition.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Ids

__all__ = ["BEFORE", "LENGTHS", "WINDOW", "Copies", "copies_along", "newest_copies"]

LENGTHS = (3, 4, 5, 6, 8, 11, 16, 24, 32)
WINDOW = 4096
BEFORE = 0x10FFFF  # stands for the tokens before a document


class Copies(NamedTuple):
    """The rank of the repetition at each place, and the token that came next at the earlier place, -1 if none."""

    ranks: NDArray[np.integer[Any]]
    tokens: NDArray[np.integer[Any]]


def copies_along(ids: Ids, begins: NDArray[np.int64]) -> Copies:
    """The repetitions (N,) at all places of token ids (N,), of which place n looks back to `begins[n]` at most."""
    singles, places = ids.astype(np.int64), np.arange(len(ids))
    ranks, tokens = np.zeros(len(ids), np.int8), np.full(len(ids), -1, np.int32)
    firsts = np.maximum(np.maximum(begins, places - WINDOW + 1), 0)
    grams: dict[int, NDArray[np.int64]] = {1: singles}
    for rank, length in enumerate(LENGTHS, 1):
        newest = _newest(_gram_numbers(length, grams), length)
        found = np.flatnonzero(newest - length + 1 >= firsts)
        ranks[found], tokens[found] = rank, ids[newest[found] + 1]
    return Copies(ranks, tokens)


def _gram_numbers(length: int, grams: dict[int, NDArray[np.int64]]) -> NDArray[np.int64]:
    """A number for the gram of a length that ends at each place, the same for equal ones; -1 where none can end."""
    if length not in grams:
        late = length // 2
        early = length - late
        before, after = _gram_numbers(early, grams), _gram_numbers(late, grams)
        numbers = np.full(len(after), -1)
        pairs = before[: max(len(after) - late, 0)] * (after.max(initial=0) + 1) + after[late:]
        own = slice(length - 1, None)
        numbers[own] = np.unique(pairs[early - 1 :], return_inverse=True)[1]
        grams[length] = numbers
    return grams[length]


def _newest(numbers: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The newest earlier place that has the same number as each place; one before all if there is none."""
    newest = np.full(len(numbers), -length)
    order = np.argsort(numbers, kind="stable")
    own = numbers[order]
    again = np.flatnonzero((own[1:] == own[:-1]) & (own[1:] >= 0))
    newest[order[again + 1]] = order[again]
    return newest


def newest_copies(windows: NDArray[np.uint32]) -> Copies:
    """The repetitions (B,) at the ends of windows (B, WINDOW) of the last tokens, `BEFORE` before the document."""
    found = [_newest_copy(window.tobytes().decode("utf-32-le", "surrogatepass")) for window in windows]
    return Copies(*np.array(found, np.int64).T)


def _newest_copy(window: str) -> tuple[int, int]:
    """Rank and token at the end of a window, whose code points are the tokens: texts are searched fast."""
    size, found = len(window), (0, -1)
    end = size - 1
    for rank, length in enumerate(LENGTHS, 1):
        gram = window[size - length :]
        start = window.rfind(gram, 0, end)
        if start < 0 or gram[0] == chr(BEFORE):
            return found
        end = start + length  # no longer gram ends later
        found = rank, ord(window[end])
    return found
