"""The split of a text into a training part and a part held out for validation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.settings.text import TextConfig

__all__ = ["Split", "split", "undivided"]

_BLOCKS = 16  # at most; each of them joins two places that do not belong together
_LEAST_BLOCK = 512  # characters, unless there is but one
_GAP = 128  # characters on each side of a block that are neither learned nor held out


class Split(NamedTuple):
    """Lengths of documents in characters (N,), and for each, whether it is held out, or left out altogether.

    A running text is cut into pieces; those of each part are joined (`is_running`): one start token, one end token.
    """

    lengths: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    left_out: NDArray[np.bool_]
    is_running: bool = False
    notices: tuple[str, ...] = ()

    @property
    def learned(self) -> NDArray[np.bool_]:
        """True for the documents or pieces that are learned, (N,)."""
        return ~(self.held_out | self.left_out)

    def lengths_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The lengths of the documents of a part (M,); one if it is joined."""
        lengths = self.lengths[chosen]
        return lengths.sum(keepdims=True)[: len(lengths)] if self.is_running else lengths

    def borders(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """True for the documents or pieces with a start token before them (N,), and with an end token after (N,)."""
        if not self.is_running:
            return np.ones_like(self.held_out), np.ones_like(self.held_out)
        begins, ends = np.zeros_like(self.held_out), np.zeros_like(self.held_out)
        for part in (self.learned, self.held_out):
            places = np.flatnonzero(part)
            begins[places[:1]] = ends[places[-1:]] = True
        return begins, ends


def undivided(lengths: NDArray[np.int64]) -> Split:
    """All documents of some lengths (N,), none of which is held out."""
    nowhere = np.zeros(len(lengths), dtype=bool)
    return Split(lengths, nowhere, nowhere)


def split(
    lengths: NDArray[np.int64],
    config: TextConfig,
    seed: int | None,
    learned: int | None = None,
    *,
    shares_characters: bool = False,
) -> Split:
    """Hold out `config.validation` of a running text, its tail or blocks of it, or a random share of the documents.

    Blocks and documents are drawn by the seed. Without one nothing is held out. Where the split is given, the first
    `learned` documents are learned, and the others are held out. Files are held out until they have the share of the
    characters, if it `shares_characters`, else the share of their number.

    Raises:
        DataError: too little text to train on, with a seed.
    """
    nothing = undivided(lengths)
    if seed is None:
        return nothing
    fraction, characters, count = config.validation, int(lengths.sum()), len(lengths)
    if characters < 2:
        raise DataError(f"the text has {counted(characters, 'character')}; training needs at least 2")
    if learned is not None:
        if (first := int(lengths[:learned].sum())) < 2:
            raise DataError(f"the text has {counted(first, 'character')}; training needs at least 2")
        if learned == count:
            raise DataError(f"{config.validation_file} has no text to validate by; name another file")
        return nothing._replace(held_out=np.arange(count) >= learned)
    if not fraction:
        return nothing
    if config.documents == "none":
        cut = min(int(characters * (1 - fraction) + 1e-9), characters - 1)
        parts = _tail(characters, cut) if config.hold_out == "tail" else _blocks(characters, characters - cut, seed)
    elif count == 1:
        return nothing._replace(notices=("only one document, so none is held out for validation",))
    else:
        order = np.random.default_rng(seed).permutation(count)
        if shares_characters and config.documents == "file":
            chosen = _fitting(order, lengths, characters * fraction)
        else:
            chosen = order[: min(max(round(count * fraction), 1), count - 1)].tolist()
        parts = nothing._replace(held_out=np.isin(np.arange(count), chosen))
    if (left := int(parts.lengths[parts.learned].sum())) < 2:
        raise DataError(
            f"the text has {counted(characters, 'character')}, of which {left} would be left to train on after the "
            f"validation text is held out; training needs at least 2: use {named('validation', 0)}"
        )
    return parts


def _fitting(order: NDArray[np.int64], lengths: NDArray[np.int64], most: float) -> list[int]:
    """The documents, in their order, that have at most so many characters together; the shortest if none has so few."""
    chosen, left = [], most
    for document in order.tolist():
        if lengths[document] <= left:
            chosen.append(document)
            left -= lengths[document]
    return chosen or [int(order[np.argmin(lengths[order])])]


def _tail(characters: int, cut: int) -> Split:
    return Split(np.array([cut, characters - cut]), np.array([False, True]), np.zeros(2, dtype=bool), is_running=True)


def _blocks(characters: int, wanted: int, seed: int) -> Split:
    """Hold out blocks of `wanted` characters together: one at a random place in each of as many equal stretches."""
    count = min(max(wanted // _LEAST_BLOCK, 1), _BLOCKS)
    random, borders = np.random.default_rng(seed), np.linspace(0, characters, count + 1).astype(np.int64)
    sizes = np.diff(np.linspace(0, wanted, count + 1).astype(np.int64))
    pieces: list[tuple[int, bool, bool]] = []  # length, whether held out, whether left out
    place = 0
    for start, stop, size in zip(borders[:-1].tolist(), borders[1:].tolist(), sizes.tolist(), strict=True):
        gap = min(_GAP, size // 8, (stop - start - size) // 4)
        first = int(random.integers(start + gap, stop - size - gap + 1))
        pieces += [(first - gap - place, False, False), (gap, False, True), (size, True, False), (gap, False, True)]
        place = first + size + gap
    pieces.append((characters - place, False, False))
    lengths, held_out, left_out = (np.array(column) for column in zip(*pieces, strict=True))
    is_there = lengths > 0
    return Split(lengths[is_there], held_out[is_there], left_out[is_there], is_running=True)
