"""Statistics of a text before it is learned: rare characters, its lines and documents, and duplicates.

They are counted over token ids in chunks, so a text need not fit in memory.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.text.rolling_hash import BASE, Hashes, RunHasher
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["RARE", "Pieces", "TextStatistics", "text_statistics"]

RARE = 10  # a character that is seen less often is learned badly

_CHUNK = 2**18  # ids at a time
_MOST_KEPT = 2**20  # hashes; of more distinct pieces, duplicates are counted in a sample
_PENDING = 2**18


class Pieces(NamedTuple):
    """Statistics of lines or documents, empty ones aside; `duplicates` is the share that repeats an earlier one."""

    number: int
    mean_length: float
    longest: int
    duplicates: float


class TextStatistics(NamedTuple):
    """Statistics of a text in characters, those included that the vocabulary does not have.

    `different` are the others, `rare` those of them that are seen less than `RARE` times, the rarest first.
    """

    characters: int
    different: int
    rare: str
    lines: Pieces
    documents: Pieces


def text_statistics(parts: Sequence[Tokens], vocabulary: Vocabulary) -> TextStatistics:
    """The statistics of a text in several parts, such as a training part and a validation part."""
    counts = np.zeros(vocabulary.size, np.int64)
    is_border = np.arange(vocabulary.size) >= vocabulary.start
    documents = _PieceCounter(is_border)
    lines = _PieceCounter(is_border | np.isin(np.arange(vocabulary.size), vocabulary.encode("\r\n")))
    for ids in (ids for tokens in parts for ids in _chunks(tokens)):
        counts += np.bincount(ids, minlength=vocabulary.size)
        documents.add(ids)
        lines.add(ids)
    unknown, counts = int(counts[vocabulary.unknown]), counts[: vocabulary.start]
    rare = np.flatnonzero((counts > 0) & (counts < RARE))
    rarest_first = vocabulary.decode(rare[np.argsort(counts[rare], kind="stable")])
    different = int(np.count_nonzero(counts))
    return TextStatistics(int(counts.sum()) + unknown, different, rarest_first, lines.pieces(), documents.pieces())


def _chunks(tokens: Tokens) -> Iterator[Ids]:
    for start in range(0, len(tokens.ids), _CHUNK):
        yield tokens.ids[start : start + _CHUNK]
        tokens.release()


class _PieceCounter:
    """Counts the pieces between border ids; the ids come in chunks, the last of which ends with a border."""

    def __init__(self, is_border: NDArray[np.bool_]) -> None:
        self._is_border = is_border
        self._values = np.random.default_rng(0).integers(2**64, size=len(is_border), dtype=np.uint64)
        self._values[is_border] = 0
        self._hasher = RunHasher(_CHUNK)
        self._open_hash, self._open_length = 0, 0  # of the piece that continues in the next chunk
        self._count = self._total = self._longest = 0
        self._duplicates = _DuplicateCounter()

    def add(self, ids: Ids) -> None:
        """Count the pieces in the next ids, at most `_CHUNK`."""
        borders = np.flatnonzero(self._is_border[ids])
        starts, stops = np.concatenate([[0], borders + 1]), np.concatenate([borders, [len(ids)]])
        hashes, lengths = self._hasher.hashes(self._values[ids], starts, stops), stops - starts
        hashes[0] = self._hasher.joined(self._open_hash, self._open_length, int(hashes[0]))
        lengths[0] += self._open_length
        self._open_hash, self._open_length = int(hashes[-1]), int(lengths[-1])
        is_whole = lengths[:-1] > 0
        hashes, lengths = hashes[:-1][is_whole], lengths[:-1][is_whole]
        self._count += len(lengths)
        self._total += int(lengths.sum())
        self._longest = max(self._longest, int(lengths.max(initial=0)))
        self._duplicates.add(hashes)

    def pieces(self) -> Pieces:
        """The statistics of the pieces counted so far."""
        mean = self._total / self._count if self._count else 0.0
        return Pieces(self._count, mean, self._longest, self._duplicates.share())


class _DuplicateCounter:
    """The share of hashes that repeat an earlier one, in bounded memory.

    All copies of a piece have the same hash. When too many hashes are distinct, the bound is halved, and hashes above
    it are ignored from then on: what is left is a sample of the pieces with all of their copies.
    """

    def __init__(self) -> None:
        self._bound = 2**64
        self._kept: Hashes = np.empty(0, np.uint64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._pending: list[Hashes] = []

    def add(self, hashes: Hashes) -> None:
        """Count more hashes (N,)."""
        mixed = hashes ^ (hashes >> np.uint64(32))  # low bits depend on little of the text, high bits on all of it
        mixed *= np.uint64(BASE)
        self._pending.append(self._sampled(mixed))
        if sum(map(len, self._pending)) > _PENDING:
            self._merge()

    def share(self) -> float:
        """Share of the counted hashes that repeat an earlier one, 0 to 1; 0 where there are none."""
        self._merge()
        return 1 - len(self._kept) / int(self._counts.sum()) if len(self._kept) else 0.0

    def _sampled(self, hashes: Hashes) -> Hashes:
        return hashes if self._bound == 2**64 else hashes[hashes < np.uint64(self._bound)]

    def _merge(self) -> None:
        news, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *self._pending]), return_counts=True)
        self._pending = []
        both, places = np.unique(np.concatenate([self._kept, news]), return_inverse=True)
        totals: NDArray[Any] = np.bincount(places, np.concatenate([self._counts, counts]), len(both))
        self._kept, self._counts = both, totals.astype(np.int64)
        while len(self._kept) > _MOST_KEPT:
            self._bound //= 2
            is_kept = self._kept < np.uint64(self._bound)
            self._kept, self._counts = self._kept[is_kept], self._counts[is_kept]
