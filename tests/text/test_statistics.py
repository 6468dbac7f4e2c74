"""What is told of a text, against counting by hand."""

import re
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text import statistics
from charrnn.text.statistics import Pieces, text_statistics
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary

SMALL_CHUNK = 7

texts = st.text(st.sampled_from("ab\n\r한"), min_size=1, max_size=60)


def counted(pieces: list[str]) -> Pieces:
    found = [piece for piece in pieces if piece]
    if not found:
        return Pieces(0, 0.0, 0, 0.0)
    lengths = [len(piece) for piece in found]
    return Pieces(len(found), sum(lengths) / len(found), max(lengths), 1 - len(set(found)) / len(found))


@given(st.lists(texts, min_size=1, max_size=8), st.lists(texts, max_size=3))
def test_statistics_are_those_of_the_text(training: list[str], held_out: list[str]) -> None:
    text = "".join([*training, *held_out])
    vocabulary = Vocabulary.of(text + "never", "character")
    with pytest.MonkeyPatch.context() as patch:  # so that pieces run over several chunks
        patch.setattr(statistics, "_CHUNK", SMALL_CHUNK)
        found = text_statistics([tokenize(training, vocabulary), tokenize(held_out, vocabulary)], vocabulary)
    assert found.characters == len(text)
    assert found.different == len(set(text))
    assert found.documents == pytest.approx(counted([*training, *held_out]))
    lines = chain.from_iterable(re.split("[\r\n]", document) for document in [*training, *held_out])
    assert found.lines == pytest.approx(counted(list(lines)))
    counts = Counter(text)
    assert set(found.rare) == {character for character, count in counts.items() if count < 10}
    assert [counts[character] for character in found.rare] == sorted(counts[character] for character in found.rare)


def test_lines_of_bytes_end_at_line_feeds() -> None:
    vocabulary = Vocabulary.of("", "byte")
    found = text_statistics([tokenize(["ab\r\ncd\nab\xff"], vocabulary)], vocabulary)
    assert found.lines == (3, pytest.approx(7 / 3), 3, 0.0)
    assert found.different == 7


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_duplicates_of_too_many_lines_are_told_by_a_sample(monkeypatch: pytest.MonkeyPatch, copies: int) -> None:
    monkeypatch.setattr(statistics, "_MOST_KEPT", 100)
    monkeypatch.setattr(statistics, "_PENDING", 30)
    monkeypatch.setattr(statistics, "_CHUNK", 1000)
    lines = [f"{number:05} and more" for number in range(3000)] * copies
    np.random.default_rng(0).shuffle(lines)
    vocabulary = Vocabulary.of("".join(lines) + "\n", "character")
    found = text_statistics([tokenize(["\n".join(lines)], vocabulary)], vocabulary)
    assert found.lines.number == 3000 * copies
    assert found.lines.duplicates == pytest.approx(1 - 1 / copies)


def test_characters_that_are_not_learned_count_among_all() -> None:
    vocabulary = Vocabulary.of("ab", "character")
    found = text_statistics([tokenize(["abxaby"], vocabulary)], vocabulary)
    assert (found.characters, found.different, found.rare) == (6, 2, "ab")
