"""A model that is a table: what comes next depends on the last two tokens, and every probability is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Markov"]


class Markov:
    """An engine of random probabilities P[token before last, last token, next token], the start token before all."""

    def __init__(self, vocabulary: Vocabulary, seed: int) -> None:
        V = vocabulary.size
        self.start = vocabulary.start
        self.log_table = np.log(np.random.default_rng(seed).dirichlet(np.full(V, 0.5), (V, V)) + 1e-6)
        self.log_table -= np.log(np.exp(self.log_table).sum(-1, keepdims=True))

    def initial_state(self, batch_size: int) -> tuple[Ids]:
        return (np.full(batch_size, self.start),)

    def join(self, states: Sequence[tuple[Ids]]) -> tuple[Ids]:
        return (np.concatenate([state[0] for state in states]),)

    def step(self, ids: Ids, state: Any) -> tuple[NDArray[np.float32], Any]:
        return self.log_table[state[0], ids].astype(np.float32), (ids.copy(),)

    def read(self, ids: Ids, state: Any) -> tuple[NDArray[np.float32], Any]:
        logits = np.empty(0, np.float32)
        for column in ids.T:
            logits, state = self.step(column, state)
        return logits, state

    def log_probability(self, before: Sequence[int], ids: Sequence[int]) -> float:
        """Of token ids after others, of which the first is the start token."""
        every = [self.start, *before, *ids]
        total = 0.0
        for place in range(len(every) - len(ids), len(every)):
            total += float(self.log_table[every[place - 2], every[place - 1], every[place]])
        return total
