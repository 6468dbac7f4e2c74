"""Filling a gap in a text: a beam search from the text before it, ranked by the probability of the text after it."""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.sampling.beam import Beam, log_probabilities
from charrnn.sampling.chooser import forbidden_ids
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import Engine, start_after
from charrnn.sampling.prime import as_model_text, encode_prime
from charrnn.settings.lookup import FillConfig
from charrnn.settings.sampling import EngineConfig, SamplingConfig
from charrnn.text.vocabulary import Ids

_LONGEST = 1000  # characters of a gap
_NAME = "the text"

__all__ = ["FilledGap", "Filling", "Gap", "fill", "fill_gap", "find_gap"]


class Gap(NamedTuple):
    """The text before a gap, the length of the gap in characters, and the text after it."""

    before: str
    length: int
    after: str


class Filling(NamedTuple):
    """Token ids for a gap, their log-probability, and that of the text after them, in nats."""

    ids: Ids
    filling_log_probability: float
    following_log_probability: float

    @property
    def log_probability(self) -> float:
        """Log-probability of the filling and the text after it, given the text before, in nats."""
        return self.filling_log_probability + self.following_log_probability


class FilledGap(NamedTuple):
    """The text around a gap as the model reads it, the fillings with their characters, and the device in words."""

    before: str
    after: str
    fillings: list[tuple[str, Filling]]
    device: str


def fill_gap(checkpoint: Checkpoint, text: str, config: FillConfig, engine: EngineConfig) -> FilledGap:
    """The likeliest `config.top` fillings of the gap in a text.

    Raises:
        UsageError: the text has no gap or several, or one that is too long; or as `forbidden_ids` and `start_after`.
        DataError: the text has characters that the model does not know.
    """
    gap = find_gap(text, config.blank)
    if config.most is None and gap.length > _LONGEST:
        raise UsageError(f"the gap must be at most {_LONGEST} characters long, got {gap.length}")
    vocabulary, read_as = checkpoint.vocabulary, checkpoint.config.text
    sampling = SamplingConfig(allow=config.allow, ban=config.ban, until_end=False)
    forbidden = forbidden_ids(vocabulary, sampling)
    start = start_after(config.label, vocabulary)
    before, after = (
        encode_prime(part, read_as, vocabulary, config.unknown, _NAME).astype(np.int64)
        for part in (gap.before, gap.after)
    )
    opened = open_engine(checkpoint, sampling, engine.engine, engine.device)
    lengths = range(gap.length, gap.length + 1) if config.most is None else range(1, config.most + 1)
    whole = np.concatenate([[start], before])
    found = fill(opened.engine, whole, after, lengths, forbidden=forbidden, width=config.beam)
    around = [as_model_text(part, read_as, vocabulary, _NAME) for part in (gap.before, gap.after)]
    listed = [(vocabulary.decode(each.ids), each) for each in found[: config.top]]
    return FilledGap(around[0], around[1], listed, opened.device)


def find_gap(text: str, blank: str) -> Gap:
    """The one gap in a text, marked by `blank` once for each missing character.

    Raises:
        UsageError: there is no gap, or more than one.
    """
    if not blank:
        raise UsageError(f"{named('blank')} must be some text, got an empty one")
    found = list(re.finditer(f"(?:{re.escape(blank)})+", text))
    if len(found) != 1:
        raise UsageError(
            f"the text must have one gap, got {len(found) or 'none'}: {text!r:.60}\n"
            f"write {blank!r:.20} for each character that is missing, or choose another mark with {named('blank')}"
        )
    start, end = found[0].span()
    return Gap(text[:start], (end - start) // len(blank), text[end:])


def fill(
    engine: Engine, before: Ids, after: Ids, lengths: range, *, forbidden: NDArray[np.int64], width: int
) -> list[Filling]:
    """Fillings of the `lengths` asked for, the most probable first.

    `before` (T,), T > 0, begins with a start token, `after` may be empty. A beam finds the `width` likeliest fillings
    of each length without looking ahead. They are ranked by the probability of the filling and the text after it, so
    short fillings have an advantage.

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
