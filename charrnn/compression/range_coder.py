"""A range coder (Martin 1979): symbols to bytes and back, in as many bits as their shares say. Knows no text."""

import bisect
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Borders", "Coder", "RangeDecoder", "RangeEncoder"]

# Symbol k has the share from borders[k] to borders[k + 1] of all that lies between borders[0] = 0 and the last border,
# which is less than 2**40. A share may not be empty.
Borders = Sequence[int] | NDArray[np.integer[Any]]

# The interval is kept at 48 to 56 bits, so that what division leaves over is nothing beside it.
_BITS = 56
_LEAST = 2 ** (_BITS - 8)


class Coder(Protocol):
    """Either direction, so that one piece of code makes the shares for both and they cannot disagree."""

    def code(self, borders: Borders, symbol: int | None) -> int:
        """The symbol: as given, by an encoder; as read, by a decoder, which is given None."""


class RangeEncoder:
    """Writes symbols."""

    def __init__(self) -> None:
        self._low, self._range = 0, 2**_BITS
        self._bytes = bytearray()

    def code(self, borders: Borders, symbol: int | None) -> int:
        if symbol is None:
            raise ValueError("an encoder has to be given the symbol")
        start = int(borders[symbol])
        unit = self._range // int(borders[-1])
        self._low += unit * start
        self._range = unit * (int(borders[symbol + 1]) - start)
        while self._range < _LEAST:
            self._shift()
        return symbol

    def take(self) -> bytes:
        """What has been written since the last time, but for the last bytes, which a carry may still change."""
        settled = max(len(self._bytes.rstrip(b"\xff")) - 1, 0)
        taken = bytes(self._bytes[:settled])
        del self._bytes[:settled]
        return taken

    def finish(self) -> bytes:
        """The last bytes: as few as tell the interval from its neighbours, if zeros are read after them."""
        self._low = -(-self._low // _LEAST) * _LEAST
        self._shift()
        return bytes(self._bytes)

    def _shift(self) -> None:
        """Move the first eight bits out."""
        first, rest = divmod(self._low, _LEAST)
        if first > 255:
            place = len(self._bytes) - 1
            while self._bytes[place] == 255:
                self._bytes[place] = 0
                place -= 1
            self._bytes[place] += 1
        self._bytes.append(first & 255)
        self._low, self._range = rest << 8, self._range << 8


class RangeDecoder:
    """Reads symbols from what an encoder has written, given the same borders."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._bytes = chain.from_iterable(chunks)
        self._code, self._range = 0, 1
        while self._range < 2**_BITS:
            self._shift()

    def code(self, borders: Borders, symbol: int | None = None) -> int:
        """ValueError where no encoder can have written what is read."""
        unit, total = self._range // int(borders[-1]), int(borders[-1])
        if (place := self._code // unit) >= total:
            raise ValueError("these bytes are outside of every symbol's share")
        symbol = bisect.bisect_right(borders, place) - 1
        start = int(borders[symbol])
        self._code -= unit * start
        self._range = unit * (int(borders[symbol + 1]) - start)
        while self._range < _LEAST:
            self._shift()
        return symbol

    def _shift(self) -> None:
        self._code, self._range = self._code << 8 | next(self._bytes, 0), self._range << 8
