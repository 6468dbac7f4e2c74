"""The network's distribution of the next character, unchanged by temperature and filters."""

import math
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.sampling.filters import probabilities
from charrnn.sampling.generate import start_after
from charrnn.sampling.prefill import read_prime, started
from charrnn.sampling.prime import encode_pieces, encode_prime
from charrnn.sampling.with_ngrams import numpy_engine
from charrnn.settings.lookup import NextConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Candidate", "candidates", "next_candidates"]


class Candidate(NamedTuple):
    """A character, or the end token (None), that may come next. Rank 1 is the likeliest token of all."""

    rank: int
    character: str | None
    probability: float

    @property
    def nats(self) -> float | None:
        """Cost in nats, -ln p; None if the probability is too small for a float."""
        return -math.log(self.probability) if self.probability else None

    @property
    def bits(self) -> float | None:
        """Cost in bits; None if the probability is too small for a float."""
        return None if self.nats is None else self.nats / math.log(2)


def next_candidates(checkpoint: Checkpoint, prime: str | Iterable[bytes], config: NextConfig) -> list[Candidate]:
    """The `config.top` likeliest characters after a prime, which is a text or its bytes in pieces.

    Raises:
        UsageError: as `start_after`.
        DataError: the prime has characters that the model does not know.
        CheckpointError: as `candidates`.
    """
    vocabulary, text = checkpoint.vocabulary, checkpoint.config.text
    start = start_after(config.label, vocabulary)
    if isinstance(prime, str):
        ids = iter([encode_prime(prime, text, vocabulary, config.unknown)])
    else:
        ids = encode_pieces(prime, text, vocabulary, config.unknown, config.encoding)
    engine = numpy_engine(checkpoint)
    primed = read_prime(engine, started(engine, start), ids)
    return candidates(primed.logits[0], vocabulary, config.top)


def candidates(logits: NDArray[np.float32], vocabulary: Vocabulary, count: int) -> list[Candidate]:
    """The `count` likeliest of the characters and the end token, given logits (V,).

    Probabilities are the softmax over all tokens. The start and unknown tokens are not listed, as they are no text.

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
