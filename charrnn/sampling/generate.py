"""Writing text: one token after another, each drawn from what the network expects after those before it."""

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.config import SamplingConfig
from charrnn.errors import UsageError
from charrnn.sampling.character_sets import matches
from charrnn.sampling.filters import draw, penalized, probabilities
from charrnn.sampling.stopping import StopSearch
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Engine", "forbidden_ids", "generate"]


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
    `config.length` characters (0: never), after `config.lines` newlines, before the first of `config.stop` (texts in
    the units of the model), or, with `config.until_end`, at the end token; without, that is never drawn, nor is it
    within the first `config.min_length` characters.

    Raises:
        UsageError: `config.allow` and `config.ban` have an unknown class, or leave no character to write.
    """
    if config.seed is None:
        raise ValueError("sampling needs a seed")
    random = np.random.default_rng((config.seed, index))
    forbidden = forbidden_ids(vocabulary, config)
    penalizing = config.repetition_penalty != 1
    recent = deque(prime[prime < vocabulary.start].tolist(), maxlen=config.repetition_window)
    search = StopSearch(config.stop)
    before = np.concatenate([[vocabulary.start], prime.astype(np.int64)])
    logits, state = engine.read(before[None], engine.initial_state(1))
    written = lines = 0
    while True:
        allowed = logits[0].copy()
        allowed[forbidden] = -np.inf
        if written < config.min_length:
            allowed[vocabulary.end] = -np.inf
        if penalizing:
            allowed = penalized(allowed, np.fromiter(set(recent), dtype=np.int64), config.repetition_penalty)
        token = draw(probabilities(allowed, config), random.random())
        if token == vocabulary.end:
            break
        character = vocabulary.characters[token]
        released = search.feed(character)
        if released:
            yield released
        if search.found:
            return
        written += 1
        lines += character == "\n"
        if written == config.length or lines == config.lines:
            break
        if penalizing:
            recent.append(token)
        logits, state = engine.step(np.array([token]), state)
    rest = search.rest()
    if rest:
        yield rest


def forbidden_ids(vocabulary: Vocabulary, config: SamplingConfig) -> NDArray[np.int64]:
    """The ids that are never drawn. UsageError as for `generate`."""
    allowed = np.ones(vocabulary.size, dtype=bool)
    allowed[[vocabulary.start, vocabulary.unknown]] = False
    allowed[vocabulary.end] = bool(config.until_end)
    characters = allowed[: vocabulary.start]  # a view
    if config.allow is not None:
        characters &= matches(config.allow, vocabulary, "--allow")
    if config.ban is not None:
        characters &= ~matches(config.ban, vocabulary, "--ban")
    if not characters.any():
        raise UsageError("--allow and --ban leave none of the model's characters to write; allow more, or ban fewer")
    return np.flatnonzero(~allowed)
