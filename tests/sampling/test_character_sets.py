"""What --allow and --ban mean by literal characters and classes."""

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
    ],
)
def test_a_pattern_means_these(pattern: str, characters: str) -> None:
    assert meant(pattern) == set(characters)


def test_a_model_of_bytes_knows_ascii() -> None:
    assert meant(r"\d", BYTES) == set("0123456789")
    assert meant(r"\w\W", BYTES) == set(BYTES.characters)
    for pattern in ("é", r"\p{Lu}"):
        with pytest.raises(UsageError, match="model of bytes"):
            matches(pattern, BYTES, "allow")


@pytest.mark.parametrize("pattern", ["\\", r"\q", r"\p{Klingon}", r"\p{", r"a\é", r"\0"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="ban"):
        matches(pattern, LETTERS, "ban")
