"""Primes: normalised as the text was, and told exactly where they are unknown."""

import pytest

from charrnn.config import TextConfig
from charrnn.errors import DataError
from charrnn.sampling.prime import encode_prime
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary.of("abc e\u0301", "character")
BYTES = Vocabulary.of("", "byte")


def test_known_characters_become_their_ids() -> None:
    assert LETTERS.decode(encode_prime("a cab", TextConfig(), LETTERS)) == "a cab"
    assert len(encode_prime("", TextConfig(), LETTERS)) == 0


def test_a_prime_is_normalised_as_the_text_was() -> None:
    assert LETTERS.decode(encode_prime("\u00e9", TextConfig(normalize="nfd"), LETTERS)) == "e\u0301"


def test_unknown_characters_are_named_with_code_points_and_places() -> None:
    with pytest.raises(DataError) as caught:
        encode_prime("a—bX\x1b—XXX", TextConfig(), LETTERS)
    message = str(caught.value)
    assert "3 characters that the model never saw" in message
    assert "'—' (U+2014) at 1, 5" in message
    assert "'X' (U+0058) at 3, 6, 7 …" in message
    assert "'\\x1b' (U+001B) at 4" in message
    assert "--unknown skip" in message
    assert "\x1b" not in message


def test_many_unknown_characters_are_counted() -> None:
    with pytest.raises(DataError, match=r"20 characters .* and 10 more"):
        encode_prime("".join(map(chr, range(0x3B1, 0x3B1 + 20))), TextConfig(), LETTERS)


def test_the_other_normalisation_is_pointed_out() -> None:
    with pytest.raises(DataError, match=r"knows all of them in NFD"):
        encode_prime("\u00e9", TextConfig(), LETTERS)


def test_unknown_characters_can_be_left_out_or_read_as_the_unknown_token() -> None:
    assert LETTERS.decode(encode_prime("aXb", TextConfig(), LETTERS, "skip")) == "ab"
    assert encode_prime("aXb", TextConfig(), LETTERS, "token")[1] == LETTERS.unknown


def test_a_model_of_bytes_takes_any_bytes_and_a_model_of_characters_does_not() -> None:
    from_command_line = b"a\xff\xed\x95\x9c".decode("utf-8", "surrogateescape")
    assert encode_prime(from_command_line, TextConfig(unit="byte"), BYTES).tolist() == list(b"a\xff\xed\x95\x9c")
    with pytest.raises(DataError, match=r"not UTF-8"):
        encode_prime(from_command_line, TextConfig(), LETTERS)
