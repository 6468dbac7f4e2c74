"""`charrnn memory`: what its three forms say of models whose memory is known."""

import json
import os
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from tests.cli.terminal import on_terminal
from tests.conftest import InProcess
from tests.doubles import unigram

PROBABILITIES = {"a": 1 / 2, "b": 1 / 4, None: 1 / 4}
COMMAND = ("memory", "t.txt", "--model", "even", "--model", "skewed", "--targets", "20")


@pytest.fixture
def run(folder: Path, in_process: InProcess) -> InProcess:
    """The command in this process, beside two models that remember nothing, and a text of half a's."""
    (folder / "skewed").write_bytes(to_bytes(unigram(PROBABILITIES)))
    (folder / "even").write_bytes(to_bytes(unigram({"a": 1 / 4, "b": 1 / 4, None: 1 / 2})))
    (folder / "t.txt").write_text("ab" * 20)

    return in_process


def test_json_has_a_line_for_each_model(run: InProcess) -> None:
    even, skewed = (json.loads(line) for line in run(*COMMAND, "--json")[0].splitlines())
    assert (even["model"], skewed["model"]) == ("even", "skewed")
    assert even["contexts"] == [1, 2, 4, 8, 16]
    assert even["targets"] == 20
    # a's and b's from the 17th character to the 40th, and the end: 19 or 20 of 2 bits among the even model's
    assert even["bits"] == pytest.approx([even["all_bits"]] * 5)
    assert even["all_bits"] == pytest.approx((19 * 2 + 1) / 20)
    assert 1.5 <= skewed["all_bits"] <= 1.6
    assert even["gradients"] == [0, 0, 0, 0, 0]


def test_a_pipe_gets_columns(run: InProcess) -> None:
    output, told = run(*COMMAND)
    assert "columns: model, characters, bits_per_character, gradient_norm" in told
    rows = [line.split("\t") for line in output.splitlines()]
    assert [row[:2] for row in rows] == [[m, c] for m in ("even", "skewed") for c in ("1", "2", "4", "8", "16", "all")]
    assert {row[2] for row in rows[:6]} == {rows[5][2]}
    assert [row[3] for row in rows[:6]] == ["0.0"] * 5 + ["-"]


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_two_charts(run: InProcess, folder: Path) -> None:
    code, seen, told = on_terminal(COMMAND, folder, streams=["stdout"])
    assert code == 0, told
    lines = seen.decode().splitlines()
    assert lines[1] == "    1.95 │   o     o     o     o     o     o"
    assert lines[14].split() == ["1", "2", "4", "8", "16", "all"]
    assert lines[15].split() == ["o", "even", "x", "skewed"]
    assert lines[17].startswith("log10 of the norm")
    assert "\x1b" not in seen.decode()


@pytest.mark.parametrize(("name", "begins"), [("m.png", b"\x89PNG\r\n"), ("m.svg", b"<?xml")])
def test_a_picture_is_a_new_file(run: InProcess, folder: Path, name: str, begins: bytes) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra")
    run(*COMMAND, "--plot", name)
    picture = (folder / name).read_bytes()
    assert picture.startswith(begins)
    assert "is there already" in run(*COMMAND, "--plot", name, code=2)[1]
    assert (folder / name).read_bytes() == picture


def test_a_picture_that_cannot_be_made_is_refused_first(run: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ".png or .svg" in run("memory", "--plot", "m.jpg", "--model", "none", code=2)[1]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'charrnn-text[plot]'" in run("memory", "--plot", "m.png", "--model", "none", code=2)[1]


def test_the_variable_names_one_model(run: InProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "two words").write_bytes((folder / "even").read_bytes())
    monkeypatch.setenv("CHARRNN_MODEL", "two words")
    assert json.loads(run("memory", "t.txt", "--json")[0])["model"] == "two words"


def test_mistakes_are_told(run: InProcess, folder: Path) -> None:
    assert "--targets must be at least 1" in run(*COMMAND[:-1], "0", code=2)[1]
    (folder / "t.txt").write_text("xyz")
    assert "no target that the model knows" in run(*COMMAND[:-1], "1", code=3)[1]
