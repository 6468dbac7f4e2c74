"""`charrnn sample --novel` and `--beam`: which texts there are, and which models and options cannot give them."""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.cli.app import main
from charrnn.settings.text import TextConfig
from tests.conftest import Command
from tests.doubles import learned, unigram

Run = Callable[..., tuple[str, str]]

CORPUS = "abc acb bca\n" * 5 + "cab"
WHOLE = TextConfig(validation=0)


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """`charrnn sample` in this process: its stdout and stderr."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["charrnn", "sample", "--model", "model", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsysbinary.readouterr()
        assert ended.value.code == code, seen.err
        return seen.out.decode(), seen.err.decode()

    return run


def objects(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_nothing_is_copied_from_the_text_of_the_run(folder: Path, charrnn: Command, k: int) -> None:
    learned(folder, CORPUS.encode(), WHOLE)
    arguments = ("sample", "--model", "model", "--novel", str(k), "--prime", "ab", "-n", "300", "--seed", "1", "-q")
    done = charrnn(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert len(text) == 302
    copied = [place for place in range(len(text) - k + 1) if text[place : place + k] in CORPUS]
    assert copied == ([0] if k == 2 else [])  # the prime is not the model's


def test_the_prime_counts_be_it_a_line_or_in_a_state(folder: Path, run: Run) -> None:
    learned(folder, b"abcabc\n", WHOLE)
    (folder / "lines").write_text("a\nab\nca\n")
    run("--prime", "ab", "-n", "1", "--save-state", "state")
    for seed in "123456":
        options = ("--novel", "3", "-n", "1", "--seed", seed, "--json")
        (primed,) = objects(run("--prime", "ab", *options)[0])
        assert primed["text"] != "c"
        assert objects(run("--load-state", "state", *options)[0])[0]["text"] == primed["text"]
        texts = [each["prime"] + each["text"] for each in objects(run("--prime-lines", "lines", *options)[0])]
        assert not {"abc", "cab"} & set(texts)


def test_samples_are_the_same_however_many_there_are_and_end_as_others_do(folder: Path, run: Run) -> None:
    learned(folder, CORPUS.encode(), WHOLE)
    options = ("--novel", "3", "-n", "40", "--seed", "5", "--stop", "cc", "--json")
    few, many = (objects(run(*options, "--num-samples", count)[0]) for count in ("2", "6"))
    assert many[:2] == few
    assert len({each["text"] for each in many}) > 1
    for each in many:
        assert "cc" not in each["text"]
        assert each["finish"] == ("length" if each["characters"] == 40 else "stop")
        assert (each["nats"] > 0) == bool(each["text"])


def test_a_text_can_be_named_instead_of_that_of_the_run(folder: Path, run: Run) -> None:
    checkpoint = learned(folder, CORPUS.encode(), WHOLE)
    (folder / "corpus.txt").write_text("changed")
    assert "has changed since" in run("--novel", "2", code=3)[1]
    (folder / "corpus.txt").unlink()
    assert "cannot be read again" in run("--novel", "2", code=3)[1]
    config = replace(checkpoint.config, text=replace(checkpoint.config.text, corpus=("-",)))
    (folder / "model").write_bytes(to_bytes(replace(checkpoint, config=config)))
    _, told = run("--novel", "2", code=3)
    assert "standard input" in told
    assert "--corpus PATH" in told
    (folder / "a.txt").write_text("aabbccX")
    (folder / "b.txt").write_text("bac")
    text, _ = run("--novel", "2", "--corpus", "a.txt", "--corpus", "b.txt", "-n", "100")
    assert not any(gram in text for gram in ("aa", "ab", "bb", "bc", "cc", "ba", "ac"))


def test_where_everything_is_a_copy_that_is_said(folder: Path, run: Run) -> None:
    learned(folder, CORPUS.encode(), WHOLE)
    output, told = run("--novel", "1", code=3)
    assert output == ""
    assert "ask for a larger --novel" in told
    for arguments in (
        ["--novel", "0"],
        ["--novel", "1001"],
        ["--corpus", "corpus.txt"],
        ["--novel", "5", "--beam", "2"],
    ):
        output, told = run(*arguments, code=2)
        assert (output, len(told.splitlines())) == ("", 1)


# One character is as likely as the next wherever it stands.
PROBABILITIES = {"a": 1 / 2, "b": 1 / 4, "\n": 1 / 8, None: 1 / 8}


def test_a_beam_finds_the_likeliest_text_and_says_what_it_costs(folder: Path, charrnn: Command) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    done = charrnn("sample", "--model", "model", "--beam", "3", "--prime", "b", "-n", "5", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"baaaaa", b"")


def test_a_beam_ends_where_a_sample_would(folder: Path, run: Run) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    for arguments, text, finish in (
        (["-n", "3"], "aaa", "length"),
        (["-n", "4", "--until-end"], "", "end"),  # an eighth, and four times a half is a sixteenth
        (["-n", "9", "--ban", "a", "--until-end", "--min-length", "2"], "bb", "end"),
        (["-n", "9", "--lines", "2"], "\n\n", "lines"),
        (["-n", "9", "--stop", "b", "--stop", "ab"], "", "stop"),
    ):
        (found,) = objects(run("--beam", "200", "--json", *arguments)[0])
        assert (found["text"], found["finish"]) == (text, finish)
        assert found["nats"] == pytest.approx(-sum(math.log(PROBABILITIES[each]) for each in text), abs=1e-5)
    (folder / "lines").write_text("a\nb\n")
    assert run("--beam", "2", "--prime-lines", "lines", "-n", "2")[0] == "aaa\nbaa\n"
    assert "--temperature" in run("--beam", "2", "--temperature", "0.5", code=2)[1]
    assert "--beam must be" in run("--beam", "0", code=2)[1]
