"""One model beside a text: likely next characters at the cursor, a suggestion, and what each character cost it."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CharrnnError
from charrnn.sampling.chooser import Chooser
from charrnn.sampling.distribution import Candidate, candidates
from charrnn.sampling.generate import Engine, start_after, written
from charrnn.sampling.stream import Stream
from charrnn.sampling.with_ngrams import numpy_engine
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.documents import normalized_pieces
from charrnn.writing.continuation import Continuation, Extent, whole_characters
from charrnn.writing.copied import Learned
from charrnn.writing.model_text import ModelText
from charrnn.writing.reading import Reading, Spot

__all__ = ["SHOWN", "Answer", "Copied", "Costs", "Likeliest", "Question", "Suggested", "Voice"]

SHOWN = 8  # likely next characters
_AT_ONCE = 16  # pieces drawn before a newer question is listened to
_MOST_DRAWN = 32  # continuations that can be shown again
_BETWEEN = 64  # pieces read between two reports of costs
_LONGEST_UTF8, _FIRST_FOLLOWER, _FOLLOWERS_END = 4, 0x80, 0xC0  # bytes of a character; those behind its first
_SEPARATORS = {"line": "\n", "blank": "\n\n"}  # of documents, where the model ends one


class Question(NamedTuple):
    """A text and the cursor in it, and how the model is to go on from there; `draw` is the number of the trial."""

    text: str
    cursor: int
    config: SamplingConfig
    draw: int
    extent: Extent
    wants_suggestion: bool = True


class Likeliest(NamedTuple):
    """The likeliest next characters at the cursor, in the units of the model, and the text that each would write."""

    candidates: tuple[Candidate, ...]
    texts: tuple[str, ...]


class Suggested(NamedTuple):
    """Text that the model would write at the cursor; empty where it ends the document."""

    text: str


class Costs(NamedTuple):
    """Bits that the first N characters of the text cost the model (N,), and those of them that it does not know (N,).

    Sums are over the tokens that were scored.
    """

    bits: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    units: NDArray[np.int64]

    def per_character(self, start: int, end: int) -> float | None:
        """Mean bits of the characters from `start` up to `end`, as far as they have been read; None if none was."""
        scored = int(self.units[start:end].sum())
        return float(self.bits[start:end].sum()) / scored if scored else None

    def levels(self, bounds: Sequence[float], start: int, end: int) -> list[int]:
        """The level of each of the characters from `start` up to `end` that have been read, -1 for an unknown one.

        Level k is from `bounds[k - 1]` up to `bounds[k]` bits.
        """
        levels = np.searchsorted(bounds, self.bits[start:end], "right")
        found: list[int] = np.where(self.unknown[start:end], -1, levels).tolist()
        return found

    def unknown_of(self, text: str) -> list[str]:
        """The characters of the text that the model does not know, each once, in the order of the text."""
        return list(dict.fromkeys(text[place] for place in np.flatnonzero(self.unknown)))

    def before(self, place: int) -> "Costs":
        """Those of the characters before a place."""
        return Costs(self.bits[:place], self.unknown[:place], self.units[:place])


class Copied(NamedTuple):
    """Share of the text that stands in the training text, 0 to 1; None for a text that is too short."""

    share: float | None


Answer = Likeliest | Suggested | Costs | Copied


class Voice:
    """A model that reads along. It answers questions about a text that it has mostly read for the one before.

    Raises:
        UsageError: as `start_after`, or settings that leave nothing to write.
    """

    def __init__(self, name: str, checkpoint: Checkpoint, config: SamplingConfig) -> None:
        self.name, self.vocabulary = name, checkpoint.vocabulary
        self._text, self._unknown = checkpoint.config.text, checkpoint.vocabulary.unknown
        self._engine: Engine = numpy_engine(checkpoint)
        start = start_after(config.label, self.vocabulary)
        self._before, self._whole = (ModelText(self._text, self.vocabulary, start) for _ in range(2))
        self._reading = Reading(self._engine, self.vocabulary)
        # What was drawn of late for some settings and a number, each with the text behind which it stands.
        self._drawn: dict[tuple[SamplingConfig, int], tuple[str, Continuation]] = {}
        self._checkpoint = checkpoint
        self._learned: Learned | None = None
        Chooser(self.vocabulary, self._settled(config))  # whose errors come before any text

    def learn(self) -> None:
        """Read the training text, if it is there, so that answers tell the share that stands in it.

        It may take long; other threads may ask meanwhile.
        """
        with contextlib.suppress(CharrnnError):
            self._learned = Learned(self._checkpoint)

    @property
    def steps(self) -> int:
        """Number of tokens by which the model was stepped to read the text."""
        return self._reading.steps

    def answers(self, question: Question) -> Iterator[Answer | None]:
        """First the likeliest characters, then the suggestion, then the costs of the text, told while it is read, too.

        None comes between: the answers can be given up at any of them, and nothing that was read is lost.

        Raises:
            CheckpointError: the model gives no character a probability.
        """
        self._before.follow(question.text[: question.cursor])
        self._whole.follow(question.text)
        ids, whole = self._before.ids, self._whole.ids
        is_start = len(ids) <= len(whole) and np.array_equal(ids, whole[: len(ids)])
        # Else the cursor stands within what the model reads as one: the text up to it is read apart.
        self._reading.follow(whole if is_start else ids)
        yield from self._read(len(ids), tells=is_start)
        spot = self._reading.spot(len(ids))
        found = candidates(spot.logits[0], self.vocabulary, SHOWN)
        yield Likeliest(tuple(found), tuple(self._written(each, spot) for each in found))
        if question.wants_suggestion:
            yield from self._suggestion(question, spot)
        self._reading.follow(whole)
        yield from self._read(len(whole), tells=True)
        yield self._costs()
        if self._learned is not None:
            yield from self._copied(self._learned, question.text)

    def _read(self, until: int, *, tells: bool) -> Iterator[Costs | None]:
        """Read on to the first `until` tokens; the costs so far come between if it `tells` them."""
        pieces = 0
        while self._reading.count < until:
            self._reading.read(until)
            pieces += 1
            yield self._costs() if tells and pieces % _BETWEEN == 0 else None

    def _costs(self) -> Costs:
        nats, ends = self._reading.nats, self._whole.ends
        ends = ends[: np.searchsorted(ends, len(nats), "right")]
        scored = ~np.isnan(nats)
        bits = np.concatenate([np.zeros(1), np.where(scored, nats, 0).cumsum()]) / math.log(2)
        units = np.concatenate([np.zeros(1, np.int64), scored.cumsum()])
        unknown = np.concatenate([np.zeros(1, np.int64), (self._whole.ids[: len(nats)] == self._unknown).cumsum()])
        return Costs(np.diff(bits[ends]), np.diff(unknown[ends]) > 0, np.diff(units[ends]))

    def _copied(self, learned: Learned, text: str) -> Iterator[Copied | None]:
        share = None
        for found in learned.share(text):
            share = found
            yield None
        yield Copied(share)

    def _suggestion(self, question: Question, spot: Spot) -> Iterator[Suggested | None]:
        """A suggestion that goes on with the last one where the text does, and else is drawn anew."""
        before, key = question.text[: question.cursor], (question.config, question.draw)
        anchor, continuation = self._drawn.pop(key, ("", None))
        start = len(before) - len(anchor)
        if continuation is None or not continuation.goes_on(start) or before != anchor + continuation.text[:start]:
            index = (len(before) << 32) + question.draw  # other random numbers at other places
            continuation = Continuation(self._pieces(spot, self._settled(question.config), index))
            anchor, start = before, 0
        self._drawn[key] = anchor, continuation
        if len(self._drawn) > _MOST_DRAWN:
            del self._drawn[next(iter(self._drawn))]
        while (text := continuation.extent(start, question.extent)) is None:
            continuation.take(_AT_ONCE)
            yield None
        yield Suggested(text)

    def _written(self, candidate: Candidate, spot: Spot) -> str:
        """The text that a candidate stands for; a byte is completed by the likeliest that make a character of it."""
        if candidate.character is None:
            return _SEPARATORS.get(self._text.documents, "")
        if self.vocabulary.unit == "character" or candidate.character < "\x80":
            return candidate.character
        data = bytes([ord(candidate.character)])
        state = spot.state
        for _ in range(_LONGEST_UTF8 - 1):
            logits, state = self._engine.step(np.array([data[-1]]), state)
            data += bytes([_FIRST_FOLLOWER + int(logits[0, _FIRST_FOLLOWER:_FOLLOWERS_END].argmax())])
            with contextlib.suppress(UnicodeDecodeError):
                return data.decode()
        return ""

    def _settled(self, config: SamplingConfig) -> SamplingConfig:
        """The settings for a text that goes on as long as it is asked for."""
        until_end = self._text.documents != "none" if config.until_end is None else config.until_end
        return replace(config, length=0, until_end=until_end)

    def _pieces(self, spot: Spot, config: SamplingConfig, index: int) -> Iterator[str]:
        stream = Stream(self.vocabulary, config, index)
        stream.remember(self._before.ids)
        pieces = written(self._engine, Chooser(self.vocabulary, config), stream, spot.logits, spot.state)
        if self.vocabulary.unit == "byte":
            pieces = whole_characters(pieces)
        # What the model takes apart is put together again, as people type it.
        yield from normalized_pieces(pieces, "nfc" if self._text.normalize == "nfd" else None)
        if stream.finish == "end":
            yield _SEPARATORS.get(self._text.documents, "")
