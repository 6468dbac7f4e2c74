"""Beam search for the most likely continuation: at each step the N likeliest sequences are kept and extended."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import overflow
from charrnn.recurrent.states import State, take_rows
from charrnn.sampling.batched import Begin, Piece
from charrnn.sampling.chooser import forbidden_ids
from charrnn.sampling.filters import below_best
from charrnn.sampling.generate import Engine
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Beam", "Candidates", "Continuation", "beam_search", "log_probabilities", "write_likeliest"]

Log = NDArray[np.float64]


class Candidates(NamedTuple):
    """Extensions of beam rows (N,) by token ids (N,), with log-probabilities (N,) of the whole, the likeliest first."""

    rows: NDArray[np.int64]
    tokens: NDArray[np.int64]
    totals: Log

    def at(self, places: NDArray[Any]) -> Self:
        """The candidates at some indices."""
        return type(self)(*(each[places] for each in self))


class Beam(NamedTuple):
    """N token sequences of one length T, with their logits (N, V) and the state after each.

    `totals[:, t]` are the log-probabilities, in nats, of their first t tokens.
    """

    ids: Ids  # (N, T)
    totals: Log  # (N, T + 1)
    logits: NDArray[np.float32]
    state: State

    @classmethod
    def at(cls, logits: NDArray[np.float32], state: State) -> Self:
        """The beam of one empty sequence, with logits (1, V) and a state."""
        return cls(np.empty((1, 0), np.int64), np.zeros((1, 1)), logits, state)

    def candidates(self, forbidden: NDArray[np.int64], width: int) -> Candidates:
        """The likeliest extensions by one token that is not forbidden, at most `width` of them.

        Raises:
            CheckpointError: the model gives no such token a probability.
        """
        totals = self.totals[:, -1:] + log_probabilities(self.logits)
        totals[:, forbidden] = -np.inf
        likeliest = np.argsort(-totals, axis=None, kind="stable")[:width]
        likeliest = likeliest[totals.flat[likeliest] > -np.inf]
        if not len(likeliest):
            raise overflow("the model gives no character a probability")
        rows, tokens = np.unravel_index(likeliest, totals.shape)
        return Candidates(rows, tokens, totals[rows, tokens])

    def step(self, engine: Engine, chosen: Candidates) -> Self:
        """The beam of the chosen candidates, computed as one product."""
        rows, tokens, totals = chosen
        logits, state = engine.step(tokens, take_rows(self.state, rows))
        return type(self)(_longer(self.ids[rows], tokens), _longer(self.totals[rows], totals), logits, state)


class Continuation(NamedTuple):
    """Token ids (T,), with the end token or stop text that ends them, and the cost of each in nats (T,)."""

    ids: Ids
    nats: Log

    @property
    def log_probability(self) -> float:
        """Log-probability of the whole continuation in nats."""
        return -float(self.nats.sum())


def write_likeliest(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, begin: Begin, count: int
) -> Iterator[Piece]:
    """The same as `batched.write_batched`, but each text is the likeliest that a beam of `config.beam` finds."""
    for index in range(count):
        beginning = begin(index)
        stream, found = beginning.stream, beam_search(engine, vocabulary, config, *beginning.read(engine))
        pieces = [stream.take(token, nats) for token, nats in zip(found.ids.tolist(), found.nats.tolist(), strict=True)]
        yield Piece(index, "".join(pieces), stream)


def beam_search(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, logits: NDArray[np.float32], state: State
) -> Continuation:
    """The likeliest continuation found by a beam of `config.beam` sequences; a beam of one is greedy.

    Probabilities are the model's own. A continuation ends where a sample of the same configuration does. Of
    continuations of different lengths the most probable is returned, so short ones have an advantage; where the
    document may not end, all have the same length.

    Raises:
        UsageError: as for `generate`.
        CheckpointError: the model's logits are no numbers.
    """
    if config.beam is None:
        raise ValueError("a beam search needs a beam")
    forbidden = forbidden_ids(vocabulary, config)
    beam, lines = Beam.at(logits, state), np.zeros(1, np.int64)
    best = Continuation(np.empty(0, np.int64), np.array([np.inf]))
    while True:
        too_early = [vocabulary.end] if beam.ids.shape[1] < config.min_length else []
        found = beam.candidates(np.append(forbidden, too_early).astype(np.int64), config.beam)
        ids, totals = _longer(beam.ids[found.rows], found.tokens), _longer(beam.totals[found.rows], found.totals)
        lines = lines[found.rows] + (found.tokens == vocabulary.characters.find("\n"))
        is_over = np.array([_is_over(vocabulary, config, *each) for each in zip(ids, lines, strict=True)])
        for row in np.flatnonzero(is_over)[:1]:  # the likeliest comes first
            if totals[row, -1] > best.log_probability:
                best = Continuation(ids[row], -np.diff(totals[row]))
        going_on = np.flatnonzero(~is_over)
        # A sequence that goes on can only become less likely.
        if not len(going_on) or found.totals[going_on[0]] <= best.log_probability:
            return best
        beam, lines = beam.step(engine, found.at(going_on)), lines[going_on]


def _longer(rows: NDArray[Any], column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([rows, column[:, None]], axis=1)


def _is_over(vocabulary: Vocabulary, config: SamplingConfig, ids: Ids, lines: int) -> bool:
    """True if a sequence of token ids (T,) with that number of lines ends with its last token."""
    if ids[-1] == vocabulary.end or len(ids) == config.length or lines == config.lines:
        return True
    longest = max(map(len, config.stop), default=0)
    return longest > 0 and vocabulary.decode(ids[-longest:]).endswith(config.stop)


def log_probabilities(logits: NDArray[np.floating[Any]]) -> Log:
    """The logarithm of the softmax (..., V). CheckpointError if a logit is no number, or all are -inf."""
    if not (logits.max(axis=-1) > -np.inf).all():
        raise overflow("the model gives no character a probability")
    below = below_best(logits.astype(np.float64))
    log: Log = below - np.log(np.exp(below).sum(axis=-1, keepdims=True))
    return log
