"""Shares of characters for a range coder: a network's probabilities as whole numbers."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from charrnn.compression.range_coder import Coder
from charrnn.errors import overflow
from charrnn.sampling.filters import softmax
from charrnn.sampling.generate import Engine
from charrnn.settings.text import Documents
from charrnn.text.vocabulary import Vocabulary

__all__ = ["decoded_text", "encode_text"]

_TOTAL = 2**30
_POINTS = range(0x110001)  # borders that give all code points equal shares
_END = -1  # the end of a document, in place of a code point
_NEWLINE = ord("\n")
_SEPARATORS: dict[Documents, int] = {"line": 1, "blank": 2}  # newlines that end a document
_MOST_NEWLINES = 2**18
_PIECE = 4096  # characters in a piece of decoded text


class _Numbers:
    """Numbers below 0x110000, coded by their counts so far, new ones as in PPM's method C (Moffat 1990)."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def code(self, coder: Coder, number: int | None) -> int:
        """Code a number, or decode one, where it is None; return it."""
        known = list(self._counts)
        borders = list(accumulate(self._counts.values(), initial=0))
        borders.append(borders[-1] + len(known) + 1)  # the last share is that of all new ones
        symbol = None if number is None else known.index(number) if number in self._counts else len(known)
        symbol = coder.code(borders, symbol)
        number = known[symbol] if symbol < len(known) else coder.code(_POINTS, number)
        self._counts[number] = self._counts.get(number, 0) + 1
        return number


class _Predictor:
    """One stream through the network, character by character, in the same steps for either direction.

    The unknown token is an escape, after which the code point itself is coded. The network has never seen one, so its
    share is the frequency of escapes so far: (escapes + 1/64) / (characters + 1).
    """

    def __init__(self, engine: Engine, vocabulary: Vocabulary) -> None:
        self._engine, self._characters = engine, vocabulary.characters
        self._start, self._end, self._unknown = vocabulary.start, vocabulary.end, vocabulary.unknown
        self._never = np.array([*vocabulary.starts, vocabulary.unknown])  # the network is not trained to predict these
        self._ids = {ord(character): index for index, character in enumerate(vocabulary.characters)}
        self._one_each = np.arange(vocabulary.size + 1)
        self._escaped, self._escapes, self._coded = _Numbers(), 0, 0
        self.restart()

    def restart(self) -> None:
        """Begin a document."""
        self._state = self._engine.initial_state(1)
        self._read(self._start)

    def code(self, coder: Coder, point: int | None) -> int:
        """Code a code point or `_END`, or decode one, where it is None; return it. ValueError for a start token."""
        token = None
        if point is not None:
            token = self._end if point == _END else self._ids.get(point, self._unknown)
        token = coder.code(self._borders(), token)
        if token == self._end:
            return _END
        if token < self._start:
            point = ord(self._characters[token])
        elif token == self._unknown:
            point = self._escaped.code(coder, point)
            self._escapes += 1
        else:
            raise ValueError("a start token is no character")
        self._coded += 1
        self._read(token)
        return point

    def _read(self, token: int) -> None:
        self._logits, self._state = self._engine.step(np.array([token]), self._state)

    def _borders(self) -> NDArray[np.int64]:
        """Borders (V + 1,) of the shares of `_TOTAL`: 1 for every token, the rest by the network's probabilities."""
        logits = self._logits[0].astype(np.float64)
        logits[self._never] = -np.inf
        shares = softmax(logits)
        escape = (self._escapes + 1 / 64) / (self._coded + 1)
        shares[self._unknown] = escape / (1 - escape)
        cumulative = np.concatenate([[0.0], np.cumsum(shares)])
        if not np.isfinite(cumulative[-1]):
            raise overflow("the model's probabilities are not numbers")
        cumulative *= (_TOTAL - len(shares)) / cumulative[-1]
        return cumulative.astype(np.int64) + self._one_each


class _Between:
    """The newlines between documents, as many as separate them or more, or before the end of the text.

    After each end token twice the number of newlines is coded, plus 1 if the text ends after them. For documents that
    are files, and for one running text, nothing follows the end token, and nothing is coded.
    """

    def __init__(self, documents: Documents) -> None:
        self.separator = _SEPARATORS.get(documents)
        self._numbers = _Numbers()

    def code(self, coder: Coder, newlines: int | None = None, *, last: bool = False) -> tuple[int, bool]:
        """Code or decode the number of newlines, and true if the text ends after them. ValueError for too few."""
        if self.separator is None:
            return 0, True
        number = self._numbers.code(coder, None if newlines is None else 2 * newlines + last)
        newlines, last = number >> 1, bool(number & 1)
        if newlines < self.separator and not last:
            raise ValueError("too few newlines between documents")
        return newlines, last


def encode_text(
    pieces: Iterable[str], coder: Coder, engine: Engine, vocabulary: Vocabulary, documents: Documents
) -> Iterator[None]:
    """Code a text, with surrogates for bytes that are not text, one piece at each step of the iterator.

    Raises:
        CheckpointError: the network's probabilities are not numbers.
    """
    predictor, between, newlines = _Predictor(engine, vocabulary), _Between(documents), 0

    def separate(*, last: bool) -> None:
        """Code the end of a document and the newlines after it."""
        predictor.code(coder, _END)
        between.code(coder, newlines, last=last)

    for piece in pieces:
        for point in map(ord, piece):
            if between.separator and point == _NEWLINE and newlines < _MOST_NEWLINES:
                newlines += 1
                continue
            if between.separator and newlines >= between.separator:
                separate(last=False)
                predictor.restart()
            else:
                for _ in range(newlines):
                    predictor.code(coder, _NEWLINE)
            newlines = 0
            predictor.code(coder, point)
        yield
    separate(last=True)


def decoded_text(coder: Coder, engine: Engine, vocabulary: Vocabulary, documents: Documents) -> Iterator[str]:
    """The text that `encode_text` has coded, in pieces.

    Raises:
        CheckpointError: as `encode_text`.
        ValueError: the coded bytes cannot come from a text.
    """
    predictor, between = _Predictor(engine, vocabulary), _Between(documents)
    characters: list[str] = []
    last = False
    while not last:
        point = predictor.code(coder, None)
        if point == _END:
            newlines, last = between.code(coder)
            characters.append("\n" * newlines)
            predictor.restart()
        else:
            characters.append(chr(point))
        if last or len(characters) >= _PIECE:
            yield "".join(characters)
            characters.clear()
