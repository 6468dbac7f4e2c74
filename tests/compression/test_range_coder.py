"""The range coder gives back what went in, and takes no more than the logarithms of the shares."""

import contextlib
import math
from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.compression.range_coder import RangeDecoder, RangeEncoder

LARGEST = 2**40 - 1

Message = Sequence[tuple[Sequence[int], int]]


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[list[int], int]]:
    """Symbols, each with borders of its own, lopsided ones among them."""
    size = st.integers(1, 9) | st.sampled_from([2**20, 2**36, LARGEST // 8])
    message = []
    for shares in draw(st.lists(st.lists(size, min_size=1, max_size=8), max_size=60)):
        message.append((list(accumulate(shares, initial=0)), draw(st.integers(0, len(shares) - 1))))
    return message


def encoded(message: Message, taking: bool = True) -> bytes:
    coder, data = RangeEncoder(), b""
    for borders, symbol in message:
        assert coder.code(borders, symbol) == symbol
        data += coder.take() if taking else b""
    return data + coder.finish()


def decoded(data: bytes, message: Message) -> list[int]:
    coder = RangeDecoder(bytes([byte]) for byte in data)
    return [coder.code(borders) for borders, _ in message]


LAST_OF_THREE = ([0, 1, 2, 3], 2)  # whose interval ends where the whole one does: carries run far
UNLIKELY = ([0, LARGEST - 1, LARGEST], 1)


@given(messages())
@example([LAST_OF_THREE] * 500)
@example([UNLIKELY] * 50 + [LAST_OF_THREE] * 50)
@example([([0, 1, LARGEST], 0)] * 40 + [UNLIKELY] * 40)
@example([([0, 255, 256], 0)] * 100 + [([0, 255, 256], 1)])
@example([])
def test_symbols_come_back_in_as_many_bits_as_their_shares_say(message: Message) -> None:
    data = encoded(message)
    assert decoded(data, message) == [symbol for _, symbol in message]
    assert encoded(message, taking=False) == data
    bits = sum(math.log2(borders[-1] / (borders[symbol + 1] - borders[symbol])) for borders, symbol in message)
    assert bits <= 8 * len(data) + 1e-6
    assert 8 * len(data) <= bits * (1 + 2**-7) + 16


def test_a_carry_runs_through_every_byte_that_is_still_held() -> None:
    # After 1/2, thirds of 0.1010…: at each step it is open whether the bytes before are 0x7f ff ff … or 0x80 00 00 ….
    for length in range(1, 200):
        message = [([0, 1, 2], 0)] + [([0, 2**16 - 1, 2**16], 1)] * length + [LAST_OF_THREE, ([0, 1, 2], 1)]
        assert decoded(encoded(message), message) == [symbol for _, symbol in message]


@given(st.binary(max_size=40), st.lists(st.integers(1, 2**38), min_size=1, max_size=4))
def test_any_bytes_are_read_as_symbols_or_refused(data: bytes, shares: list[int]) -> None:
    coder, borders = RangeDecoder([data]), list(accumulate(shares, initial=0))
    with contextlib.suppress(ValueError):
        for _ in range(200):
            assert 0 <= coder.code(borders) < len(shares)


def test_what_is_settled_is_not_kept() -> None:
    coder = RangeEncoder()
    for k in range(5000):
        coder.code(range(257), k * k % 256)
        coder.take()
    assert len(coder.finish()) <= 2


def test_an_encoder_cannot_guess() -> None:
    with pytest.raises(ValueError, match="has to be given"):
        RangeEncoder().code([0, 1], None)
