"""The one scorer: how well a model predicts a text, summed in nats over targets and divided once.

A text is read in segments, each from a zero state. A protocol is a choice of segments; the sums do not depend on how
many segments are read side by side, nor on how long a chunk is read at once.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from charrnn.model import CharacterModel
from charrnn.text.batches import IGNORED
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Score", "Segments", "carried", "overlapping", "score", "windowed"]


class Score(NamedTuple):
    """Sums over the scored targets: characters, and one end token (counted as one character, one byte) a document.

    Unknown characters are read, as the unknown token, but not scored.
    """

    nats: float
    characters: int
    bytes: int
    correct: int
    unknown: int

    @property
    def nats_per_character(self) -> float:
        """The loss."""
        return self.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Comparable between vocabularies."""
        return self.nats / math.log(2) / self.bytes

    @property
    def perplexity(self) -> float:
        """exp of the loss: among how many equally likely characters the model is in doubt; inf where it overflows."""
        return math.exp(self.nats_per_character) if self.nats_per_character < 700 else math.inf

    @property
    def accuracy(self) -> float:
        """The share of targets that the model thought likeliest."""
        return self.correct / self.characters


class Segments(NamedTuple):
    """Stretches of `Tokens.ids`, (N,) each: segment n reads `ids[first[n]:last[n]]` and predicts the token after each
    of them, of which those from `scored[n]` on are scored."""

    first: NDArray[np.int64]
    scored: NDArray[np.int64]
    last: NDArray[np.int64]


def carried(tokens: Tokens) -> Segments:
    """Each document in one go, its state carried from start to end."""
    first, last = tokens.offsets[:-1].astype(np.int64), tokens.offsets[1:].astype(np.int64) - 1
    return Segments(first, first, last)


def windowed(tokens: Tokens, window: int) -> Segments:
    """Windows of `window` targets, one after the other, each from a zero state and nothing before it."""
    return overlapping(tokens, window, 0)


def overlapping(tokens: Tokens, window: int, context: int) -> Segments:
    """Windows as in `windowed`, each read from `context` tokens earlier, which are not scored.

    With a long context this comes close to `carried`, and many windows can be read side by side.
    """
    pieces = []
    for start, end in zip(tokens.offsets[:-1].tolist(), (tokens.offsets[1:] - 1).tolist(), strict=True):
        scored = np.arange(start, end, window)
        pieces.append((np.maximum(scored - context, start), scored, np.minimum(scored + window, end)))
    first, scored, last = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return Segments(first, scored, last)


@torch.no_grad()
def score(
    model: CharacterModel,
    tokens: Tokens,
    segments: Segments,
    vocabulary: Vocabulary,
    *,
    rows: int = 64,
    chunk: int = 8192,
) -> Score:
    """Score segments of a text, `rows` side by side and at most `chunk` tokens at once.

    The model is put into evaluation mode and back into the one it was in.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    nats = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    characters = unknown = size = 0
    order = np.argsort(segments.first - segments.last, kind="stable")  # the longest first: like with like
    try:
        for rank in range(0, len(order), rows):
            group = order[rank : rank + rows]
            first, scored, last = (column[group, None] for column in segments)
            state = model.initial_state(len(group))
            longest, width = int((last - first).max()), max(chunk // len(group), 1)
            for start in range(0, longest, width):
                places = first + np.arange(start, min(start + width, longest))
                inputs = tokens.ids[np.minimum(places, last - 1)].astype(np.int64)
                targets = tokens.ids[np.minimum(places, last - 1) + 1].astype(np.int64)
                is_scored = (places >= scored) & (places < last)
                is_unknown = is_scored & (targets == vocabulary.unknown)
                targets[~is_scored | is_unknown] = IGNORED
                known = targets[targets != IGNORED]
                characters += known.size
                unknown += int(is_unknown.sum())
                size += int(vocabulary.byte_lengths[known].sum())
                logits, state = model(torch.from_numpy(inputs).to(device), state)
                wanted = torch.from_numpy(targets).to(device).flatten()
                logits = logits.flatten(0, 1).float()
                losses = F.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="none")
                nats += losses.double().sum()
                correct += (logits.argmax(-1) == wanted).sum()
    finally:
        model.train(was_training)
    return Score(nats.item(), characters, size, int(correct.item()), unknown)
