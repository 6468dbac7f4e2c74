"""A range coder (Martin 1979): symbols to bytes and back, in the bits that their shares give. Knows no text."""

import bisect
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Borders", "Coder", "RangeDecoder", "RangeEncoder"]

# The share of symbol k is from borders[k] to borders[k + 1]; borders[0] is 0, and the last border is less than 2**40.
# No share may be empty.
Borders = Sequence[int] | NDArray[np.integer[Any]]

# The interval is kept at 48 to 56 bits, so that the remainder of the division is negligible.
_BITS = 56
_LEAST = 2 ** (_BITS - 8)


class Coder(Protocol):
    """An encoder or a decoder: the same code makes the shares for both, so that they cannot disagree."""

    def code(self, borders: Borders, symbol: int | None) -> int:
        """Code a symbol: an encoder writes and returns it; a decoder, given None, reads and returns it."""


class RangeEncoder:
    """Writes symbols as bytes."""

    def __init__(self) -> None:
        self._low, self._range = 0, 2**_BITS
        self._bytes = bytearray()

    def code(self, borders: Borders, symbol: int | None) -> int:
        """Write a symbol and return it. ValueError for None."""
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
        """Bytes written since the last call, except the last ones, which a carry may still change."""
        settled = max(len(self._bytes.rstrip(b"\xff")) - 1, 0)
        taken = bytes(self._bytes[:settled])
        del self._bytes[:settled]
        return taken

    def finish(self) -> bytes:
        """The last bytes: as few as identify the interval, given that zeros are read after them."""
        self._low = -(-self._low // _LEAST) * _LEAST
        self._shift()
        return bytes(self._bytes)

    def _shift(self) -> None:
        """Move the first eight bits of the interval to the bytes."""
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
        """Read a symbol and return it. ValueError for bytes that no encoder writes."""
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
