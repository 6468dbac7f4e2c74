"""The split of a text into a training part and a part held out for validation."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.settings.text import TextConfig

__all__ = ["Split", "split"]


class Split(NamedTuple):
    """Lengths of documents in characters (N,), and for each, true if it is held out. A running text is cut into two."""

    lengths: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    notices: tuple[str, ...] = ()


def split(lengths: NDArray[np.int64], config: TextConfig, seed: int | None, learned: int | None = None) -> Split:
    """Hold out the last `config.validation` of a running text, or a seeded random share of the documents.

    Without a seed nothing is held out. Where the split is given, the first `learned` documents are not held out.

    Raises:
        DataError: too little text to train on, with a seed.
    """
    nothing = Split(lengths, np.zeros(len(lengths), dtype=bool))
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
        return Split(lengths, np.arange(count) >= learned)
    if not fraction:
        return nothing
    if config.documents == "none":
        cut = min(int(characters * (1 - fraction) + 1e-9), characters - 1)
        lengths = np.array([cut, characters - cut], dtype=np.int64)
        held_out = np.array([False, True])
    elif count == 1:
        return nothing._replace(notices=("only one document, so none is held out for validation",))
    else:
        share = min(max(round(count * fraction), 1), count - 1)
        held_out = np.zeros(count, dtype=bool)
        held_out[np.random.default_rng(seed).permutation(count)[:share]] = True
    if (left := int(lengths[~held_out].sum())) < 2:
        raise DataError(
            f"the text has {counted(characters, 'character')}, of which {left} would be left to train on after the "
            f"validation text is held out; training needs at least 2: use {named('validation', 0)}"
        )
    return Split(lengths, held_out)
