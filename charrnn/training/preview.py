"""A short text written by the network in the middle of its training, to look at."""

import numpy as np

from charrnn.checkpoint.format import Arrays
from charrnn.ngrams.table import NgramTable
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.with_ngrams import with_ngrams
from charrnn.settings.sampling import SamplingConfig
from charrnn.training.setup import Setup

__all__ = ["preview"]

_PRIME, _LENGTH = 64, 240


def preview(setup: Setup, weights: Arrays, step: int, ngrams: NgramTable | None = None) -> str:
    """Write 240 characters: documents from their start, or a continuation of a passage of the (held-out) text.

    This is done in numpy, so neither the training's state nor its random numbers are touched.
    """
    config = SamplingConfig(length=_LENGTH, seed=setup.config.training.seed, until_end=True)
    engine = with_ngrams(NumpyEngine(setup.config.model, weights), ngrams)
    tokens = (setup.validation or setup.training).ids[1:-1]
    prime = tokens[:0]
    if setup.config.text.documents == "none" and len(tokens) > 4 * _PRIME:
        place = int(np.random.default_rng((setup.config.training.seed, step)).integers(len(tokens) - _PRIME))
        prime = tokens[place : place + _PRIME]
    pieces: list[str] = []
    while sum(map(len, pieces)) < _LENGTH and len(pieces) < 8:
        pieces.append("".join(generate(engine, setup.vocabulary, config, prime, index=step + len(pieces))))
        if setup.config.text.documents == "none":
            break
    return "\n".join(pieces)[:_LENGTH]
