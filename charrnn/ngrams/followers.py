"""Followers: the tokens that came last after the last tokens in the same document (Kuhn & De Mori 1990).

For each of `LENGTHS` these are the tokens after the `MANY` newest earlier places that have the same last tokens.
"""

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.earlier import BEFORE, Earlier

__all__ = ["FOLLOWERS", "followers_along", "newest_followers"]

LENGTHS = (1, 2, 4, 6)
MANY = 3
FOLLOWERS = len(LENGTHS) * MANY


def followers_along(earlier: Earlier) -> NDArray[np.int32]:
    """The followers (N, FOLLOWERS) at all places of a text, length by length, the newest first; -1 for none."""
    found = [earlier.after(newest) for length in LENGTHS for newest in earlier.newest(length, MANY)]
    return np.stack(found, 1)


def newest_followers(window: str) -> list[int]:
    """The followers at the end of a window of tokens, which are the code points of a string."""
    found: list[int] = []
    for length in LENGTHS:
        tokens: list[int] = []
        gram, end = window[-length:], len(window) - 1
        while len(tokens) < MANY and gram[0] != chr(BEFORE) and (start := window.rfind(gram, 0, end)) >= 0:
            tokens.append(ord(window[start + length]))
            end = start + length - 1
        found += tokens + [-1] * (MANY - len(tokens))
    return found
