"""Repetitions: those of a slow twin that looks for them letter by letter, in a whole text and step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.ngrams import along, copies
from charrnn.ngrams.along import Along
from charrnn.ngrams.copies import BEFORE, LENGTHS, copies_along, newest_copies
from charrnn.ngrams.table import NgramTable
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary

IDS = st.lists(st.integers(0, 2), min_size=1, max_size=90).map(np.array)
SOME_WINDOW = st.integers(4, 60)


def twin(ids: list[int], window: int) -> tuple[int, int]:
    """The rank and the token after the last of `ids`, which all may be looked back to."""
    ids = ids[-window:]
    for rank in range(len(LENGTHS), 0, -1):
        wanted = ids[-LENGTHS[rank - 1] :]
        for start in range(len(ids) - len(wanted) - 1, -1, -1):
            if len(wanted) == LENGTHS[rank - 1] and ids[start : start + len(wanted)] == wanted:
                return rank, ids[start + len(wanted)]
    return 0, -1


@given(IDS, SOME_WINDOW, st.integers(0, 80))
def test_repetitions_along_a_text_are_those_of_the_slow_twin(ids: np.ndarray, window: int, begin: int) -> None:
    begin = min(begin, len(ids) - 1)
    begins = np.where(np.arange(len(ids)) < begin, 0, begin)  # two documents
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "WINDOW", window)
        found = copies_along(ids, begins)
    for place in range(len(ids)):
        expected = twin(ids[begins[place] : place + 1].tolist(), window)
        assert (found.ranks[place], found.tokens[place]) == expected


@given(st.lists(IDS, min_size=1, max_size=3), SOME_WINDOW, st.sampled_from([0, 254, 0xD7FF, 0xFFFE]))
def test_repetitions_at_the_ends_of_windows_are_those_of_the_slow_twin(
    texts: list[np.ndarray], window: int, shift: int
) -> None:
    """Also where an id is the number of a surrogate, which no text has."""
    texts = [ids + shift for ids in texts]
    windows = np.full((len(texts), window), BEFORE, np.uint32)
    for row, ids in zip(windows, texts, strict=True):
        own = ids[-window:]
        row[window - len(own) :] = own
    found = newest_copies(windows)
    assert list(zip(*found, strict=True)) == [twin(ids.tolist(), window) for ids in texts]


@given(st.lists(st.text("ab", min_size=1, max_size=40), min_size=1, max_size=4), st.integers(1, 50), st.booleans())
def test_pages_do_not_show(documents: list[str], page: int, is_translated: bool) -> None:
    """Contexts and repetitions are the same however small the pages, and as documents read by themselves have them."""
    vocabulary = Vocabulary.of("ab", "character")
    tokens = tokenize(documents, vocabulary)
    table = NgramTable.of(tokens, vocabulary, min(4, int(np.diff(tokens.offsets).max())))
    translation = np.arange(vocabulary.size)[::-1] if is_translated else None
    ids = tokens.ids if translation is None else translation[tokens.ids]
    first = tokens.offsets[:-1].astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(along, "_PAGE", page)
        patch.setattr(along, "_MOST_PAGES", 2)
        contexts, found, recalled = Along(table, tokens, first, first, translation).at(np.arange(len(ids)))
    for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        own = ids[start:end].astype(np.int64)
        assert contexts[start:end].tolist() == table.read(own[None], table.no_contexts(1))[0].tolist()
        alone = copies_along(own, np.zeros(len(own), np.int64))
        assert found.ranks[start:end].tolist() == alone.ranks.tolist()
        assert found.tokens[start:end].tolist() == alone.tokens.tolist()
        alone = table.recall.along(own, np.zeros(len(own), np.int64))
        assert recalled.ranks[start:end].tolist() == alone.ranks.tolist()
        assert recalled.tokens[start:end].tolist() == alone.tokens.tolist()


def test_a_page_looks_back_a_whole_window() -> None:
    """A repetition from just within the window is found across the border of a page, and one beyond is not."""
    passage = np.arange(3, 9)
    for distance, is_near in ((copies.WINDOW, False), (copies.WINDOW - 8, True)):
        ids = np.zeros(along._PAGE + 50, np.uint8)
        last = along._PAGE + 20
        ids[last - 5 : last + 1] = passage
        ids[last - 5 - distance : last + 1 - distance] = passage
        ids[last + 1 - distance] = 2
        tokens = Tokens(ids, np.array([0, len(ids)]))
        vocabulary = Vocabulary.of("abcdefghi", "character")
        table = NgramTable.of(Tokens(ids[:100], np.array([0, 100])), vocabulary, 2)
        zero = np.zeros(1, np.int64)
        found = Along(table, tokens, zero, zero, None).at(np.array([last]))
        assert found.copies.tokens.tolist() == ([2] if is_near else [-1])
