"""K-grams: what is found is what a search through the text finds, however it is cut into blocks and parts."""

import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.text import grams
from charrnn.text.grams import GramIndex, Grams, count_shared
from charrnn.text.rolling_hash import BASE, gram_hashes, unit_values
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary

documents = st.lists(st.text("ab한", min_size=1, max_size=12), max_size=5)
sizes = st.integers(1, 6)


def grams_of(texts: Sequence[str], k: int) -> Grams:
    vocabulary = Vocabulary.of("".join(texts), "character")
    return Grams(tokenize(texts, vocabulary), vocabulary, k)


def all_grams(texts: Sequence[str], k: int) -> list[str]:
    return [text[place : place + k] for text in texts for place in range(len(text) - k + 1)]


@pytest.fixture(params=[(1 << 20, 1 << 23), (1, 1), (3, 5)], ids=str)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones, as they are, and tiny ones."""
    monkeypatch.setattr(grams, "_BLOCK", request.param[0])
    monkeypatch.setattr(grams, "_PART", request.param[1])


@pytest.mark.usefixtures("blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents, documents, sizes)
def test_the_count_is_that_of_a_search(own: list[str], others: list[str], k: int) -> None:
    every, there = all_grams(own, k), all_grams(others, k)
    assert grams_of(own, k).count == len(every) == sum(len(hashes) for hashes in grams_of(own, k).hashes())
    assert count_shared(grams_of(own, k), grams_of(others, k)) == sum(gram in there for gram in every)


@pytest.mark.usefixtures("blocks")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents, st.text("ab한x", max_size=6), sizes)
def test_the_index_never_misses_and_says_what_completes_a_gram(texts: list[str], before: str, k: int) -> None:
    index, there = GramIndex.of(grams_of(texts, k)), set(all_grams(texts, k))
    vocabulary = Vocabulary("abx한")
    before = before[: k - 1].ljust(k - 1, "a")
    found = index.ending(vocabulary.encode(before).astype(np.int64), unit_values(vocabulary))
    # These texts are so few that none of them is taken for another.
    assert [vocabulary.characters[token] for token in np.flatnonzero(found)] == [
        character for character in vocabulary.characters if before + character in there
    ]
    for hashes in grams_of(texts, k).hashes():
        assert index.has(hashes).all()


def test_a_text_that_is_large_keeps_every_gram_in_three_bytes_and_seldom_says_yes_to_another() -> None:
    random = np.random.default_rng(1)
    text = "".join(random.choice(list("abcdefgh"), 200_000))
    index = GramIndex.of(grams_of([text], 20))
    assert index.size < 3 * len(text)
    assert all(index.has(hashes).all() for hashes in grams_of([text], 20).hashes())
    others = random.integers(0, 2**64, 1_000_000, dtype=np.uint64)
    assert index.has(others).mean() < 8 / 2**16


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40), st.integers(1, 40))
def test_hashes_are_the_polynomial_that_is_said(numbers: list[int], k: int) -> None:
    expected = [
        sum(number * BASE ** (k - 1 - place) for place, number in enumerate(numbers[first : first + k])) % 2**64
        for first in range(len(numbers) - k + 1)
    ]
    assert gram_hashes(np.array(numbers, np.uint64), k).tolist() == expected


def test_values_are_those_of_the_characters_whatever_the_vocabulary() -> None:
    everything = Vocabulary("".join(map(chr, [*range(0xD800), *range(0xE000, sys.maxunicode + 1)])))
    values = unit_values(everything)
    assert len(set(values[: everything.start + 1].tolist())) == everything.start + 1
    few = Vocabulary("a한")
    assert unit_values(few)[:2].tolist() == values[everything.encode("a한")].tolist()
