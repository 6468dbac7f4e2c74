"""Filling a gap: the best filling is the best of all, and every number is the arithmetic's."""

import json
import math
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import to_bytes
from charrnn.cli.app import main
from charrnn.errors import UsageError
from charrnn.sampling.fill import fill, find_gap
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.terminal import on_terminal
from tests.conftest import Command
from tests.doubles import unigram
from tests.sampling.markov import Markov

VOCABULARY = Vocabulary("abc")
SPECIAL = np.arange(3, VOCABULARY.size)
texts = st.text("abc", max_size=4)


@given(st.integers(0, 10**6), texts, texts, st.integers(1, 4), st.integers(0, 2))
def test_the_best_fillings_are_the_best_of_all(seed: int, before: str, after: str, least: int, more: int) -> None:
    engine = Markov(VOCABULARY, seed)
    left = [VOCABULARY.start, *VOCABULARY.encode(before).tolist()]
    right = VOCABULARY.encode(after).astype(np.int64)
    lengths = range(least, least + more + 1)
    found = fill(engine, np.array(left), right, lengths, forbidden=SPECIAL, width=3**6)
    ways = {ids for length in lengths for ids in product(range(3), repeat=length)}
    assert {tuple(each.ids.tolist()) for each in found} == ways
    costs = {ids: engine.log_probability(left, [*ids, *right.tolist()]) for ids in ways}
    assert [each.log_probability for each in found] == pytest.approx(sorted(costs.values(), reverse=True), abs=1e-4)
    for each in found:
        ids = each.ids.tolist()
        assert each.log_probability == pytest.approx(costs[tuple(ids)], abs=1e-4)
        assert each.filling_log_probability == pytest.approx(engine.log_probability(left, ids), abs=1e-4)


@given(
    st.text("ab\n한", max_size=10), st.integers(1, 5), st.text("ab\n한", max_size=10), st.sampled_from(["_", "??", "."])
)
def test_a_gap_is_found_wherever_it_stands(before: str, length: int, after: str, blank: str) -> None:
    assert find_gap(before + blank * length + after, blank) == (before, length, after)


@pytest.mark.parametrize(("text", "said"), [("no gap", "none"), ("", "none"), ("a _ and __", "got 2")])
def test_there_is_one_gap(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_gap(text, "_")


# One character is as likely as the next wherever it stands, so that every number is known.
PROBABILITIES = {"a": 1 / 2, "b": 1 / 4, "\t": 1 / 8, "\n": 1 / 8}


@pytest.mark.slow
def test_a_pipe_gets_lines(folder: Path, charrnn: Command) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    done = charrnn("fill", "a__b", "--model", "model", "--top", "3", "-q")
    assert (done.returncode, done.stderr) == (0, b"")
    rows = [line.split("\t") for line in done.stdout.decode().splitlines()]
    assert [row[1] for row in rows] == ["aaab", "aabb", "abab"]
    assert [float(row[0]) for row in rows] == pytest.approx([math.log(2**-bits) for bits in (4, 5, 5)], abs=1e-5)
    done = charrnn("fill", "a_", "--model", "model", "--top", "9")
    assert [line.split("\t")[1] for line in done.stdout.decode().splitlines()] == ["aa", "ab", "a\\t", "a\\n"]
    assert b"columns: log-probability, text" in done.stderr


def test_lengths_are_free_on_request_and_json_has_it_all(folder: Path, charrnn: Command) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    done = charrnn("fill", "b#b", "--blank", "#", "--most", "3", "--ban", "a\\n\\t", "--json", "--model", "model")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["filling"], row["text"]) for row in rows] == [("b" * n, "b" * (n + 2)) for n in (1, 2, 3)]
    for n, row in enumerate(rows, 1):
        assert row["filling_log_probability"] == pytest.approx(math.log(1 / 4) * n, abs=1e-5)
        assert row["following_log_probability"] == pytest.approx(math.log(1 / 4), abs=1e-5)
        assert row["log_probability"] == row["filling_log_probability"] + row["following_log_probability"]


def test_a_terminal_gets_a_table_that_cannot_drive_it(folder: Path) -> None:
    (folder / "model").write_bytes(to_bytes(unigram({"\x1b": 1 / 2, "[": 1 / 4, "\n": 1 / 4})))
    code, seen, _ = on_terminal(["fill", "[_[", "--model", "model", "-q"], folder)
    assert code == 0
    assert b"[\\x1b[" in seen
    assert b"[\\n[" in seen
    assert seen.index(b"-2.08") < seen.index(b"-2.77")  # ln of 1/8, all of it, and of 1/16
    assert b"[\x1b[[" not in seen


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ab"], 2, "one gap"),
        (["a_b_"], 2, "one gap"),
        (["_" * 1001], 2, "at most 1000"),
        (["_", "--most", "0"], 2, "--most"),
        (["_", "--beam", "0"], 2, "--beam"),
        (["_", "--blank", ""], 2, "--blank"),
        (["_", "--allow", "x"], 2, "--allow"),
        (["_x"], 3, "never saw"),
    ],
)
def test_what_cannot_be_is_told(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    monkeypatch.setattr(sys, "argv", ["charrnn", "fill", *arguments, "--model", "model"])
    with pytest.raises(SystemExit) as ended:
        main()
    output, told = capsys.readouterr()
    assert (ended.value.code, output) == (code, "")
    assert said in told


def test_bytes_are_filled_in_as_they_are(folder: Path, charrnn: Command) -> None:
    (folder / "model").write_bytes(to_bytes(unigram({"\xff": 3 / 4, "a": 1 / 4}, TextConfig(unit="byte"))))
    done = charrnn("fill", "한_\n", "--model", "model", "--top", "2", "-q")
    assert [line.split(b"\t")[1] for line in done.stdout.splitlines()] == [
        "한".encode() + b"\xff\\n",
        "한a\\n".encode(),
    ]
    done = charrnn("fill", "한_", "--model", "model", "--top", "1", "-q", "--json")
    assert json.loads(done.stdout)["text"].encode("utf-8", "surrogateescape") == "한".encode() + b"\xff"
