"""Characters to ids and back, over the whole of Unicode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.vocabulary import Vocabulary, code_points, known_form, normalized

texts = st.text(st.characters(exclude_categories=["Cs"]))  # all but lone surrogates, which are no characters


@given(texts)
def test_encoding_round_trips(text: str) -> None:
    vocabulary = Vocabulary.of(text, "character")
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.to_bytes(text) == text.encode()
    assert vocabulary.characters == "".join(sorted(set(text)))


@given(st.binary())
def test_a_byte_is_its_own_id(data: bytes) -> None:
    text = data.decode("latin-1")
    vocabulary = Vocabulary.of(text, "byte")
    assert vocabulary.encode(text).tolist() == list(data)
    assert vocabulary.to_bytes(vocabulary.decode(vocabulary.encode(text))) == data
    assert vocabulary.size == 259


@given(texts, texts)
def test_characters_that_were_not_seen_become_the_unknown_token(seen: str, text: str) -> None:
    vocabulary = Vocabulary.of(seen, "character")
    ids = vocabulary.encode(text)
    assert [token == vocabulary.unknown for token in ids] == [character not in seen for character in text]


@given(texts)
def test_ids_and_special_tokens_are_all_of_the_range(text: str) -> None:
    vocabulary = Vocabulary.of(text, "character")
    special = {vocabulary.start, vocabulary.end, vocabulary.unknown}
    assert special | set(vocabulary.encode(text).tolist()) == set(range(vocabulary.size))
    assert np.iinfo(vocabulary.dtype).max >= vocabulary.size - 1


def test_ids_take_as_few_bytes_as_they_need() -> None:
    assert Vocabulary("abc").dtype == np.uint8
    assert Vocabulary("".join(map(chr, range(0xAC00, 0xAC00 + 2000)))).dtype == np.uint16


def test_byte_lengths_are_those_of_utf8() -> None:
    vocabulary = Vocabulary.of("a\u00e9\ud55c\U0001f600", "character")
    assert vocabulary.byte_lengths.tolist() == [1, 2, 3, 4, 0, 1, 0]
    assert Vocabulary.of("", "byte").byte_lengths.tolist() == [1] * 256 + [0, 1, 0]


def test_special_tokens_are_no_characters() -> None:
    vocabulary = Vocabulary("ab")
    for token in (vocabulary.start, vocabulary.end, vocabulary.unknown):
        with pytest.raises(ValueError, match="not characters"):
            vocabulary.decode(np.array([0, token]))


@pytest.mark.parametrize("characters", ["ba", "aab"])
def test_a_vocabulary_is_distinct_and_sorted(characters: str) -> None:
    with pytest.raises(ValueError, match="distinct and sorted"):
        Vocabulary(characters)


def test_a_vocabulary_of_bytes_has_them_all() -> None:
    with pytest.raises(ValueError, match="256"):
        Vocabulary("abc", "byte")


def test_lone_surrogates_have_no_code_points() -> None:
    with pytest.raises(UnicodeEncodeError):
        code_points("\ud800")


def test_nfd_takes_korean_apart_into_jamo() -> None:
    assert normalized("한", "nfd") == "\u1112\u1161\u11ab"
    assert normalized(normalized("한국어", "nfd"), "nfc") == "한국어"
    assert normalized("\ufb01", "nfkc") == "fi"
    assert normalized("e\u0301", None) == "e\u0301"


@pytest.mark.parametrize(
    ("known", "text", "form"),
    [("가", "\u1100\u1161", "nfc"), ("\u1100\u1161", "가", "nfd"), ("가", "가", None), ("가", "나", None)],
)
def test_the_form_that_makes_a_text_known_is_found(known: str, text: str, form: str | None) -> None:
    assert known_form(text, Vocabulary.of(known, "character")) == form
