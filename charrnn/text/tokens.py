"""Documents as token ids, end to end, each between its start and its end token."""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.text.split import Split, undivided
from charrnn.text.vocabulary import Ids, Vocabulary, code_points

__all__ = ["Tokens", "encoded", "offsets_of", "tokenize"]


class Tokens(NamedTuple):
    """Document k is `ids[offsets[k]:offsets[k + 1]]`: start, its characters, end. The arrays may be mapped files."""

    ids: Ids
    offsets: NDArray[np.integer[Any]]

    @property
    def lengths(self) -> NDArray[np.integer[Any]]:
        """Number of targets of each document, (N,): its characters and the end token."""
        return np.diff(self.offsets) - 1

    @property
    def targets(self) -> int:
        """Number of targets of all documents."""
        return len(self.ids) - (len(self.offsets) - 1)

    def release(self) -> None:
        """Give up the memory that holds pages of a mapped file; reading loads them again."""
        base: Any = self.ids
        while isinstance(base, np.ndarray):
            base = base.base
        mapped = base.obj if isinstance(base, memoryview) else base
        if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def offsets_of(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The offsets (N + 1,) of documents from their lengths (N,) in characters."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths + 2)])


def tokenize(documents: Sequence[str], vocabulary: Vocabulary, labels: Sequence[str] = ()) -> Tokens:
    """Encode documents with `vocabulary`; characters it does not have become the unknown token.

    `labels` has one label for each document, or is empty. ValueError for a document without characters.
    """
    if not all(documents):
        raise ValueError("a document has at least one character")
    lengths = np.array([len(document) for document in documents], dtype=np.int64)
    if not documents:
        return Tokens(np.empty(0, dtype=vocabulary.dtype), offsets_of(lengths))
    points = [code_points("".join(documents))]
    starts = np.array([vocabulary.start_of(label) for label in labels], vocabulary.dtype) if labels else None
    ((ids, _),) = encoded(points, undivided(lengths), vocabulary, starts)
    return Tokens(ids, offsets_of(lengths))


def encoded(
    pieces: Iterable[NDArray[np.unsignedinteger[Any]]],
    parts: Split,
    vocabulary: Vocabulary,
    starts: Ids | None = None,
) -> Iterator[tuple[Ids, Ids]]:
    """Token ids of the documents of `parts`, whose code points come end to end in `pieces` of any size (none empty).

    For each piece a pair: the ids of documents that are learned, and of those that are held out. `starts` (N,) has the
    start token of each document, unless all have the same.
    """
    lengths, ends = parts.lengths, np.cumsum(parts.lengths)
    has_start, has_end = parts.borders()
    place = 0
    for points in pieces:
        first, last = np.searchsorted(ends, place, "right"), np.searchsorted(ends, place + len(points), "left") + 1
        end = ends[first:last] - place
        start = end - lengths[first:last]
        starts_here = (start >= 0) & has_start[first:last]
        ends_here = (end <= len(points)) & has_end[first:last]
        borders = np.concatenate([end[ends_here], start[starts_here]])  # at the same place the end comes first
        special = np.full(len(borders), vocabulary.start, vocabulary.dtype)
        special[: ends_here.sum()] = vocabulary.end
        if starts is not None:
            special[ends_here.sum() :] = starts[first:last][starts_here]
        ids = np.insert(vocabulary.encode_points(points), borders, special)
        counts = np.minimum(end, len(points)) - np.maximum(start, 0) + starts_here + ends_here
        learned, held_out = (np.repeat(part[first:last], counts) for part in (parts.learned, parts.held_out))
        yield ids[learned], ids[held_out]
        place += len(points)
