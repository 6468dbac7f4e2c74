"""Precedents at the places of a text that is read in segments, looked up in pages."""

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.ngrams.copies import copies_along
from charrnn.ngrams.earlier import WINDOW, Earlier
from charrnn.ngrams.followers import followers_along
from charrnn.ngrams.table import NgramTable, Precedents
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids

__all__ = ["Along"]

_PAGE = 2**15  # places that are looked up at a time
_MOST_PAGES = 64


class Along:
    """Contexts and repetitions at the places of a text, as a table of n-grams knows them.

    Args:
        begins, scored: for each segment the first place that may be known, and the first whose next token is scored,
            (S,) each, in the order of the text.
        translation: the table's id of each id of the text, if they differ, (V',).
    """

    def __init__(
        self,
        table: NgramTable,
        tokens: Tokens,
        begins: NDArray[np.int64],
        scored: NDArray[np.int64],
        translation: Ids | None,
    ) -> None:
        self._table, self._ids, self._translation = table, tokens.ids, translation
        self._begins, self._scored = begins, scored
        self._pages: OrderedDict[int, Precedents] = OrderedDict()

    def at(self, places: NDArray[np.int64]) -> Precedents:
        """The precedents at places (M,), without meaning where the next token is not scored, or beyond the text."""
        places = np.minimum(places, len(self._ids) - 1)
        numbers = places // _PAGE
        order = np.argsort(numbers, kind="stable")
        pages = np.unique(numbers).tolist()
        pieces = [self._page(page).at(places[numbers == page] - page * _PAGE) for page in pages]
        return Precedents.joined(pieces).at(np.argsort(order))

    def _page(self, number: int) -> Precedents:
        if number not in self._pages:
            if len(self._pages) == _MOST_PAGES:
                self._pages.popitem(last=False)
            self._pages[number] = self._looked_up(number * _PAGE)
        self._pages.move_to_end(number)
        return self._pages[number]

    def _looked_up(self, start: int) -> Precedents:
        first = max(start - WINDOW, 0)
        ids: NDArray[Any] = self._ids[first : start + _PAGE]
        ids = (ids if self._translation is None else self._translation[ids]).astype(np.int64)
        places = np.arange(first, first + len(ids))
        begins = self._begins[np.maximum(self._scored.searchsorted(places, "right") - 1, 0)]
        contexts = self._table.read(ids[None], self._table.no_contexts(1))[0]
        contexts[places[:, None] - np.arange(contexts.shape[1]) < begins[:, None]] = -1
        earlier, recalled = Earlier(ids, begins - first), self._table.recall.along(ids, begins - first)
        found = Precedents(contexts.astype(np.int32), followers_along(earlier), copies_along(earlier), recalled)
        return found.at(np.arange(start - first, len(ids)))
