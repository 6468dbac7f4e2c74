"""A text that is read as it is edited: the costs of one pass over it, in few steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.sampling.chooser import surprisals
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Ids, Vocabulary
from charrnn.writing import reading as module
from charrnn.writing.reading import EVERY, Reading
from tests.conftest import random_checkpoint

VOCABULARY = Vocabulary("abcdefg")
MODEL = random_checkpoint(ModelConfig("gru", 2, 5, "embedding", 3, 0.0), VOCABULARY)
ENGINE = NumpyEngine(MODEL.config.model, MODEL.model)
START = [VOCABULARY.start]


def read_anew(ids: Ids) -> np.ndarray:
    """The costs of all tokens in one pass; a start token begins anew."""
    costs = []
    logits, state = np.zeros((1, VOCABULARY.size), np.float32), ENGINE.initial_state(1)
    for token in ids.tolist():
        is_scored = token not in (VOCABULARY.start, VOCABULARY.unknown)
        costs.append(surprisals(logits, [token])[0] if is_scored else np.nan)
        state = ENGINE.initial_state(1) if token == VOCABULARY.start else state
        logits, state = ENGINE.step(np.array([token]), state)
    return np.array(costs)


def whole(reading: Reading, ids: Ids) -> None:
    reading.follow(ids)
    while reading.count < len(ids):
        reading.read(len(ids))


@given(st.data())
@settings(max_examples=25)
def test_costs_after_edits_are_those_of_a_pass_over_the_text(data: st.DataObject) -> None:
    reading = Reading(ENGINE, VOCABULARY)
    tokens = st.lists(st.integers(0, VOCABULARY.unknown), max_size=150)
    ids = np.array(START + data.draw(tokens))
    for _ in range(3):
        whole(reading, ids)
        np.testing.assert_array_equal(reading.nats, read_anew(ids))
        count = data.draw(st.integers(0, len(ids)))
        spot = reading.spot(count)
        if count:
            anew, _ = ENGINE.read(ids[None, np.flatnonzero(ids[:count] == VOCABULARY.start)[-1] : count],
                                  ENGINE.initial_state(1))  # fmt: skip
            np.testing.assert_array_equal(spot.logits, anew)
        start = data.draw(st.integers(1, len(ids)))
        end = data.draw(st.integers(start, len(ids)))
        ids = np.concatenate([ids[:start], np.array(data.draw(tokens), np.int64), ids[end:]])


def test_an_edit_at_the_end_of_a_long_text_takes_few_steps() -> None:
    ids = np.random.default_rng(0).integers(0, 7, 100_000)
    ids[0] = VOCABULARY.start
    reading = Reading(ENGINE, VOCABULARY)
    whole(reading, ids)
    assert reading.steps == len(ids)
    for changed, most in (
        (np.append(ids, 3), 1),  # typed
        (ids[:-1], EVERY),  # deleted
        (np.append(ids[:-40], 2), EVERY),
        (ids[:-2], 2 * EVERY),  # and written again
    ):
        before = reading.steps
        whole(reading, changed)
        assert reading.steps - before <= most


def test_a_place_in_the_middle_is_few_steps_away_and_the_next_one_is_one() -> None:
    ids = np.concatenate([START, np.random.default_rng(0).integers(0, 7, 5000)])
    reading = Reading(ENGINE, VOCABULARY)
    whole(reading, ids)
    before = reading.steps
    reading.spot(3001)
    assert reading.steps - before < EVERY
    before = reading.steps
    reading.spot(3002)
    assert reading.steps - before == 1


def test_few_states_are_kept_of_a_text_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 8)
    ids = np.concatenate([START, np.random.default_rng(0).integers(0, 7, 4000)])
    reading = Reading(ENGINE, VOCABULARY)
    whole(reading, ids)
    assert len(reading._kept) <= 8
    np.testing.assert_array_equal(reading.nats, read_anew(ids))
    shorter = ids[:1234]
    whole(reading, shorter)
    np.testing.assert_array_equal(reading.nats, read_anew(shorter))


def test_what_has_not_been_read_has_no_state() -> None:
    with pytest.raises(ValueError, match="has not been read up to token 5"):
        Reading(ENGINE, VOCABULARY).spot(5)
