"""A model that reads a text as it is edited: the costs of its tokens, and the state behind any of them.

A state is a value. Some are kept at intervals, so that the state at a place is few steps from the nearest one, whatever
the length of the text, and so that an edit makes only what follows it read again.
"""

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.recurrent.states import State
from charrnn.sampling.chooser import surprisals
from charrnn.sampling.generate import Engine
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["EVERY", "Reading", "Spot"]

EVERY = 64  # tokens between two states that are kept, at first
_MOST_KEPT = 4096  # states; above that every second one goes


class Spot(NamedTuple):
    """Logits (1, V) and state behind the first `tokens` tokens of a text."""

    tokens: int
    logits: NDArray[np.float32]
    state: State


class Reading:
    """The reading of one text by one model. `steps` counts the tokens that the model was stepped by."""

    def __init__(self, engine: Engine, vocabulary: Vocabulary) -> None:
        self._engine, self._vocabulary = engine, vocabulary
        self._ids: Ids = np.empty(0, np.int64)
        self._nats = np.empty(0, np.float64)
        nothing = np.full((1, vocabulary.size), -np.inf, np.float32)
        self._kept = [Spot(0, nothing, engine.initial_state(1))]
        self._every = EVERY
        self._tip = self._near = self._kept[0]
        self.steps = 0

    @property
    def count(self) -> int:
        """Number of tokens that have been read."""
        return self._tip.tokens

    @property
    def nats(self) -> NDArray[np.float64]:
        """-ln p of each token that has been read, given those before it; NaN for start tokens and unknown ones."""
        return self._nats[: self._tip.tokens]

    def follow(self, ids: Ids) -> None:
        """Take in the tokens (N,) of the text; what was read before the first that differs stays read."""
        shared = min(len(ids), len(self._ids))
        differs = np.flatnonzero(ids[:shared] != self._ids[:shared])
        same = int(differs[0]) if len(differs) else shared
        self._ids = ids
        if len(self._nats) < len(ids):
            self._nats = np.concatenate([self._nats, np.empty(len(ids), np.float64)])
        if same < self._tip.tokens:
            del self._kept[self._after(same) :]
            self._near = self._near if self._near.tokens <= same else self._kept[-1]
            self._tip = max(self._kept[-1], self._near, key=lambda spot: spot.tokens)

    def read(self, until: int, most: int = EVERY) -> None:
        """Read on to the first `until` tokens, but `most` tokens further at most.

        Raises:
            CheckpointError: the model is so broken that it gives no character a probability.
        """
        spot, end = self._tip, min(until, len(self._ids), self._tip.tokens + most)
        before, scored = [], []
        for place in range(spot.tokens, end):
            token = int(self._ids[place])
            if token not in self._vocabulary.starts and token != self._vocabulary.unknown:
                before.append(spot.logits)
                scored.append(place)
            else:
                self._nats[place] = np.nan
            spot = self._stepped(spot, token)
            if spot.tokens % self._every == 0 and spot.tokens > self._kept[-1].tokens:
                self._keep(spot)
        if scored:
            self._nats[scored] = surprisals(np.concatenate(before), self._ids[scored].tolist())
        self._tip = spot

    def spot(self, count: int) -> Spot:
        """Logits and state behind the first `count` tokens, which have been read; few steps from a state that is kept.

        ValueError if they have not been read.
        """
        if count > self._tip.tokens:
            raise ValueError(f"the text has not been read up to token {count}")
        spot = max(
            (each for each in (self._kept[self._after(count) - 1], self._near, self._tip) if each.tokens <= count),
            key=lambda each: each.tokens,
        )
        while spot.tokens < count:
            spot = self._stepped(spot, int(self._ids[spot.tokens]))
        self._near = spot
        return spot

    def _stepped(self, spot: Spot, token: int) -> Spot:
        self.steps += 1
        state = self._kept[0].state if token in self._vocabulary.starts else spot.state
        return Spot(spot.tokens + 1, *self._engine.step(np.array([token]), state))

    def _after(self, count: int) -> int:
        """Number of states that are kept at `count` tokens or before."""
        return bisect_right(self._kept, count, key=lambda spot: spot.tokens)

    def _keep(self, spot: Spot) -> None:
        self._kept.append(spot)
        if len(self._kept) > _MOST_KEPT:
            self._every *= 2
            self._kept = [each for each in self._kept if each.tokens % self._every == 0]
