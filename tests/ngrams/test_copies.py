"""Repetitions and followers: those of slow twins that look letter by letter, in a whole text and step by step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.ngrams import along, earlier
from charrnn.ngrams.along import Along
from charrnn.ngrams.copies import LENGTHS, copies_along, newest_copy
from charrnn.ngrams.earlier import BEFORE, WINDOW, Earlier
from charrnn.ngrams.followers import FOLLOWERS, followers_along, newest_followers
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


def following_twin(ids: list[int], window: int) -> list[int]:
    """The followers after the last of `ids`, which all may be looked back to."""
    ids, found = ids[-window:], []
    for length in (1, 2, 4, 6):
        wanted = ids[-length:]
        starts = range(len(ids) - length - 1, -1, -1)
        after = [ids[start + length] for start in starts if ids[start : start + length] == wanted]
        found += [*after[:3], -1, -1, -1][:3]
    return found


@given(IDS, SOME_WINDOW, st.integers(0, 80))
def test_what_is_found_along_a_text_is_that_of_the_slow_twins(ids: np.ndarray, window: int, begin: int) -> None:
    begin = min(begin, len(ids) - 1)
    begins = np.where(np.arange(len(ids)) < begin, 0, begin)  # two documents
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(earlier, "WINDOW", window)
        places = Earlier(ids, begins)
    found, followers = copies_along(places), followers_along(places)
    for place in range(len(ids)):
        own = ids[begins[place] : place + 1].tolist()
        assert (found.ranks[place], found.tokens[place]) == twin(own, window)
        assert followers[place].tolist() == following_twin(own, window)


@given(IDS, SOME_WINDOW, st.sampled_from([0, 254, 0xD7FF, 0xFFFE]))
def test_what_is_found_at_the_end_of_a_window_is_that_of_the_slow_twins(
    ids: np.ndarray, window: int, shift: int
) -> None:
    """Also where an id is the number of a surrogate, which no text has."""
    ids = ids + shift
    last = "".join(map(chr, ids[-window:]))
    text = chr(BEFORE) * (window - len(last)) + last
    assert newest_copy(text) == twin(ids.tolist(), window)
    assert newest_followers(text) == following_twin(ids.tolist(), window)


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
        contexts, followers, found, recalled = Along(table, tokens, first, first, translation).at(np.arange(len(ids)))
    for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        own = ids[start:end].astype(np.int64)
        assert contexts[start:end].tolist() == table.read(own[None], table.no_contexts(1))[0].tolist()
        places = Earlier(own, np.zeros(len(own), np.int64))
        assert followers[start:end].tolist() == followers_along(places).tolist()
        alone = copies_along(places)
        assert found.ranks[start:end].tolist() == alone.ranks.tolist()
        assert found.tokens[start:end].tolist() == alone.tokens.tolist()
        alone = table.recall.along(own, np.zeros(len(own), np.int64))
        assert recalled.ranks[start:end].tolist() == alone.ranks.tolist()
        assert recalled.tokens[start:end].tolist() == alone.tokens.tolist()


def test_a_page_looks_back_a_whole_window() -> None:
    """A repetition from just within the window is found across the border of a page, and one beyond is not."""
    passage = np.arange(3, 9)
    for distance, is_near in ((WINDOW, False), (WINDOW - 8, True)):
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
        assert found.followers.tolist() == [[2, -1, -1] * 4 if is_near else [-1] * FOLLOWERS]
