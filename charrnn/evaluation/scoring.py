"""The only scorer: the cost of each target of a text to a model, and the sum of the costs, divided once.

A text is read in segments, each from a zero state. A protocol is a choice of segments. The scores do not depend on the
number of segments that are read side by side, nor on the length of a chunk.
"""

import math
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.evaluation.with_ngrams import ScoredModel, mixed, network_of, table_of
from charrnn.model import CharacterModel
from charrnn.ngrams.along import Along
from charrnn.ngrams.table import NgramTable
from charrnn.text.batches import IGNORED
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = [
    "Chunk",
    "MixedLogits",
    "ScoreSums",
    "Scored",
    "Segments",
    "carried",
    "chunks",
    "cost",
    "no_alternatives",
    "overlapping",
    "score",
    "scored",
    "windowed",
]

# Nats are rounded to a multiple of 2^-24, as fine as a float32 near 1. Sums of such numbers are exact, in any order, up
# to 2^29 nats, so lines, documents and texts add up to the last digit.
_GRID = 2.0**24

_LOGITS = 2**21  # at once: larger arrays leave the caches, and those of thousands of characters take gigabytes
_BLOCK = 2**21  # tokens in a block, whose longest segments are read first and whose targets are then sorted


class ScoreSums(NamedTuple):
    """Sums over the scored targets: characters, and one end token (counted as one character, one byte) a document.

    `bytes` are those of the targets in UTF-8. (`Reading` makes them those of the text before it was treated.)

    Unknown characters are read, as the unknown token, but not scored.
    """

    nats: float = 0.0
    characters: int = 0
    bytes: int = 0
    correct: int = 0
    unknown: int = 0

    def plus(self, more: "Scored", vocabulary: Vocabulary) -> "ScoreSums":
        """The sums with more targets added, whose ids are of `vocabulary`."""
        is_known = more.ranks > 0
        known = int(np.count_nonzero(is_known))
        return ScoreSums(
            self.nats + float(more.nats[is_known].sum()),
            self.characters + known,
            self.bytes + int(vocabulary.byte_lengths[more.ids].sum()),
            self.correct + int(np.count_nonzero(more.ranks == 1)),
            self.unknown + len(is_known) - known,
        )

    @property
    def nats_per_character(self) -> float:
        """The loss: mean cost of a character in nats."""
        return self.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        """Mean cost of a character in bits."""
        return self.nats_per_character / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """Mean cost of a byte of text in bits, comparable between vocabularies."""
        return self.nats / math.log(2) / self.bytes

    @property
    def perplexity(self) -> float:
        """exp of the loss: the number of equally likely characters that would cost as much; inf where it overflows."""
        return math.exp(self.nats_per_character) if self.nats_per_character < 700 else math.inf

    @property
    def accuracy(self) -> float:
        """Share of targets that were the model's likeliest token, 0 to 1."""
        return self.correct / self.characters


class Scored(NamedTuple):
    """Scored targets; each array is (N,), but for the last two, which are (N, K).

    `places` are their places in `Tokens.ids`, `ids` are the model's, `nats` the cost of each, a multiple of 2^-24. Rank
    1 is the likeliest token; of equally likely tokens the smaller id has the smaller rank. Unknown characters have NaN
    nats and rank 0.

    `likeliest` are the K likeliest of the tokens that are characters or the end, and `shares` their probabilities; K is
    0 unless they were asked for.
    """

    places: NDArray[np.int64]
    ids: NDArray[np.int64]
    nats: NDArray[np.float64]
    ranks: NDArray[np.int64]
    likeliest: NDArray[np.int32]
    shares: NDArray[np.float32]

    def at(self, indices: NDArray[np.integer[Any]]) -> "Scored":
        """The targets at some indices."""
        return Scored(*(column[indices] for column in self))


class Segments(NamedTuple):
    """Stretches of `Tokens.ids`, (N,) each: segment n reads `ids[first[n]:last[n]]` and predicts the token after each
    of them, of which those from `scored[n]` on are scored. N-grams and repetitions look back to `begin[n]`."""

    first: NDArray[np.int64]
    scored: NDArray[np.int64]
    last: NDArray[np.int64]
    begin: NDArray[np.int64]


class Chunk(NamedTuple):
    """Tokens of some segments side by side, (B, T) each; `begins` is true where they are the segments' first.

    `inputs` are read at `places` in `Tokens.ids`, `targets` come next, and `is_scored` tells those that are scored.
    """

    begins: bool
    places: NDArray[np.int64]
    is_scored: NDArray[np.bool_]
    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]


def carried(tokens: Tokens) -> Segments:
    """Segments of one document each, its state carried from start to end."""
    first, last = tokens.offsets[:-1].astype(np.int64), tokens.offsets[1:].astype(np.int64) - 1
    return Segments(first, first, last, first)


def windowed(tokens: Tokens, window: int) -> Segments:
    """Windows of `window` targets, one after the other, each from a zero state and nothing before it."""
    return overlapping(tokens, window, 0)


def overlapping(tokens: Tokens, window: int, context: int) -> Segments:
    """Windows as in `windowed`, each read from `context` tokens earlier, which are not scored.

    With a long context this comes close to `carried`, and many windows can be read side by side. N-grams and
    repetitions look back to the beginning of the document then, but without a context to that of the window.
    """
    pieces = []
    for start, end in zip(tokens.offsets[:-1].tolist(), (tokens.offsets[1:] - 1).tolist(), strict=True):
        scored = np.arange(start, end, window)
        begin = np.full_like(scored, start) if context else scored
        pieces.append((np.maximum(scored - context, start), scored, np.minimum(scored + window, end), begin))
    return Segments(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def cost(logits: Tensor, targets: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Nats and ranks (N,) of targets (N,) under logits (N, V), as in `Scored`; NaN and 0 for ignored targets."""
    logits = logits.float()
    is_ignored = (targets == IGNORED).cpu().numpy()
    losses = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
    wanted = targets.clamp(min=0)[:, None]
    own = logits.gather(1, wanted)
    is_earlier = torch.arange(logits.shape[1], device=logits.device) < wanted
    ranks: NDArray[np.int64] = 1 + ((logits > own) | ((logits == own) & is_earlier)).sum(1).cpu().numpy()
    # In double precision on the CPU, as not every device has that.
    nats = np.rint(losses.cpu().double().numpy() * _GRID) / _GRID + 0.0  # + 0.0 turns -0 into 0
    nats[is_ignored], ranks[is_ignored] = np.nan, 0
    return nats, ranks


def _likeliest(
    logits: Tensor, wanted: NDArray[np.bool_], count: int, vocabulary: Vocabulary
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The `count` likeliest tokens and their shares, as in `Scored`, under those of logits (N, V) that are `wanted`."""
    if not count:
        return no_alternatives(int(np.count_nonzero(wanted)))
    shares = logits[torch.from_numpy(wanted).to(logits.device)].float().softmax(-1)
    shares[:, [*vocabulary.starts, vocabulary.unknown]] = -1  # which are no text
    best, ids = shares.topk(min(count, vocabulary.start + 1))
    return ids.cpu().numpy().astype(np.int32), best.cpu().numpy()


def no_alternatives(targets: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The last two arrays of `Scored` for so many targets, where no alternatives were asked for."""
    return np.empty((targets, 0), np.int32), np.empty((targets, 0), np.float32)


class MixedLogits(NamedTuple):
    """The mixing of a network's logits with the n-grams of a table, along a text."""

    table: NgramTable
    along: Along

    @classmethod
    def of(
        cls,
        model: ScoredModel,
        tokens: Tokens,
        segments: Segments,
        translation: Ids | None,
        along: Along | None = None,
    ) -> "MixedLogits | None":
        """The mixing of a model's logits at the places of segments; None if it has no n-grams."""
        table = table_of(model)
        if table is None:
            return None
        return cls(table, along or Along(table, tokens, segments.begin, segments.scored, translation))

    def at(self, places: NDArray[np.int64], logits: Tensor) -> Tensor:
        """The logits (B, T, V) of the mixture, of the network's after the tokens at places (B, T)."""
        return mixed(logits, self.table, self.along.at(places.ravel()))


@torch.no_grad()
def scored(
    model: ScoredModel,
    tokens: Tokens,
    segments: Segments,
    vocabulary: Vocabulary,
    *,
    translation: Ids | None = None,
    along: Along | None = None,
    in_order: bool = True,
    alternatives: int = 0,
    rows: int = 64,
    chunk: int = 8192,
) -> Iterator[Scored]:
    """All scored targets of segments, in the order of the text or as they come, some thousands at a time.

    `rows` segments are read side by side and at most `chunk` tokens at once, fewer with a large vocabulary, in constant
    memory. `translation` (V',) has the model's id for each id of the tokens, where these are not the model's own.
    `along` is what the model's n-grams know of the tokens, where that is known already. `alternatives` is the number of
    likeliest tokens wanted for each target. Meanwhile the model is in evaluation mode; afterwards it is in its former
    mode again.
    """
    chunk = min(chunk, max(_LOGITS // vocabulary.size, 1))
    network = network_of(model)
    was_training = network.training
    network.eval()
    with_table = MixedLogits.of(model, tokens, segments, translation, along)
    try:
        for block in _blocks(segments, rows):
            own = chunks(tokens, Segments(*(column[block] for column in segments)), translation, rows, chunk)
            pieces = _pieces(network, with_table, own, vocabulary, alternatives)
            if in_order and block.stop - block.start > 1:
                whole = Scored(*map(np.concatenate, zip(*pieces, strict=True)))
                order = np.argsort(whole.places)
                pieces = (whole.at(order[k : k + chunk]) for k in range(0, len(order), chunk))
            yield from pieces
    finally:
        network.train(was_training)


def _blocks(segments: Segments, rows: int) -> Iterator[slice]:
    """Runs of segments of at most `_BLOCK` tokens together, or of one segment; multiples of `rows` if possible."""
    ends = np.cumsum(segments.last - segments.first)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        count = max(int(np.searchsorted(ends, before + _BLOCK, "right")) - start, 1)
        if start + count < len(ends) and count > rows:
            count -= count % rows
        yield slice(start, start + count)
        start += count


def _pieces(
    network: CharacterModel,
    with_table: MixedLogits | None,
    read: Iterable[Chunk],
    vocabulary: Vocabulary,
    alternatives: int,
) -> Iterator[Scored]:
    """The scored targets of chunks."""
    device, state = next(network.parameters()).device, None
    for begins, places, is_scored, inputs, targets in read:
        state = network.initial_state(len(places)) if begins else state
        wanted = np.where(is_scored & (targets != vocabulary.unknown), targets, IGNORED)
        logits, state = network(torch.from_numpy(inputs).to(device), state)
        if with_table:
            logits = with_table.at(places, logits)
        nats, ranks = cost(logits.flatten(0, 1), torch.from_numpy(wanted).to(device).flatten())
        if is_scored.any():
            here = is_scored.ravel()
            best = _likeliest(logits.flatten(0, 1), here, alternatives, vocabulary)
            yield Scored(places[is_scored] + 1, targets[is_scored], nats[here], ranks[here], *best)


def chunks(tokens: Tokens, segments: Segments, translation: Ids | None, rows: int, chunk: int) -> Iterator[Chunk]:
    """The tokens of segments, `rows` segments side by side and `chunk` tokens at once: the longest segments first,
    similar lengths together."""
    order = np.argsort(segments.first - segments.last, kind="stable")
    for rank in range(0, len(order), rows):
        group = order[rank : rank + rows]
        first, scored, last, _ = (column[group, None] for column in segments)
        longest, width = int((last - first).max()), max(chunk // len(group), 1)
        for start in range(0, longest, width):
            places = first + np.arange(start, min(start + width, longest))
            read = np.minimum(places, last - 1)
            inputs, targets = tokens.ids[read], tokens.ids[read + 1]
            if translation is not None:
                inputs, targets = translation[inputs], translation[targets]
            is_scored = (places >= scored) & (places < last)
            yield Chunk(start == 0, places, is_scored, inputs.astype(np.int64), targets.astype(np.int64))
            tokens.release()


def score(
    model: ScoredModel,
    tokens: Tokens,
    segments: Segments,
    vocabulary: Vocabulary,
    *,
    translation: Ids | None = None,
    along: Along | None = None,
    rows: int = 64,
    chunk: int = 8192,
) -> ScoreSums:
    """The sums over all targets of `scored`, which are the same in any order."""
    pieces = scored(
        model,
        tokens,
        segments,
        vocabulary,
        translation=translation,
        along=along,
        in_order=False,
        rows=rows,
        chunk=chunk,
    )
    return reduce(lambda total, piece: total.plus(piece, vocabulary), pieces, ScoreSums())
