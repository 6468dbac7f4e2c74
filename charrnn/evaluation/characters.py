"""Costs of each character and each line of a text to the model that read it."""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from charrnn.evaluation.scoring import Scored
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["CharacterScore", "LineScore", "character_scores", "line_scores"]


class CharacterScore(NamedTuple):
    """A character, or the end token (None) of a document, with its nats and rank; None where it is unknown.

    `offset` is the number of characters before it, with one for the end of each document before it; `line` is the
    number of its line, from 1. A newline belongs to the line that it ends, an end token to the last line.
    `alternatives` are the likeliest characters, and the end (None), in its place, each with its probability.
    """

    offset: int
    line: int
    character: str | None
    nats: float | None
    rank: int | None
    alternatives: tuple[tuple[str | None, float], ...] = ()

    @property
    def bits(self) -> float | None:
        """Cost in bits; None for an unknown character."""
        return None if self.nats is None else self.nats / math.log(2)

    @property
    def probability(self) -> float | None:
        """Probability that the model gave it; None for an unknown character."""
        return None if self.nats is None else math.exp(-self.nats)


class LineScore(NamedTuple):
    """A line with its newline, and the sums over its scored characters, the end token of a document among them."""

    line: int
    offset: int
    text: str
    characters: int
    unknown: int
    nats: float
    ranks: int

    @property
    def bits(self) -> float:
        """Cost of the line in bits."""
        return self.nats / math.log(2)

    @property
    def bits_per_character(self) -> float | None:
        """Mean cost of the scored characters in bits; None where there are none."""
        return self.bits / self.characters if self.characters else None

    @property
    def probability(self) -> float:
        """Probability of the whole line, given the text before it; 0 where that is too small for a float."""
        return math.exp(-self.nats)

    @property
    def mean_rank(self) -> float | None:
        """Mean rank of the scored characters, 1 at best; None where there are none."""
        return self.ranks / self.characters if self.characters else None


def character_scores(
    pieces: Iterable[Scored], tokens: Tokens, vocabulary: Vocabulary, model_vocabulary: Vocabulary
) -> Iterator[CharacterScore]:
    """The scores of the characters of a text that was scored in order; `vocabulary` is that of the tokens."""
    names = [*model_vocabulary.characters, *(None for _ in range(model_vocabulary.start, model_vocabulary.size))]
    line, line_is_over = 1, False
    for piece in pieces:
        ids = tokens.ids[piece.places].tolist()
        starts = np.searchsorted(tokens.offsets, piece.places, "right")  # start tokens, which are no characters
        offsets, nats, ranks = (piece.places - starts).tolist(), piece.nats.tolist(), piece.ranks.tolist()
        likeliest, shares = piece.likeliest.tolist(), piece.shares.tolist()
        for token, offset, cost, rank, *best in zip(ids, offsets, nats, ranks, likeliest, shares, strict=True):
            character = None if token == vocabulary.end else vocabulary.characters[token]
            if line_is_over and character is not None:
                line, line_is_over = line + 1, False
            line_is_over = line_is_over or character in ("\n", None)
            others = tuple((names[each], share) for each, share in zip(*best, strict=True))
            yield CharacterScore(offset, line, character, cost if rank else None, rank or None, others)


def line_scores(characters: Iterable[CharacterScore]) -> Iterator[LineScore]:
    """The scores of the lines made of these characters. Only the current line is in memory."""
    for line, group in groupby(characters, key=lambda each: each.line):
        text, nats, ranks, unknown, offset, count = [], 0.0, 0, 0, None, 0
        for each in group:
            offset = each.offset if offset is None else offset
            text.append(each.character or "")
            if each.nats is None or each.rank is None:
                unknown += 1
            else:
                count, nats, ranks = count + 1, nats + each.nats, ranks + each.rank
        yield LineScore(line, offset or 0, "".join(text), count, unknown, nats, ranks)
