"""The cost of a text to models without a network, which a network should beat: n-grams and compressors."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.evaluation.compressors import PPMD_ORDERS, as_bytes, ppmd_size, size_after, xz_size
from charrnn.events import Notice
from charrnn.messages import counted
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey, best_order
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Baseline", "baselines"]

_MOST = 2**23  # tokens that are learned, as counts of grams take some hundred times their number in bytes
_NATS = 8 * math.log(2)  # of a byte


class Baseline(NamedTuple):
    """A model without a network, its order, if it has one, and the cost of a text in nats per character.

    It is a mean over the targets that `scoring` scores: known characters, and one end token a document.
    """

    name: Literal["kneser-ney", "xz", "ppmd"]
    order: int | None
    nats_per_character: float


def baselines(
    learned: Tokens, inner: tuple[Tokens, Tokens] | None, text: Tokens, vocabulary: Vocabulary
) -> Iterator[Baseline | Notice]:
    """The costs of a `text` to models that know what is `learned`, and notices about them.

    The order of a model is the one by which the first part of `inner`, a division of what is learned, predicts the
    second part best. Without one, models that have an order are left out. Of a compressor the cost is that of
    `size_after`.
    """
    known = text.ids[_targets(text)] != vocabulary.unknown
    scored = max(int(np.count_nonzero(known)), 1)
    if unknown := len(known) - int(np.count_nonzero(known)):
        yield Notice(f"no row counts {counted(unknown, 'character')} of the held-out text that the training text lacks")
    if len(learned.ids) > _MOST:
        yield Notice(f"models without a network learn the last {counted(_MOST, 'character')} of the training text")
    learned, inner = _last(learned), inner and (_last(inner[0]), _last(inner[1]))
    if inner is None:
        yield Notice("no rows of kneser-ney and ppmd: the training text is too short to choose their order by")
    else:
        order = best_order(GramCounts(inner[0], vocabulary), inner[1])
        nats = KneserNey(GramCounts(learned, vocabulary), order).nats(text)[known]
        yield Baseline("kneser-ney", order, float(nats.sum()) / scored)
    before, after = as_bytes(learned, vocabulary), as_bytes(text, vocabulary)
    try:
        yield Baseline("xz", None, size_after(xz_size, before, after) * _NATS / scored)
    except ImportError:
        yield Notice("no row of xz: this Python was built without lzma")
    try:
        if inner is not None:
            order = _ppmd_order(*(as_bytes(part, vocabulary) for part in inner))
            yield Baseline("ppmd", order, size_after(partial(ppmd_size, order=order), before, after) * _NATS / scored)
    except ImportError:
        yield Notice("no row of ppmd, which needs pyppmd: pip install 'charrnn-text[ppmd]'")


def _targets(tokens: Tokens) -> NDArray[np.int64]:
    """The places of all tokens but those that start a document."""
    return np.delete(np.arange(len(tokens.ids)), tokens.offsets[:-1])


def _ppmd_order(learned: bytes, judged: bytes) -> int:
    return min(PPMD_ORDERS, key=lambda order: size_after(partial(ppmd_size, order=order), learned, judged))


def _last(tokens: Tokens) -> Tokens:
    """The last `_MOST` tokens of a text, as a view."""
    cut = max(len(tokens.ids) - _MOST, 0)
    later: NDArray[Any] = tokens.offsets[tokens.offsets > cut] - cut
    return Tokens(tokens.ids[cut:], np.concatenate([[0], later]))
