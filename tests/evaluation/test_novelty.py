"""`charrnn eval --novelty`: the shares are those of a search by hand, and what cannot be compared is told."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint.format import to_bytes
from charrnn.cli.app import main
from charrnn.evaluation.novelty import SIZES, novelty
from charrnn.settings.text import TextConfig
from tests.doubles import learned

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`charrnn eval --novelty` in this process: its stdout and stderr."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["charrnn", "eval", "--novelty", "--model", "model", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output, told = capsys.readouterr()
        assert ended.value.code == code, told
        return output, told

    return run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data(), st.sampled_from(["none", "line"]))
def test_the_shares_are_those_of_a_search(folder: Path, data: st.DataObject, documents: str) -> None:
    # A text of pieces of the other has long runs in common with it.
    corpus = data.draw(st.text("ab한\n", min_size=60, max_size=200).filter(str.strip))
    cuts = data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 90)), min_size=1, max_size=4))
    text = "c" + "".join(corpus[start : start + length] for start, length in cuts)
    checkpoint = learned(folder, corpus.encode(), TextConfig(documents=documents, validation=0))  # type: ignore[arg-type]
    (folder / "t.txt").write_text(text)
    ours, theirs = ([each] if documents == "none" else each.split("\n") for each in (text, corpus))
    for each in novelty(checkpoint, ["t.txt"]).shares:
        runs = [document[place : place + each.k] for document in ours for place in range(len(document) - each.k + 1)]
        assert (each.grams, each.copied) == (len(runs), sum(any(one in other for other in theirs) for one in runs))


def test_the_text_itself_is_all_copied_and_another_corpus_counts(folder: Path, run: Run) -> None:
    learned(folder, b"0123456789" * 20, TextConfig(validation=0))
    output, told = run("corpus.txt", "--json")
    rows = [json.loads(line) for line in output.splitlines()]
    assert [(row["k"], row["grams"], row["copied"], row["share"]) for row in rows] == [
        (k, 201 - k, 201 - k, 1.0) for k in SIZES
    ]
    assert "K-grams of corpus.txt that stand in the training text of corpus.txt" in told
    (folder / "other.txt").write_text("0123456x0123")
    output, told = run("corpus.txt", "--corpus", "other.txt")
    # 01234, 12345 and 23456 are there, 20 times each.
    assert output.splitlines()[:2] == [f"5\t196\t60\t{60 / 196}", "10\t191\t0\t0.0"]
    assert "stand in other.txt" in told
    assert run("corpus.txt", "--quiet")[1] == ""


def test_a_text_that_is_too_short_has_no_share(folder: Path, run: Run) -> None:
    learned(folder, b"abcdefgh" * 10, TextConfig(validation=0))
    (folder / "t.txt").write_text("abcdef")
    assert run("t.txt")[0].splitlines()[:2] == ["5\t2\t2\t1.0", "10\t0\t0\t-"]
    assert json.loads(run("t.txt", "--json")[0].splitlines()[1])["share"] is None


def test_without_a_text_it_is_what_was_held_out(folder: Path, run: Run) -> None:
    learned(folder, b"a" * 900 + b"b" * 60 + b"a" * 40)
    output, told = run()
    assert output.splitlines()[0] == f"5\t96\t36\t{36 / 96}"
    assert "the validation text of corpus.txt that stand in the training text of corpus.txt" in told


def test_bytes_and_labels_are_compared_as_they_were_learned(folder: Path, run: Run) -> None:
    learned(folder, "한국어 문장".encode(), TextConfig(unit="byte", validation=0))
    (folder / "t.txt").write_bytes("국어".encode())
    assert run("t.txt")[0].splitlines()[0] == "5\t2\t2\t1.0"
    learned(folder, b"x\tabcdefgh\ny\tijklmnop\n", TextConfig(labels=True, validation=0))
    (folder / "t.txt").write_bytes(b"abcdefgh\nhijkl\n")
    assert run("t.txt")[0].splitlines()[0] == f"5\t5\t4\t{4 / 5}"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["t.txt"], 3, "has changed since"),
        (["t.txt", "--corpus", "none.txt"], 3, "none.txt"),
        (["none.txt", "--corpus", "t.txt"], 3, "none.txt"),
        (["empty.txt", "--corpus", "t.txt"], 3, "empty.txt has no text"),
        (["t.txt", "--heat"], 2, "--heat and --novelty"),
    ],
)
def test_what_cannot_be_compared_is_told(folder: Path, run: Run, arguments: list[str], code: int, said: str) -> None:
    learned(folder, b"abc" * 20)
    (folder / "corpus.txt").write_bytes(b"abd" * 20)
    (folder / "t.txt").write_text("abcabc")
    (folder / "empty.txt").touch()
    output, told = run(*arguments, code=code)
    assert output == ""
    assert said in told
    assert len(told.splitlines()) <= 4


def test_a_text_that_is_gone_or_was_never_a_file_must_be_named(folder: Path, run: Run) -> None:
    checkpoint = learned(folder, b"abc" * 20)
    (folder / "t.txt").write_text("abcabc")
    (folder / "corpus.txt").unlink()
    _, told = run("t.txt", code=3)
    assert "cannot be read again" in told
    assert "--corpus PATH" in told
    config = replace(checkpoint.config, text=replace(checkpoint.config.text, corpus=("-",)))
    (folder / "model").write_bytes(to_bytes(replace(checkpoint, config=config)))
    _, told = run("t.txt", code=3)
    assert "standard input" in told
    assert "--corpus PATH" in told
    assert run("t.txt", "--corpus", "t.txt")[0].startswith("5\t2\t2\t")
