"""Repetitions of the training text: those of a slow twin that compares, along a text and at the end of a window."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.ngrams import recall
from charrnn.ngrams.copies import LENGTHS
from charrnn.ngrams.earlier import BEFORE
from charrnn.ngrams.recall import Recall

TEXT = st.lists(st.integers(0, 1), min_size=1, max_size=150).map(lambda ids: np.array(ids, np.uint8))


def twin(text: list[int], ids: list[int]) -> tuple[int, int]:
    """The rank and the token after the last of `ids`, by the newest place of the longest gram that is looked up."""
    for hashed in (20, 12, 8):
        for after in range(len(text) - 1, hashed - 1, -1):
            if len(ids) >= hashed and text[after - hashed : after] == ids[-hashed:]:
                shared = next(
                    (k for k in range(32) if k >= min(len(ids), after) or text[after - 1 - k] != ids[-1 - k]), 32
                )
                return sum(length <= shared for length in LENGTHS), text[after]
    return 0, -1


@given(TEXT, TEXT, st.integers(0, 60))
def test_repetitions_are_those_of_the_slow_twin(text: np.ndarray, read: np.ndarray, begin: int) -> None:
    ids = np.concatenate([read, text[5:60]]).astype(np.int64)
    known = Recall(text)
    begin = min(begin, len(ids) - 1)
    found = known.along(ids, np.full(len(ids), begin))
    for place in range(begin, len(ids)):
        own = ids[begin : place + 1]
        expected = twin(text.tolist(), own.tolist())
        assert (found.ranks[place], found.tokens[place]) == expected
        window = np.full(100, BEFORE, np.uint32)
        window[100 - len(own[-100:]) :] = own[-100:]
        at_end = known.at_ends(window[None])
        assert (at_end.ranks[0], at_end.tokens[0]) == expected


def test_a_gram_whose_hash_is_that_of_another_is_not_taken_for_it() -> None:
    random = np.random.default_rng(0)
    text, other = (random.integers(0, 4, 400).astype(np.uint8) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recall, "_hashes", lambda ids, _: np.zeros(len(ids), np.uint64))
        found = Recall(text).along(other.astype(np.int64), np.zeros(400, np.int64))
    assert not found.ranks.any()
    assert (found.tokens == -1).all()


@pytest.mark.parametrize("size", [1, 2, 8, 9, 40])
def test_a_text_of_any_length_can_be_looked_up(size: int) -> None:
    text = np.arange(size).astype(np.uint8)
    found = Recall(text).along(text.astype(np.int64), np.zeros(size, np.int64))
    expected = [place + 1 if 7 <= place < size - 1 else -1 for place in range(size)]
    assert found.tokens.tolist() == expected
