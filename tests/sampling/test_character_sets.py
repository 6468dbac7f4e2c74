"""Literal characters and classes, as --allow and --ban take them."""

import subprocess
import sys

import pytest

from charrnn.errors import UsageError
from charrnn.sampling.character_sets import matches
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary.of("aB1٣ _\n\\é한ㅋ가Ж-†", "character")
BYTES = Vocabulary.of("", "byte")


def meant(pattern: str, vocabulary: Vocabulary = LETTERS) -> set[str]:
    found = matches(pattern, vocabulary, "allow")
    return {character for character, own in zip(vocabulary.characters, found, strict=True) if own}


@pytest.mark.parametrize(
    ("pattern", "characters"),
    [
        ("", ""),
        ("aZ", "a"),
        (".-", "-"),  # no regular expression
        (r"\d", "1٣"),
        (r"\s", " \n"),
        (r"\S\n", "aB1٣_\n\\é한ㅋ가Ж-†"),
        (r"\W", " \n\\-†"),
        (r"\n\\", "\n\\"),
        (r"\p{Lu}", "BЖ"),
        (r"\p{L}", "aBé한ㅋ가Ж"),
        (r"\p{Hangul}1", "1한ㅋ가"),
        (r"\p{Latin}", "aBé"),
        (r"\p{Cyrillic}", "Ж"),
        (r"\P{L}\p{Script=Latin}", "1٣ _\n\\-†aBé"),
        (r"\p{InCyrillic}", "Ж"),
    ],
)
def test_a_pattern_means_these(pattern: str, characters: str) -> None:
    assert meant(pattern) == set(characters)


@pytest.mark.parametrize(
    ("script", "letters"),
    [
        *[("Han", "漢々"), ("Hiragana", "あ"), ("Katakana", "ア"), ("Thai", "ก"), ("Arabic", "ع"), ("Hebrew", "א")],
        *[("Greek", "λ"), ("Devanagari", "अ"), ("Georgian", "ა"), ("Armenian", "ա"), ("Tamil", "அ"), ("Ethiopic", "አ")],
        *[("Runic", "ᚠ"), ("Cherokee", "Ꭰ"), ("Emoji_Presentation", "😀"), ("Egyptian_Hieroglyphs", "𓀀")],
    ],
)
def test_every_script_has_its_name(script: str, letters: str) -> None:
    vocabulary = Vocabulary.of("漢々あアーกعאλअაաஅአᚠᎠ😀𓀀a1 ", "character")
    assert meant(rf"\p{{{script}}}", vocabulary) == set(letters)


def test_only_a_property_loads_the_library_that_knows_them() -> None:
    program = (
        "import sys; from charrnn.text.vocabulary import Vocabulary\n"
        "from charrnn.sampling.character_sets import matches\n"
        "for pattern in (r'\\d\\n-', r'\\p{Lu}'):\n"
        "    matches(pattern, Vocabulary('ab'), 'allow'); print('regex' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["False", "True"]


def test_a_model_of_bytes_knows_ascii() -> None:
    assert meant(r"\d", BYTES) == set("0123456789")
    assert meant(r"\w\W", BYTES) == set(BYTES.characters)
    for pattern in ("é", r"\p{Lu}"):
        with pytest.raises(UsageError, match="model of bytes"):
            matches(pattern, BYTES, "allow")


@pytest.mark.parametrize(
    "pattern",
    ["\\", r"\q", r"\p{Klingon}", r"\p{", r"\p{}", r"\p{Lu|L}", r"\p{nv=1e999}", r"\p", r"a\é", r"\0"],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="ban"):
        matches(pattern, LETTERS, "ban")
