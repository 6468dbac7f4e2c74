"""Scores as data and as pictures: every number is checked against arithmetic, and all add up."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.cli.app import main
from charrnn.export.character_names import name_of
from charrnn.settings.text import TextConfig
from tests.cli.terminal import on_terminal
from tests.conftest import Command, InProcess
from tests.doubles import unigram

# Bits, and so ranks, that are known: 1, 2, 3, 4, 5, 6, 6.
PROBABILITIES = {"a": 1 / 2, "b": 1 / 4, "\n": 1 / 8, " ": 1 / 16, None: 1 / 32, "한": 1 / 64, "\t": 1 / 64}
RANKS = {"a": 1, "b": 2, "\n": 3, " ": 4, None: 5, "\t": 6, "한": 7}  # of equals the first in the vocabulary

Run = Callable[..., tuple[bytes, str]]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """The command in this process, with a model in which probabilities are known: its stdout and stderr."""

    def run(*arguments: str, text: TextConfig | None = None, code: int = 0) -> tuple[bytes, str]:
        probabilities = {"a": 1 / 2, "\xec": 1 / 4, "\n": 1 / 4} if text and text.unit == "byte" else PROBABILITIES
        (folder / "model").write_bytes(to_bytes(unigram(probabilities, text)))
        monkeypatch.setattr(sys, "argv", ["charrnn", "eval", "--model", "model", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsysbinary.readouterr()
        assert ended.value.code == code, seen.err
        return seen.out, seen.err.decode()

    return run


def objects(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.decode("ascii").splitlines()]


TEXT = "ab\n\na\tX한\nb "
LINES = [1, 1, 1, 2, 3, 3, 3, 3, 3, 4, 4, 4]


def test_each_character_has_its_cost(folder: Path, run: Run) -> None:
    (folder / "t.txt").write_text(TEXT)
    found = objects(run("t.txt", "--per-character", "--json")[0])
    assert [each["character"] for each in found] == [*TEXT, None]
    assert [each["offset"] for each in found] == list(range(len(TEXT) + 1))
    assert [each["line"] for each in found] == LINES
    assert [each["end"] for each in found] == [False] * len(TEXT) + [True]
    for each in found:
        if each["character"] == "X":
            assert {each[name] for name in ("nats", "bits", "probability", "rank")} == {None}
        else:
            probability = PROBABILITIES[each["character"]]
            assert each["nats"] == pytest.approx(-math.log(probability), abs=1e-6)
            assert each["bits"] == pytest.approx(-math.log2(probability), abs=1e-6)
            assert each["probability"] == pytest.approx(probability, rel=1e-6)
            assert each["rank"] == RANKS[each["character"]]


def test_each_line_has_the_cost_of_its_characters(folder: Path, run: Run) -> None:
    (folder / "t.txt").write_text(TEXT)
    found = objects(run("t.txt", "--per-line", "--json")[0])
    assert "".join(each["text"] for each in found) == TEXT
    assert [(each["line"], each["offset"]) for each in found] == [(1, 0), (2, 3), (3, 4), (4, 9)]
    assert [each["characters"] for each in found] == [3, 1, 4, 3]  # the unknown one is not scored, the end is
    assert [each["unknown"] for each in found] == [0, 0, 1, 0]
    bits = [1 + 2 + 3, 3, 1 + 6 + 6 + 3, 2 + 4 + 5]
    for each, expected in zip(found, bits, strict=True):
        assert each["bits"] == pytest.approx(expected, abs=1e-5)
        assert each["nats"] == pytest.approx(expected * math.log(2), abs=1e-5)
        assert each["bits_per_character"] == pytest.approx(expected / each["characters"], abs=1e-5)
        assert each["probability"] == pytest.approx(2.0**-expected, rel=1e-5)
    assert [each["mean_rank"] for each in found] == [2, 3, (1 + 6 + 7 + 3) / 4, (2 + 4 + 5) / 3]


@pytest.mark.parametrize("protocol", [[], ["--protocol", "windowed", "--window", "3"]])
@pytest.mark.parametrize("documents", ["none", "line", "blank"])
def test_sums_equal_the_total_exactly(folder: Path, run: Run, protocol: list[str], documents: str) -> None:
    (folder / "t.txt").write_text(TEXT * 40)
    config = TextConfig(documents=documents)  # type: ignore[arg-type]
    (total,) = objects(run("t.txt", "--json", *protocol, text=config)[0])
    lines = objects(run("t.txt", "--per-line", "--json", *protocol, text=config)[0])
    characters = objects(run("t.txt", "--per-character", "--json", *protocol, text=config)[0])
    assert sum(each["nats"] for each in lines) == total["nats"]
    assert sum(each["nats"] for each in reversed(lines)) == total["nats"]
    assert sum(each["nats"] or 0 for each in characters) == total["nats"]
    assert sum(each["characters"] for each in lines) == total["characters"]
    assert sum(each["unknown"] for each in lines) == total["unknown"] == 40
    for line in lines:
        own = [each for each in characters if each["line"] == line["line"]]
        assert sum(each["nats"] or 0 for each in own) == line["nats"]
        assert own[0]["offset"] == line["offset"]


def test_without_json_there_are_columns(folder: Path, run: Run) -> None:
    (folder / "t.txt").write_text("a\tX \\\n한")
    output, told = run("t.txt", "--per-character")
    rows = [line.split("\t") for line in output.decode().splitlines()]
    assert "columns: offset, line, character, nats, bits, probability, rank" in told
    assert [row[2] for row in rows] == ["a", "tab", "X", "space", "\\", "newline", "한", "end"]
    assert rows[2][3:] == ["-", "-", "-", "-"]
    assert float(rows[0][4]) == pytest.approx(1, abs=1e-6)
    output, told = run("t.txt", "--per-line")
    rows = [line.split("\t") for line in output.decode().splitlines()]
    names = told.partition("columns: ")[2].splitlines()[0].split(", ")
    assert [row[names.index("text")] for row in rows] == ["a\\tX \\\\", "한"]
    assert [float(row[names.index("bits")]) for row in rows] == pytest.approx([1 + 6 + 4 + 3, 6 + 5], abs=1e-5)
    nats = sum(float(row[names.index("nats")]) for row in rows)
    assert f"t.txt: 6 characters, {nats} nats, 4.1667 bits per character, 2 unknown and not scored" in told


def test_bytes_are_numbers_and_lines_of_them_are_whole(folder: Path, run: Run) -> None:
    data = b"a\xec\na\xff"
    (folder / "t.bin").write_bytes(data)
    config = TextConfig(unit="byte")
    found = objects(run("t.bin", "--per-character", "--json", text=config)[0])
    assert [each["byte"] for each in found] == [*data, None]
    assert [each["bits"] for each in found[:4]] == pytest.approx([1, 2, 2, 1], abs=1e-6)
    lines = objects(run("t.bin", "--per-line", "--json", text=config)[0])
    assert "".join(each["text"] for each in lines).encode("utf-8", "surrogateescape") == data
    output, _ = run("t.bin", "--per-line", text=config)
    assert [row.split(b"\t")[-1] for row in output.splitlines()] == [b"a\xec", b"a\xff"]


def test_quiet_says_nothing_and_two_views_are_refused(folder: Path, run: Run) -> None:
    (folder / "t.txt").write_text("ab")
    assert run("t.txt", "--per-line", "--quiet")[1] == ""
    output, told = run("t.txt", "--per-line", "--per-character", code=2)
    assert (output, told.count("\n")) == (b"", 1)
    assert "--per-line and --per-character" in told


@pytest.mark.slow
def test_a_pipeline_ranks_lines_from_standard_input(folder: Path, charrnn: Command) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    command = f"{sys.executable} -m charrnn eval - --per-line -q --model model | sort -t '\t' -k 6 -g -r | cut -f 1,10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        input="a\n한한\nb\n".encode(),
        capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == ["2\t한한", "3\tb", "1\ta"]


def test_no_two_characters_have_the_same_name() -> None:
    characters = [None, *map(chr, [*range(0xD800), *range(0xE000, 0x30000)])]
    names = {name_of(each) for each in characters}
    assert len(names) == len(characters)
    assert not any(set("\t\n\r\x1b\x9b\u202e ") & set(name) for name in names)
    assert len({name_of(chr(each), "byte") for each in range(256)}) == 256


def test_the_heat_of_a_text_is_known(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "t.txt").write_text("ab\n\x1b[31m한\u202eb ")
    monkeypatch.setenv("COLUMNS", "12")
    output, told = run("t.txt", "--heat")
    legend, *rows = output.decode().splitlines()
    assert legend.startswith("surprise in bits: . 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, + 10 or more, ? unknown")
    # What is said to cost 2 bits costs a little less, or more, in single precision: 1.99999994 is below 2.
    assert rows[:3] == ["", "ab↵", "".join(str(level_of(each)) for each in "ab\n")]
    assert rows[3::2] == ["\\x1b[31m한", "\\u202eb ∎"]
    assert rows[4] == f"?   ????{level_of('한')}"
    assert rows[6] == f"?     {level_of('b')}{level_of(' ')}{level_of(None)}"
    assert "t.txt: 7 characters, " in told


def level_of(character: str | None) -> int:
    """Whole bits, as the picture has them."""
    nats = round(-math.log(PROBABILITIES[character]) * 2**24) / 2**24
    return int(nats / math.log(2))


def test_colours_are_forced_into_a_pipe_and_refused_by_no_color(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "t.txt").write_text("\x1b[31mab")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    output, _ = run("t.txt", "--heat", "--quiet")
    assert b"\x1b[0;38;5;" in output
    assert b"\x1b[31m" not in output
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"\x1b" not in run("t.txt", "--heat", "--quiet")[0]


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_the_text_in_colours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    (folder / "t.txt").write_bytes("ab 한\u202e\x1b]0;owned\x07\n".encode())
    code, seen, _ = on_terminal(["eval", "t.txt", "--heat", "-q", "--model", "model"], folder)
    assert code == 0
    assert b"\x1b[0;38;5;16;48;5;" in seen
    plain = re.sub(r"\x1b\[[0-9;]*[mK]|\x1b\[\?25[lh]|\r", "", seen.decode())
    assert plain.splitlines()[-2:] == ["ab 한\\u202e\\x1b]0;owned\\x07↵", "∎"]


def test_a_page_is_written_once(folder: Path, run: Run) -> None:
    (folder / "t.txt").write_text("ab<한")
    output, told = run("t.txt", "--html", "p.html")
    page = (folder / "p.html").read_bytes()
    assert output == b""
    assert "the page is p.html" in told
    assert re.search('title="한: 6.00 bits, probability 0.01562, rank 7, likeliest: [^"]*">한</span>'.encode(), page)
    assert b'title="&lt;: unknown, not scored">&lt;</span>' in page
    assert run("t.txt", "--html", "-")[0] == page
    _, told = run("t.txt", "--html", "p.html", code=2)
    assert "nothing is overwritten" in told
    assert (folder / "p.html").read_bytes() == page
    assert "cannot write none/p.html" in run("t.txt", "--html", "none/p.html", code=7)[1]


@pytest.mark.parametrize("view", [["--heat"], ["--html", "p.html"]])
def test_a_picture_is_no_json(folder: Path, run: Run, view: list[str]) -> None:
    output, told = run("t.txt", "--json", *view, code=2)
    assert (output, told.count("\n")) == (b"", 1)
    assert "--per-character --json" in told
    assert not (folder / "p.html").exists()


def test_weights_that_overflow_are_told_and_leave_no_page(folder: Path, in_process: InProcess) -> None:
    checkpoint = unigram(PROBABILITIES)
    checkpoint.model["head.weight"][:] = 3e38
    (folder / "huge").write_bytes(to_bytes(checkpoint))
    (folder / "t.txt").write_text("abab")
    for view in ([], ["--per-line"], ["--heat"], ["--html", "p.html"]):
        _, told = in_process("eval", "t.txt", *view, "--model", "huge", code=4)
        assert "so large that they overflow" in told
    assert {path.name for path in folder.iterdir()} == {"huge", "t.txt"}
