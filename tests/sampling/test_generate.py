"""Generation with a model double whose logits are known: where it begins, what it may write, where it stops."""

from itertools import islice
from typing import Any

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.sampling.generate import generate
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary

VOCABULARY = Vocabulary("abc")
START, END, UNKNOWN = VOCABULARY.start, VOCABULARY.end, VOCABULARY.unknown
NOTHING = np.array([], dtype=np.int64)


class Script:
    """After token t come the logits `after[t]`, or zeros; the state is the list of tokens read."""

    def __init__(self, after: dict[int, dict[int, float]] | None = None) -> None:
        self.after = after or {}
        self.read_before: list[int] = []

    def initial_state(self, batch_size: int) -> tuple[int, ...]:
        assert batch_size == 1
        return ()

    def step(self, ids: Ids, state: Any) -> tuple[Any, Any]:
        row = np.zeros(VOCABULARY.size, np.float32)
        for token, logit in self.after.get(int(ids[0]), {}).items():
            row[token] = logit
        return row[None], (*state, int(ids[0]))

    def read(self, ids: Ids, state: Any) -> tuple[Any, Any]:
        for column in ids.T:
            logits, state = self.step(column, state)
        self.read_before = list(state)
        return logits, state


def text(engine: Script, prime: Ids = NOTHING, index: int = 0, **options: Any) -> str:
    config = SamplingConfig(**{"seed": 1, "length": 20, "until_end": False} | options)
    return "".join(generate(engine, VOCABULARY, config, prime, index))


def test_it_begins_at_the_start_token_and_reads_the_prime() -> None:
    engine = Script()
    text(engine)
    assert engine.read_before == [START]
    text(engine, prime=np.array([2, 0], np.uint8))
    assert engine.read_before == [START, 2, 0]


def test_greedy_takes_the_best_and_does_not_depend_on_the_seed() -> None:
    engine = Script({START: {1: 9}, 1: {0: 9}, 0: {2: 9}, 2: {1: 9}})
    assert {text(engine, temperature=0, seed=seed, length=7) for seed in range(5)} == {"bacbacb"}


def test_it_stops_at_the_end_token_only_when_told_to() -> None:
    engine = Script({START: {0: 9}, 0: {END: 99}})
    assert text(engine, temperature=0, until_end=True) == "a"
    assert text(engine, temperature=0, until_end=False) == "a" * 20
    assert text(Script({START: {END: 9}}), temperature=0, until_end=True) == ""


def test_start_and_unknown_tokens_are_never_written() -> None:
    engine = Script({token: {START: 99, UNKNOWN: 99, END: 99} for token in range(VOCABULARY.size)})
    assert len(text(engine, length=200)) == 200


@pytest.mark.parametrize("length", [1, 2, 50])
def test_it_writes_as_many_characters_as_asked(length: int) -> None:
    assert len(text(Script(), length=length)) == length


def test_length_zero_never_ends() -> None:
    config = SamplingConfig(seed=1, length=0, until_end=False)
    assert len(list(islice(generate(Script(), VOCABULARY, config, NOTHING), 3000))) == 3000


def test_same_seed_same_text_other_seed_other_text() -> None:
    assert text(Script(), seed=3) == text(Script(), seed=3)
    assert len({text(Script(), seed=seed) for seed in range(8)}) == 8


def test_samples_differ_by_their_index_and_not_by_how_many_there_are() -> None:
    samples = [text(Script(), index=index, num_samples=8) for index in range(8)]
    assert len(set(samples)) == 8
    assert text(Script(), index=5, num_samples=6) == samples[5]


def test_characters_follow_the_networks_distribution() -> None:
    engine = Script({token: dict(zip(range(3), np.log([0.6, 0.3, 0.1]).tolist(), strict=True)) for token in range(9)})
    written = text(engine, length=4000, temperature=1)
    shares = [written.count(character) / 4000 for character in "abc"]
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.03)


def test_a_seed_is_needed() -> None:
    with pytest.raises(ValueError, match="seed"):
        text(Script(), seed=None)


def test_the_end_token_waits_for_the_least_length() -> None:
    engine = Script({token: {END: 99} for token in range(VOCABULARY.size)})
    assert len(text(engine, until_end=True, min_length=7)) == 7
    assert len(text(engine, until_end=False, min_length=7)) == 20


@pytest.mark.parametrize("stops", [["ab"], ["aba"], ["c"], ["cc", "ab"], ["abcabc"]], ids=str)
def test_a_stop_text_ends_it_where_the_unstopped_text_has_it_first(stops: list[str]) -> None:
    for seed in range(20):
        whole = text(Script(), seed=seed)
        ends = [(whole.find(stop) + len(stop), whole.find(stop)) for stop in stops if stop in whole]
        assert text(Script(), seed=seed, stop=tuple(stops)) == whole[: min(ends)[1] if ends else None]


def test_it_ends_after_so_many_lines() -> None:
    lines = Vocabulary("\nab")
    config = SamplingConfig(seed=1, length=500, until_end=False, lines=3)
    written = "".join(generate(Script(), lines, config, NOTHING))
    assert written.count("\n") == 3
    assert written.endswith("\n")


def test_only_what_is_allowed_and_not_banned_is_written() -> None:
    assert set(text(Script(), length=100, allow="ab")) == {"a", "b"}
    assert set(text(Script(), length=100, allow="ab", ban="a")) == {"b"}
    assert set(text(Script(), length=100, ban=r"\d")) == {"a", "b", "c"}
    with pytest.raises(UsageError, match="leave none"):
        text(Script(), allow="ab", ban=r"\w")


def test_a_penalty_lasts_for_its_window() -> None:
    engine = Script({token: {0: 1.0, 1: 0.6, 2: 0.59} for token in range(VOCABULARY.size)})
    assert text(engine, temperature=0, length=6) == "aaaaaa"
    assert text(engine, temperature=0, length=6, repetition_penalty=100, repetition_window=1) == "ababab"
    assert text(engine, temperature=0, length=6, repetition_penalty=100, repetition_window=2) == "abcabc"
    primed = text(engine, np.array([0]), temperature=0, length=2, repetition_penalty=100, repetition_window=1)
    assert primed == "ba"
