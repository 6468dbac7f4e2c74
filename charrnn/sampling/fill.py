"""Filling a gap in a text: beam search from what stands before it, and then what follows decides."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.sampling.beam import Beam, log_probabilities
from charrnn.sampling.generate import Engine
from charrnn.text.vocabulary import Ids

__all__ = ["Filling", "Gap", "fill", "find_gap"]


class Gap(NamedTuple):
    """What stands before a gap, how long it is in the text, and what stands after it."""

    before: str
    length: int
    after: str


class Filling(NamedTuple):
    """Token ids for a gap, and their log-probability and that of what follows them, in nats."""

    ids: Ids
    filling_log_probability: float
    following_log_probability: float

    @property
    def log_probability(self) -> float:
        """The logarithm of the probability that the text goes on with this filling and what follows it."""
        return self.filling_log_probability + self.following_log_probability


def find_gap(text: str, blank: str) -> Gap:
    """The one place of a text where `blank` stands, once for each character that is missing.

    Raises:
        UsageError: there is no such place, or another.
    """
    if not blank:
        raise UsageError("--blank must be some text, got an empty one")
    found = list(re.finditer(f"(?:{re.escape(blank)})+", text))
    if len(found) != 1:
        raise UsageError(
            f"the text must have one gap, got {len(found) or 'none'}: {text!r:.60}\n"
            f"write {blank!r:.20} for each character that is missing, or choose another mark with --blank"
        )
    start, end = found[0].span()
    return Gap(text[:start], (end - start) // len(blank), text[end:])


def fill(
    engine: Engine, before: Ids, after: Ids, lengths: range, *, forbidden: NDArray[np.int64], width: int
) -> list[Filling]:
    """Fillings of the `lengths` asked for, the most probable first.

    `before` (T,), T > 0, begins with a start token, `after` may be empty. For each length the `width` likeliest
    fillings that a beam of that width finds without looking ahead are compared by the probability of all that is
    written from the gap on, so that of different lengths short ones have an advantage.

    Raises:
        CheckpointError: the model's logits are no numbers.
    """
    beam = Beam.at(*engine.read(before[None], engine.initial_state(1)))
    fillings = []
    for length in range(1, lengths.stop):
        beam = beam.step(engine, beam.candidates(forbidden, width))
        if length in lengths:
            following = _following(engine, beam, after)
            fillings += [Filling(*each) for each in zip(beam.ids, beam.totals[:, -1].tolist(), following, strict=True)]
    return sorted(fillings, key=lambda each: -each.log_probability)


def _following(engine: Engine, beam: Beam, after: Ids) -> list[float]:
    """The log-probability of token ids (T,) after each sequence of a beam."""
    total, logits, state = np.zeros(len(beam.ids)), beam.logits, beam.state
    for place, token in enumerate(after.tolist()):
        total += log_probabilities(logits)[:, token]
        if place + 1 < len(after):
            logits, state = engine.step(np.full(len(total), token), state)
    found: list[float] = total.tolist()
    return found
