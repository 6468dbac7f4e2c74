"""Tapes and episodes: every target once an epoch, each read from the right state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.batches import IGNORED, Episodes, Tapes, fit_shape
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary


def running(length: int) -> Tokens:
    """A running text whose ids are all different, so that an id is a position."""
    return Tokens(np.arange(length + 1, dtype=np.uint16), np.array([0, length + 1]))


def lines(*documents: str) -> Tokens:
    return tokenize(documents, Vocabulary.of("".join(documents), "character"))


documents = st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=30)


@given(documents)
def test_tokens_are_documents_between_start_and_end(texts: list[str]) -> None:
    vocabulary = Vocabulary.of("".join(texts), "character")
    tokens = tokenize(texts, vocabulary)
    for k, text in enumerate(texts):
        own = tokens.ids[tokens.offsets[k] : tokens.offsets[k + 1]]
        assert own[0] == vocabulary.start
        assert own[-1] == vocabulary.end
        assert vocabulary.decode(own[1:-1]) == text
    assert tokens.lengths.tolist() == [len(text) + 1 for text in texts]
    assert tokens.targets == tokens.lengths.sum()


def test_documents_have_characters() -> None:
    vocabulary = Vocabulary("ab")
    assert tokenize([], vocabulary).targets == 0
    with pytest.raises(ValueError, match="at least one"):
        tokenize(["a", ""], vocabulary)


@given(st.integers(1, 300), st.integers(1, 9), st.integers(1, 20))
def test_tapes_read_every_target_once_an_epoch(length: int, rows: int, columns: int) -> None:
    tapes = Tapes(running(length), rows, columns)
    batches = [tapes.batch(step) for step in range(tapes.steps_per_epoch)]
    targets = np.concatenate([batch.targets.ravel() for batch in batches])
    assert sorted(targets[targets != IGNORED].tolist()) == list(range(1, length + 1))
    for batch in batches:
        known = batch.targets != IGNORED
        assert (batch.inputs[known] + 1 == batch.targets[known]).all()
        assert batch.inputs.shape[1] <= columns


@given(st.integers(1, 300), st.integers(1, 9), st.integers(1, 20))
def test_tapes_go_on_where_their_state_is(length: int, rows: int, columns: int) -> None:
    """With the position read last for a state, every stretch begins right after its state, from the second epoch on."""
    tapes = Tapes(running(length), rows, columns)
    state = np.full(rows, -1)
    for step in range(3 * tapes.steps_per_epoch):
        batch = tapes.batch(step)
        epoch = step // tapes.steps_per_epoch
        if batch.state == "shift":
            state = np.concatenate([[-1], state[:-1]])
        elif batch.state == "zero":
            state = np.full(rows, -1)
        real = (batch.targets != IGNORED).any(axis=1)
        if epoch or step % tapes.steps_per_epoch:
            assert (batch.inputs[real, 0] == state[real] + 1).all()
        state = batch.inputs[:, -1]


def test_tapes_begin_with_a_zero_state_once() -> None:
    tapes = Tapes(running(20), 2, 5)
    assert [tapes.batch(step).state for step in range(5)] == ["zero", "carry", "shift", "carry", "shift"]


def test_tapes_are_for_one_text() -> None:
    with pytest.raises(ValueError, match="one document"):
        Tapes(lines("a", "b"), 2, 5)


@given(documents, st.integers(1, 7), st.integers(1, 15), st.integers(0, 3))
def test_episodes_read_every_document_once_an_epoch_from_a_zero_state(
    texts: list[str], rows: int, columns: int, seed: int
) -> None:
    tokens = lines(*texts)
    episodes = Episodes(tokens, rows, columns, seed)
    for epoch in range(2):
        read: list[list[int]] = []
        unfinished: list[list[int]] = []
        for step in range(epoch * episodes.steps_per_epoch, (epoch + 1) * episodes.steps_per_epoch):
            batch = episodes.batch(step)
            if batch.state == "zero":
                read += unfinished
                unfinished = [[] for _ in batch.inputs]
            for row, (inputs, targets) in enumerate(zip(batch.inputs, batch.targets, strict=True)):
                known = targets != IGNORED
                if not unfinished[row]:
                    unfinished[row].append(int(inputs[0]))
                assert not known[np.argmin(known) :].any() or known.all()  # padding comes last
                assert (np.array([unfinished[row][-1], *targets[known][:-1]]) == inputs[known])[: known.sum()].all()
                unfinished[row] += targets[known].tolist()
        read += unfinished
        expected = [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
        assert sorted(read) == sorted(expected)


@given(documents, st.integers(1, 7), st.integers(1, 15))
def test_a_batch_is_a_function_of_its_step(texts: list[str], rows: int, columns: int) -> None:
    tokens = lines(*texts)
    forward = Episodes(tokens, rows, columns, 5)
    backward = Episodes(tokens, rows, columns, 5)
    steps = range(2 * forward.steps_per_epoch)
    expected = {step: forward.batch(step) for step in steps}
    for step in reversed(steps):
        batch = backward.batch(step)
        assert batch.state == expected[step].state
        assert np.array_equal(batch.inputs, expected[step].inputs)
        assert np.array_equal(batch.targets, expected[step].targets)


def test_episodes_come_in_another_order_each_epoch_and_for_each_seed() -> None:
    tokens = lines(*(chr(97 + k) * 3 for k in range(20)))

    def order(seed: int, epoch: int) -> list[int]:
        episodes = Episodes(tokens, 4, 8, seed)
        steps = range(epoch * episodes.steps_per_epoch, (epoch + 1) * episodes.steps_per_epoch)
        return [int(token) for step in steps for token in episodes.batch(step).inputs[:, 1]]

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(o) for o in orders}) == 4
    assert all(sorted(o) == list(range(20)) for o in orders)


def test_episodes_of_like_length_come_together() -> None:
    texts = ["a" * length for length in range(1, 41)]
    episodes = Episodes(lines(*texts), 4, 64, 0)
    batches = [episodes.batch(step) for step in range(episodes.steps_per_epoch)]
    padding = sum(int((batch.targets == IGNORED).sum()) for batch in batches)
    assert padding <= 0.1 * sum(batch.targets.size for batch in batches)


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 90))
def test_a_running_text_fills_the_shape_that_is_fitted_to_it(length: int, rows: int, columns: int) -> None:
    tokens = running(length)
    fitted = fit_shape(tokens, rows, columns, tapes=True)
    assert 1 <= fitted[0] <= rows
    assert 1 <= fitted[1] <= columns
    assert fitted[0] * fitted[1] <= length
    if length >= rows * columns:
        assert fitted == (rows, columns)


def test_documents_fill_the_shape_that_is_fitted_to_them() -> None:
    assert fit_shape(lines("a", "bb", "ccc"), 9, 9, tapes=False) == (3, 4)
    assert fit_shape(lines("a", "bb", "ccc"), 2, 3, tapes=False) == (2, 3)
