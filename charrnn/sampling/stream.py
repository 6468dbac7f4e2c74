"""One sample while it is written: its random numbers, its counts, and the reason for its end."""

import os
from collections import deque
from collections.abc import Iterator
from copy import copy
from typing import Any, Literal

import numpy as np

from charrnn.sampling.stopping import StopSearch
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Finish", "Stream", "random_seed"]

# The reason for the end: the end token, a stop text, the number of characters, or the number of lines.
Finish = Literal["end", "stop", "length", "lines"]
_CHANGING = ("finish", "written", "nats", "recent", "_lines", "_costs", "_search")


def random_seed() -> int:
    """A seed that nobody chose."""
    return int.from_bytes(os.urandom(4))


class Stream:
    """Sample `index`: its draws depend on `config.seed` (ValueError when absent) and `index` alone.

    `finish` is the reason for its end, `written` the number of its characters, with those that a stop text may still
    take back, `recent` the last tokens of prime and text, and `nats` the cost of the characters given out.
    """

    def __init__(self, vocabulary: Vocabulary, config: SamplingConfig, index: int) -> None:
        if config.seed is None:
            raise ValueError("sampling needs a seed")
        self.index = index
        self._random = np.random.default_rng((config.seed, index))
        self._uniforms: Iterator[float] = iter(())
        self._characters, self._end, self._special = vocabulary.characters, vocabulary.end, vocabulary.start
        self._length, self._most_lines = config.length, config.lines
        self._search = StopSearch(config.stop) if config.stop else None
        self.recent: deque[int] = deque(maxlen=config.repetition_window)
        self._costs: deque[float] = deque()
        self.finish: Finish | None = None
        self.written = self._lines = 0
        self.nats = 0.0

    def uniform(self) -> float:
        """The next random number of the sample, uniform in [0, 1)."""
        for number in self._uniforms:
            return number
        self._uniforms = iter(
            self._random.random(64).tolist()
        )  # the same numbers as one by one, in a tenth of the time
        return next(self._uniforms)

    def remember(self, prime: Ids) -> None:
        """Add the characters of a prime to the recent ones."""
        window = prime[-(self.recent.maxlen or 0) :]
        self.recent.extend(window[window < self._special].tolist())

    def take(self, token: int, nats: float | None = None) -> str:
        """Add a token and, if measured, its nats; return the text that is certain now. The last token sets `finish`."""
        if token == self._end:
            self.finish = "end"
            return self._given(self._search.rest() if self._search else "", nats)
        piece = character = self._characters[token]
        if nats is not None:
            self._costs.append(nats)
        self.written += 1
        if self._search:
            piece = self._search.feed(character)
            if self._search.found:
                self.finish = "stop"
                return self._given(piece, nats)
        if character == "\n":
            self._lines += 1
        if self.written == self._length:
            self.finish = "length"
        elif self._lines == self._most_lines:
            self.finish = "lines"
        if self.finish and self._search:
            piece += self._search.rest()
        self.recent.append(token)
        return self._given(piece, nats)

    def mark(self) -> dict[str, Any]:
        """A copy of all that `take` changes, for `go_back`, any number of times. Random numbers are not taken back."""
        return {name: copy(vars(self)[name]) for name in _CHANGING}

    def go_back(self, mark: dict[str, Any]) -> None:
        """Restore the state at the time of the mark."""
        vars(self).update({name: copy(value) for name, value in mark.items()})

    def _given(self, piece: str, nats: float | None) -> str:
        if nats is not None:
            for _ in piece:
                self.nats += self._costs.popleft()
        return piece
