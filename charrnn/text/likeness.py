"""A cheap look at whether held-out text is like the text that is learned: by counts of three characters in a row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.messages import named
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Ids

__all__ = ["Likeness", "about_held_out", "likeness"]

_PARTS = 9  # of the learned text, each judged by the others
_LONGEST = 2**14  # characters of a part; the whole takes some tenths of a second
_SHORTEST = 500  # characters of a part, with fewer of which chance decides
_PASSAGE, _PASSAGES = 32, 64  # characters of a passage that is looked up, and their number
_SEARCHED = 2**20  # characters

# In fifteen texts of eight languages, two of them code and tunes, and in the same with their halves swapped, held-out
# text cost at most 0.99 times as much as the part that cost most, and at most 0.14 of it was repeated. The sixteenth is
# of several authors, and its end cost 1.10 times as much; 2,000 characters of a licence after a book of 180,000, 1.03.
_UNLIKE, _OFTEN = 1.015, 0.25


class Likeness(NamedTuple):
    """Bits per character of held-out text and of parts of the learned text, by the counts of all other such parts; and
    the share of held-out passages of 32 characters that stand in the learned text."""

    held_out: float
    parts: tuple[float, ...]
    repeated: float


def about_held_out(learned: Ids, held_out: Ids, config: TextConfig) -> list[str]:
    """Notices if the held-out part of a running text is unlike all of the rest, or a copy of it."""
    found = likeness(learned, held_out)
    if found is None:
        return []
    notices = []
    if config.hold_out == "tail" and found.held_out > _UNLIKE * max(found.parts):
        notices.append(
            f"the end of the text, which is held out, is unlike the rest: {found.held_out:.2f} bits per character by "
            f"counts of three characters, where parts of the rest have {min(found.parts):.2f} to "
            f"{max(found.parts):.2f}; {named('hold_out', 'blocks')} holds out blocks of all of it"
        )
    if found.repeated > _OFTEN:
        notices.append(
            f"{found.repeated:.0%} of the text that is held out stands word for word in the text that is learned, so "
            "the validation loss will be too low; leave out what is there twice"
        )
    return notices


def likeness(learned: Ids, held_out: Ids) -> Likeness | None:
    """Compare the ids (N,) of a text with those held out; None if they are too few to tell."""
    size = min(len(learned) // _PARTS, len(held_out), _LONGEST)
    if size < _SHORTEST:
        return None
    parts = _slices(learned, _PARTS, size)
    judged = _slices(held_out, min(-(-len(held_out) // size), _PARTS), size)
    bits = _bits(np.stack([*parts, *judged]).astype(np.int64), _PARTS)
    return Likeness(float(np.mean(bits[_PARTS:])), tuple(map(float, bits[:_PARTS])), _repeated(learned, held_out))


def _slices(ids: Ids, count: int, size: int) -> list[Ids]:
    """`count` slices of a size, evenly spread from the first to the last."""
    return [ids[start : start + size] for start in np.linspace(0, len(ids) - size, count).astype(int)]


def _bits(rows: NDArray[np.int64], learned: int) -> list[float]:
    """Bits per character of each row (N, T) after its first two, by the counts of the first `learned` rows but itself.

    Each count backs off to that of a context one shorter, and at last to equal shares.
    """
    size = int(rows.max()) + 1
    third = rows[:, 2:]
    chances = np.full((len(rows), third.shape[1]), 1 / size)
    for order in range(3):
        context = np.zeros_like(third)
        for back in range(order, 0, -1):
            context = context * size + rows[:, 2 - back : rows.shape[1] - back]
        seen, contexts = _counts(context * size + third, learned), _counts(context, learned)
        chances = (seen + _BACKING * chances) / (contexts + _BACKING)
    return [float(each) for each in -np.log2(chances).mean(1)]


_BACKING = 4.0  # counts that the shorter context is worth


def _counts(codes: NDArray[np.int64], learned: int) -> NDArray[np.int64]:
    """The number of times that each code (N, T) stands in the first `learned` rows; for one of these, in the others."""
    _, places = np.unique(codes, return_inverse=True)
    places = places.reshape(codes.shape)
    own = np.stack([np.bincount(row, minlength=int(places.max()) + 1) for row in places])
    total = own[:learned].sum(0)
    rest = [total - own[row] if row < learned else total for row in range(len(codes))]
    return np.stack([counts[row] for counts, row in zip(rest, places, strict=True)])


def _repeated(learned: Ids, held_out: Ids) -> float:
    """The share of passages of the held-out text, evenly spread, that stand in the learned text, or in its first MB."""
    text = learned[:_SEARCHED].tobytes()
    passages = _slices(held_out, _PASSAGES, _PASSAGE)
    return float(np.mean([passage.tobytes() in text for passage in passages]))
