"""What the network expects next, as numbers: the distribution that sampling shapes and draws from, as it is."""

import math
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.config import SamplingConfig
from charrnn.sampling.filters import probabilities
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Candidate", "candidates"]


class Candidate(NamedTuple):
    """A character, or the end token (None), that may come next. Rank 1 is the likeliest token of all."""

    rank: int
    character: str | None
    probability: float

    @property
    def nats(self) -> float | None:
        """What it would cost; None where its probability is too small for a float."""
        return -math.log(self.probability) if self.probability else None

    @property
    def bits(self) -> float | None:
        return None if self.nats is None else self.nats / math.log(2)


def candidates(logits: NDArray[np.float32], vocabulary: Vocabulary, count: int) -> list[Candidate]:
    """The `count` likeliest of the characters and the end token, given logits (V,).

    Probabilities are the softmax over all tokens. What the start and unknown tokens have of it is not listed: they
    are no text.

    Raises:
        CheckpointError: a logit is no number, as huge weights can make it.
    """
    distribution = probabilities(logits, SamplingConfig(temperature=1.0))
    order = np.argsort(-distribution, kind="stable").tolist()
    found = (
        Candidate(rank, None if token == vocabulary.end else vocabulary.characters[token], float(distribution[token]))
        for rank, token in enumerate(order, 1)
        if token < vocabulary.start or token == vocabulary.end
    )
    return list(islice(found, count))
