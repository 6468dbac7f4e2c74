"""Documents as token ids, end to end, each between its start and its end token."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Tokens", "tokenize"]


class Tokens(NamedTuple):
    """Document k is `ids[offsets[k]:offsets[k + 1]]`: start, its characters, end."""

    ids: Ids
    offsets: NDArray[np.integer[Any]]

    @property
    def lengths(self) -> NDArray[np.integer[Any]]:
        """How many targets each document has: its characters and the end token."""
        return np.diff(self.offsets) - 1

    @property
    def targets(self) -> int:
        """How many targets there are in all."""
        return len(self.ids) - (len(self.offsets) - 1)


def tokenize(documents: Sequence[str], vocabulary: Vocabulary) -> Tokens:
    """Encode documents with `vocabulary`; characters it does not have become the unknown token."""
    lengths = np.array([len(document) for document in documents], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths + 2)])
    ids = np.empty(offsets[-1], dtype=vocabulary.dtype)
    ids[offsets[:-1]] = vocabulary.start
    ids[offsets[1:] - 1] = vocabulary.end
    is_character = np.ones(len(ids), dtype=bool)
    is_character[offsets[:-1]] = is_character[offsets[1:] - 1] = False
    ids[is_character] = vocabulary.encode("".join(documents))
    return Tokens(ids, offsets)
