"""A text as a model reads it: token ids, and where each of its characters ends among them.

A model may read bytes, a normal form of Unicode, or documents one by one, so that a character of the text is no token,
or several. After an edit only what follows it is made again.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn.settings.text import Normalization, TextConfig
from charrnn.text.documents import may_join
from charrnn.text.vocabulary import MARK, Ids, Vocabulary, code_points, normalized

__all__ = ["ModelText", "common_start"]

_SEPARATORS = {"line": re.compile("\r?\n"), "blank": re.compile(r"\r?\n(?:[ \t]*\r?\n)+")}


_FORMS: dict[Normalization, Literal["NFC", "NFD", "NFKC"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC"}


class ModelText:
    """A text as the ids of a model, of which the first is a start token.

    `ends` (N + 1,) has the number of ids that come before each character, and before the end of the text. Between two
    documents stand an end and a start token, which belong to the first character of what separates them.
    """

    def __init__(self, config: TextConfig, vocabulary: Vocabulary, start: int) -> None:
        self._config, self._vocabulary, self._start = config, vocabulary, start
        self._separator = _SEPARATORS.get(config.documents)
        self._text = ""
        self.ids: Ids = np.array([start], dtype=np.int64)
        self.ends: NDArray[np.int64] = np.ones(1, dtype=np.int64)

    def follow(self, text: str) -> None:
        """Take in the text, of which some may be as it was."""
        if text == self._text:
            return
        cut = self._safe_cut(text, common_start(self._text, text))
        ids, counts = [self.ids[: self.ends[cut]]], [np.diff(self.ends[: cut + 1])]
        for own_ids, own_counts in self._parts(text, cut):
            ids.append(own_ids)
            counts.append(own_counts)
        self._text = text
        self.ids = np.concatenate(ids).astype(np.int64)
        self.ends = np.concatenate([np.ones(1, np.int64), *counts]).cumsum()

    def _safe_cut(self, text: str, place: int) -> int:
        """A place up to which nothing depends on what comes behind it."""
        if self._separator is not None:  # a blank line may have become longer, or none
            while place > 0 and text[place - 1] in "\r\n \t":
                place -= 1
        if self._config.newlines == "lf" and text[place - 1 : place] == "\r":
            place -= 1
        if self._config.normalize:
            place = max(place - 1, 0)
            while place > 0 and may_join(text[place]):
                place -= 1
        return 0 if place == 1 and text[0] == MARK else place

    def _parts(self, text: str, cut: int) -> Iterator[tuple[Ids, NDArray[np.int64]]]:
        """The ids of the text from `cut` on, and how many each character has, in parts."""
        if cut == 0 and text.startswith(MARK) and self._config.unit == "character":
            cut = int(MARK not in self._vocabulary.characters)
            yield np.empty(0, np.int64), np.zeros(cut, np.int64)
        borders = [] if self._separator is None else list(self._separator.finditer(text, cut))
        for border in borders:
            yield from self._document(text[cut : border.start()])
            counts = np.zeros(border.end() - border.start(), np.int64)
            counts[0] = 2
            yield np.array([self._vocabulary.end, self._start]), counts
            cut = border.end()
        yield from self._document(text[cut:])

    def _document(self, text: str) -> Iterator[tuple[Ids, NDArray[np.int64]]]:
        vocabulary, form, newlines = self._vocabulary, self._config.normalize, self._config.newlines
        if vocabulary.unit == "byte":
            points = code_points(text)
            bounds = np.array([0x80, 0x800, 0x10000], np.uint32)
            yield vocabulary.encode(text.encode().decode("latin-1")), np.searchsorted(bounds, points, "right") + 1
            return
        counts = np.ones(len(text), np.int64)
        if newlines == "lf" and "\r" in text:
            points = code_points(text)
            counts[:-1][(points[:-1] == ord("\r")) & (points[1:] == ord("\n"))] = 0
        if form and not unicodedata.is_normalized(_FORMS[form], text):
            starts = [k for k, each in enumerate(text) if not k or not may_join(each)]
            for start, end in pairwise([*starts, len(text)]):
                if counts[start] and not unicodedata.is_normalized(_FORMS[form], text[start:end]):
                    counts[start:end] = 0
                    counts[start] = len(normalized(text[start:end], form))
        yield vocabulary.encode(normalized(text, form, newlines)), counts


def common_start(one: str, other: str) -> int:
    """Number of characters with which both texts begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # the slices are compared much faster than the characters one by one
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
