"""Writing text: one token after another, each drawn from what the network expects after those before it."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.config import SamplingConfig
from charrnn.sampling.filters import draw, probabilities
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Engine", "generate"]


class Engine(Protocol):
    """A model that can be stepped. State is a value, as everywhere."""

    def initial_state(self, batch_size: int) -> Any: ...

    def step(self, ids: Ids, state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits (B, V) after token ids (B,), and the next state."""

    def read(self, ids: Ids, state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""


def generate(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, prime: Ids, index: int = 0
) -> Iterator[str]:
    """The characters of sample `index`, one by one, after the start token and `prime`.

    What is drawn depends on `config.seed` (ValueError when it is absent) and `index` alone. The sample ends after
    `config.length` characters (0: never) or, with `config.until_end`, at the end token; without, that is never drawn.
    """
    if config.seed is None:
        raise ValueError("sampling needs a seed")
    random = np.random.default_rng((config.seed, index))
    forbidden = [vocabulary.start, vocabulary.unknown, *([] if config.until_end else [vocabulary.end])]
    before = np.concatenate([[vocabulary.start], prime.astype(np.int64)])
    logits, state = engine.read(before[None], engine.initial_state(1))
    written = 0
    while True:
        allowed = logits[0].copy()
        allowed[forbidden] = -np.inf
        token = draw(probabilities(allowed, config), random.random())
        if token == vocabulary.end:
            return
        yield vocabulary.characters[token]
        written += 1
        if written == config.length:
            return
        logits, state = engine.step(np.array([token]), state)
