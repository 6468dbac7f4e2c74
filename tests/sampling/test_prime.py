"""Primes: normalised as the text was, and told exactly where they are unknown."""

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import to_bytes
from charrnn.errors import DataError
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.prime import encode_pieces, encode_prime
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary, normalized
from tests.conftest import Command, random_checkpoint

texts = st.text(st.characters(exclude_categories=["Cs"]))
MODEL = ModelConfig("rnn", 1, 2, "embedding", 2, 0.0)
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
    assert "unknown='skip'" in message
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
    with pytest.raises(DataError, match=r"not UTF-8 text: byte 0xff at offset 1 "):
        encode_prime(from_command_line, TextConfig(), LETTERS)


@given(texts)
def test_a_prime_that_the_locale_could_not_decode_is_read_as_utf8(text: str) -> None:
    """As where Python takes the command line for ASCII."""
    vocabulary = Vocabulary.of(text, "character")
    arrived = text.encode().decode("ascii", "surrogateescape")
    assert vocabulary.decode(encode_prime(arrived, TextConfig(), vocabulary)) == text


def test_a_lone_surrogate_is_no_text() -> None:
    for vocabulary in (LETTERS, BYTES):
        with pytest.raises(DataError, match=r"character 1 of the prime is a lone surrogate"):
            encode_prime("a\ud800", TextConfig(unit=vocabulary.unit), vocabulary)


@given(
    st.text("abc", max_size=9), st.sets(st.sampled_from("XYZ\x1b\u202e한\U0010ffff\n "), min_size=1), st.integers(1, 4)
)
def test_every_unknown_character_is_named(known: str, unknown: set[str], times: int) -> None:
    vocabulary = Vocabulary("abc")
    prime = known + "".join(sorted(unknown)) * times
    with pytest.raises(DataError) as caught:
        encode_prime(prime, TextConfig(), vocabulary)
    message = str(caught.value)
    assert f"the prime has {len(unknown)} character" in message
    for character in unknown:
        assert f"(U+{ord(character):04X}) at {prime.index(character)}" in message
    assert not {"\x1b", "\u202e"} & set(message)
    assert len(message.splitlines()) <= 3


@given(st.sampled_from(["nfc", "nfd"]), st.text("éüñ한국a", min_size=1))
def test_the_form_in_which_a_prime_is_known_is_named(form: Literal["nfc", "nfd"], text: str) -> None:
    other: Literal["nfc", "nfd"] = "nfd" if form == "nfc" else "nfc"
    vocabulary = Vocabulary.of(normalized(text, form), "character")
    assert vocabulary.decode(encode_prime(normalized(text, form), TextConfig(), vocabulary)) == normalized(text, form)
    if normalized(text, form) != normalized(text, other):
        with pytest.raises(DataError, match=f"the model knows all of them in {form.upper()}"):
            encode_prime(normalized(text, other), TextConfig(), vocabulary)
    for arrived in (text, normalized(text, other)):
        assert vocabulary.decode(encode_prime(arrived, TextConfig(normalize=form), vocabulary)) == normalized(
            text, form
        )


def test_no_form_is_named_where_none_helps() -> None:
    with pytest.raises(DataError) as caught:
        encode_prime("\u00e9X", TextConfig(), LETTERS)
    assert "NF" not in str(caught.value)


def test_a_prime_has_the_line_ends_of_the_text() -> None:
    vocabulary = Vocabulary("\nab")
    assert vocabulary.decode(encode_prime("a\r\nb\r", TextConfig(newlines="lf"), vocabulary)) == "a\nb\n"
    with pytest.raises(DataError, match=r"'\\r' \(U\+000D\) at 1, 4"):
        encode_prime("a\r\nb\r", TextConfig(), vocabulary)


@pytest.mark.parametrize("blank", [" ", "\n", " \t\r\n\u3000"])
def test_white_space_is_a_prime_like_any_other(blank: str) -> None:
    vocabulary = Vocabulary.of(blank, "character")
    assert vocabulary.decode(encode_prime(blank, TextConfig(), vocabulary)) == blank


def test_a_huge_prime_is_read_or_refused_briefly() -> None:
    prime = "abc e" * 200_000
    assert len(encode_prime(prime, TextConfig(), LETTERS)) == 1_000_000
    assert len(encode_prime(prime, TextConfig(unit="byte"), BYTES)) == 1_000_000
    with pytest.raises(DataError) as caught:
        encode_prime(prime + "X" * 1_000_000, TextConfig(), LETTERS)
    assert len(str(caught.value)) < 500


def test_no_prime_is_an_empty_one(folder: Path, charrnn: Command) -> None:
    (folder / "model.safetensors").write_bytes(to_bytes(random_checkpoint(MODEL, LETTERS)))
    (folder / "empty.txt").write_bytes(b"")
    ways = [(), ("--prime", ""), ("--prime-file", "empty.txt"), ("--prime-file", "-")]
    done = [charrnn("sample", "--model", "model.safetensors", "--seed", "1", *way) for way in ways]
    assert {(each.returncode, each.stdout) for each in done} == {(0, done[0].stdout)}
    assert len(done[0].stdout.decode()) == 500


@pytest.mark.skipif(os.name != "posix", reason="arguments of any bytes")
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=["own", "C"])
def test_bytes_of_a_command_line(folder: Path, charrnn: Command, locale: dict[str, str]) -> None:
    for name, vocabulary in {"bytes": BYTES, "letters": LETTERS}.items():
        checkpoint = random_checkpoint(MODEL, vocabulary)
        (folder / name).write_bytes(to_bytes(checkpoint))
    arguments = ("-n", "9", "--seed", "1", "--prime", b"a\xff\xed\x95b")
    taken = charrnn("sample", "--model", "bytes", *arguments, **locale)
    assert taken.returncode == 0
    assert taken.stdout.startswith(b"a\xff\xed\x95b")
    refused = charrnn("sample", "--model", "letters", *arguments, **locale)
    assert refused.returncode == 3
    assert refused.stdout == b""
    assert b"not UTF-8 text: byte 0xff at offset 1 " in refused.stderr


@pytest.mark.slow
def test_a_model_reads_a_prime_of_a_million_characters() -> None:
    engine = NumpyEngine(MODEL, random_checkpoint(MODEL, LETTERS).model)
    prime = encode_prime("abc e" * 200_000, TextConfig(), LETTERS)
    assert len("".join(generate(engine, LETTERS, SamplingConfig(length=5, seed=1), prime))) == 5


@given(st.binary(max_size=40) | st.text("é한a\u0301\r\n\u1112\u1161", max_size=20).map(str.encode), st.data())
def test_a_prime_in_pieces_is_the_prime_in_one(data: bytes, drawn: st.DataObject) -> None:
    """Characters, their normalisation, line ends and mistakes may lie across the borders."""
    cuts = drawn.draw(st.lists(st.integers(0, len(data)), max_size=5).map(sorted))
    pieces = [data[start:end] for start, end in itertools.pairwise([0, *cuts, len(data)])]
    config = drawn.draw(st.sampled_from([TextConfig(), TextConfig(normalize="nfc", newlines="lf")]))
    unknown = drawn.draw(st.sampled_from(["skip", "token"]))
    vocabulary = Vocabulary.of("áhé한a\n\r", "character")
    try:
        whole = encode_prime(data.decode("utf-8", "surrogateescape"), config, vocabulary, unknown).tolist()
    except DataError as error:
        with pytest.raises(DataError, match=re.escape(str(error))):
            list(encode_pieces(pieces, config, vocabulary, unknown))
    else:
        assert [token for ids in encode_pieces(pieces, config, vocabulary, unknown) for token in ids] == whole
        assert list(itertools.chain.from_iterable(encode_pieces(pieces, TextConfig(unit="byte"), BYTES))) == list(data)


def test_an_unknown_character_is_told_by_its_place_in_the_whole() -> None:
    with pytest.raises(DataError, match=r"'X' \(U\+0058\) at 4\n") as caught:
        list(encode_pieces([b"ab", b"c X"], TextConfig(), LETTERS))
    assert "leave them out" in str(caught.value)


def test_a_long_prime_is_never_in_memory_as_a_whole() -> None:
    taken = 0

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"abc \r\n" * 10

    config = TextConfig(normalize="nfc", newlines="lf")
    for given_out, ids in enumerate(encode_pieces(pieces(), config, Vocabulary.of("abc \n", "character")), 1):
        assert len(ids) <= 60
        assert taken <= given_out + 2
        if given_out == 100:
            break
