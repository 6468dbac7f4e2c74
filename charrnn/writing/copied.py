"""The share of a text that stands in the text that a model has learned, counted as in `evaluation.novelty`."""

from collections.abc import Iterator

import numpy as np

from charrnn.checkpoint.format import Checkpoint
from charrnn.text.grams import GramIndex, Grams
from charrnn.text.tokens import tokenize
from charrnn.text.training_text import training_text
from charrnn.text.units import as_units
from charrnn.text.vocabulary import normalized

__all__ = ["K", "Learned"]

K = 15  # characters in a row
_BLOCK = 8192  # characters that are looked up at a time


class Learned:
    """The K-grams of a model's training text.

    Raises:
        DataError: as `training_text`, if that text is not there any more.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        learned = training_text(checkpoint.config, checkpoint.vocabulary, checkpoint.folder)
        self._vocabulary, self._text = learned.vocabulary, checkpoint.config.text
        self._grams = GramIndex.of(Grams(learned.tokens, learned.vocabulary, K))

    def share(self, text: str) -> Iterator[float | None]:
        """Share of the text's K-grams that stand in the training text, 0 to 1; None where it has no K-gram.

        It comes last; None before it are moments at which the counting can be given up.
        """
        own = normalized(as_units(text, self._vocabulary.unit), self._text.normalize, self._text.newlines)
        count = copied = 0
        for first in range(0, len(own) - K + 1, _BLOCK):
            tokens = tokenize([own[first : first + _BLOCK + K - 1]], self._vocabulary)
            grams = Grams(tokens, self._vocabulary, K)
            count += grams.count
            copied += sum(int(np.count_nonzero(self._grams.has(hashes))) for hashes in grams.hashes())
            yield None
        yield copied / count if count else None
