"""Batches that the network reads, one a step: tapes of running text, or episodes of documents.

A batch is a pure function of the step, so a run is resumed by counting. This module knows token ids only, no torch.
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids

__all__ = ["IGNORED", "Batch", "Batches", "Episodes", "Tapes", "fit_shape"]

IGNORED = -100  # a target that is not scored, the default of torch's cross-entropy

# Places read before the memory of a mapped text is given up. Each place brings some 64 KB in with it.
_PLACES_KEPT = 512


class Batch(NamedTuple):
    """Rows of T tokens to read, each from its place in the text, and the state to read them from.

    Row k begins at token `offsets[k]` and has `counts[k]` targets, at most T; the rest of it is padding. `state` is
    "carry" (the one after the previous step), "zero", or "shift": row k goes on where row k - 1 ended, and row 0 begins
    anew. The token ids are looked up in `ids`, or in a copy of the text that is nearer to where they are needed.
    """

    ids: Ids
    offsets: NDArray[np.int64]  # (B,)
    counts: NDArray[np.int64]  # (B,)
    length: int  # T
    state: Literal["carry", "zero", "shift"]

    @property
    def inputs(self) -> NDArray[np.int64]:
        """Token ids to read, (B, T)."""
        return self.ids[self._places()].astype(np.int64)

    @property
    def targets(self) -> NDArray[np.int64]:
        """Token ids to predict, (B, T), those of padding ignored."""
        targets = self.ids[self._places() + 1].astype(np.int64)
        targets[np.arange(self.length) >= self.counts[:, None]] = IGNORED
        return targets

    def _places(self) -> NDArray[np.int64]:
        """The place of each input in the text, (B, T); padding reads the last input of its row again."""
        return self.offsets[:, None] + np.minimum(np.arange(self.length), np.maximum(self.counts[:, None] - 1, 0))


class Batches(Protocol):
    """Batches by step, repeating after `steps_per_epoch` with fresh randomness where there is any."""

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps that read the whole text once."""
        ...

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""


def fit_shape(tokens: Tokens, batch_size: int, sequence_length: int, *, tapes: bool) -> tuple[int, int]:
    """The largest shape (B, T) within the one asked for that a text can fill, as tapes or as episodes."""
    longest = int(tokens.lengths.max())
    sequence_length = min(sequence_length, longest)
    rows = max(longest // sequence_length, 1) if tapes else len(tokens.lengths)
    return min(batch_size, rows), sequence_length


class Tapes:
    """A running text cut into B parallel streams, read T characters a step with the state carried.

    Every target is read once an epoch. At its end each tape has reached the place where the next tape began, so the
    states move down a row. Only in the first epoch is text read from a state that does not belong to it.
    """

    def __init__(self, tokens: Tokens, batch_size: int, sequence_length: int) -> None:
        if len(tokens.offsets) != 2:
            raise ValueError(f"tapes run over one document, got {len(tokens.offsets) - 1}")
        self.sequence_length = sequence_length
        self._tokens = tokens
        self._length = -(-tokens.targets // batch_size)
        self._starts = np.arange(batch_size) * self._length

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of T targets that the longest tape takes, the last one shorter where it must be."""
        return -(-self._length // self.sequence_length)

    def batch(self, step: int) -> Batch:
        """The next T tokens of each of the B tapes."""
        _release(self._tokens, step, len(self._starts))
        epoch, place = divmod(step, self.steps_per_epoch)
        first = place * self.sequence_length
        length = min(self.sequence_length, self._length - first)
        last = len(self._tokens.ids) - 2
        offsets = np.minimum(self._starts + first, last)
        counts = np.clip(last + 1 - (self._starts + first), 0, length)  # the last tape may be some targets short
        state: Literal["carry", "zero", "shift"] = "carry" if place else "shift" if epoch else "zero"
        return Batch(self._tokens.ids, offsets, counts, length, state)


class Episodes:
    """Documents from a zero state, B at a time, padded to the longest of them; padding is never scored.

    Documents of similar length are read together, so that little is padding. The grouping of documents of equal length
    and the order of the batches are drawn anew each epoch. A batch longer than T is read in chunks, its state carried.
    """

    def __init__(self, tokens: Tokens, batch_size: int, sequence_length: int, seed: int) -> None:
        self.sequence_length = sequence_length
        self._tokens = tokens
        self._batch_size = batch_size
        self._seed = seed
        lengths = np.sort(tokens.lengths)
        last = np.minimum(np.arange(0, len(lengths), batch_size) + batch_size, len(lengths)) - 1
        self._chunks = -(-lengths[last] // sequence_length)  # of each batch, in the order of length
        self._order = lru_cache(maxsize=1)(self._draw_order)

    @property
    def steps_per_epoch(self) -> int:
        """Number of chunks of at most T targets in all batches."""
        return int(self._chunks.sum())

    def _draw_order(self, epoch: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Documents by length, ties in random order; batches in random order; the step at which each of those ends."""
        random = np.random.default_rng((self._seed, epoch))
        ties = random.permutation(len(self._tokens.lengths))
        documents = ties[np.argsort(self._tokens.lengths[ties], kind="stable")]
        batches = random.permutation(len(self._chunks))
        return documents, batches, np.cumsum(self._chunks[batches])

    def batch(self, step: int) -> Batch:
        """A chunk of at most T targets of each of B documents, fewer than B in the batch of the longest."""
        _release(self._tokens, step, self._batch_size)
        epoch, place = divmod(step, self.steps_per_epoch)
        documents, batches, last_steps = self._order(epoch)
        index = int(np.searchsorted(last_steps, place, side="right"))
        first = int(batches[index]) * self._batch_size
        chunk = place - int(last_steps[index] - self._chunks[batches[index]])
        rows = documents[first : first + self._batch_size]
        starts = self._tokens.offsets[rows].astype(np.int64)
        lengths = self._tokens.offsets[rows + 1] - starts - 1
        read = chunk * self.sequence_length
        length = min(self.sequence_length, int(lengths.max()) - read)
        counts = np.clip(lengths - read, 0, length)
        offsets = starts + np.minimum(read, lengths - 1)
        return Batch(self._tokens.ids, offsets, counts, length, "carry" if chunk else "zero")


def _release(tokens: Tokens, step: int, rows: int) -> None:
    """Keep the memory of a mapped text small, however long it is read."""
    if step % max(_PLACES_KEPT // rows, 1) == 0:
        tokens.release()
