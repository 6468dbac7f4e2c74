"""`charrnn compare`: its table and its JSON, being asked to stop, and mistakes."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.cli.app import application
from charrnn.cli.render.comparison import plain_table, verdict
from charrnn.errors import CharrnnError, DivergedError
from charrnn.events import Event
from charrnn.training import comparison
from charrnn.training.comparison import Compared, SeedScore
from tests.cli.processes import TINY, command_at, shell_code
from tests.cli.terminal import on_terminal
from tests.cli.test_start import LIGHT
from tests.conftest import Command, InProcess

KEYS = [
    *("cell", "trials", "learning_rate", "layers", "hidden_size", "parameters", "nats_per_character"),
    *("bits_per_character", "windowed_bits_per_character", "trained_characters_per_second"),
    *("sampled_characters_per_second", "steps", "seconds", "run", "checkpoint", "diverged", "kind", "order"),
    *("nats_per_character_spread", "bits_per_character_spread", "windowed_bits_per_character_spread", "seeds"),
]
WITHOUT_NETWORK = ["kneser-ney", "xz", "ppmd"]
SHAPE = ("--hidden-sizes", "8", *TINY[2:])
COMPARE = ("compare", "small.txt", *SHAPE, "--cells", "gru,rnn", "--learning-rates", "1e-3,1e-2")
COMPARE = (*COMPARE, "--steps", "8", "--trial-steps", "4")


@pytest.mark.slow
def test_json_is_a_line_a_cell_with_the_figures_of_eval(small_text: Path, charrnn: Command) -> None:
    done = charrnn(*COMPARE, "--json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 5
    assert [row["cell"] for row in rows] == [*WITHOUT_NETWORK, "gru", "rnn"]
    assert [row["kind"] for row in rows] == ["n-gram", "compressor", "compressor", "network", "network"]
    rows = rows[3:]
    assert [list(trial) for trial in rows[0]["trials"]] == [["cell", "learning_rate", "hidden_size", "loss"]] * 2
    for protocol, key in (("carried", "bits_per_character"), ("windowed", "windowed_bits_per_character")):
        said = charrnn("eval", "--model", rows[1]["checkpoint"], "--protocol", protocol, "--json")
        assert json.loads(said.stdout)["bits_per_character"] == rows[1][key]
    told = done.stderr.decode()
    assert "4 trials and 2 runs" in told
    assert "gru: learning rate 0.001, 0.01; size 8" in told
    assert "\x1b" not in told


@pytest.mark.slow
def test_a_pipe_gets_the_table_and_quiet_is_quiet(small_text: Path, charrnn: Command) -> None:
    done = charrnn(*COMPARE, "--trial-time", "0", "--learning-rates", "5e-3", "--optimizer", "muon", "-q")
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    for path in Path("checkpoints").glob("*/run.toml"):
        assert tomllib.loads(path.read_text())["training"]["optimizer"] == "muon"
    header, *rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert header[0] == "cell"
    assert {len(header), *map(len, rows)} == {10}
    assert sorted(row[0] for row in rows) == sorted([*WITHOUT_NETWORK, "gru", "rnn"])
    losses = [float(row[4]) for row in rows]
    assert losses == sorted(losses)
    assert {row[0]: row[1] for row in rows} == dict.fromkeys(WITHOUT_NETWORK, "-") | {"gru": "0.005", "rnn": "0.005"}


def test_the_best_comes_first_and_what_diverged_last() -> None:
    rows = [
        Compared("a", (), diverged="it did"),
        Compared("b", (), 0.1, 1, 8, 1_234_567, 2.0, 2.885, 2.9, 1e4, None, 3, 1.0, "checkpoints/b", "c"),
        Compared("c", (), 0.1, 1, 8, 100, 1.5, 2.164, 2.2, 1e4, 5e3, 3, 1.0, "checkpoints/c", "c"),
    ]
    lines = [line.split() for line in plain_table(rows).splitlines()[1:]]
    assert [line[0] for line in lines] == ["c", "b", "a"]
    assert lines[1] == ["b", "0.1", "1×8", "1,234,567", "2.0000", "2.8850", "2.9000", "10,000", "-", "checkpoints/b"]
    assert lines[2] == ["a", "-", "-", "-", "diverged", "-", "-", "-", "-", "-"]


def test_a_model_without_a_network_and_several_seeds_are_in_the_table() -> None:
    def scored(seed: int, bits: float, diverged: str | None = None) -> SeedScore:
        return SeedScore(seed, bits, bits, bits, "checkpoints/b", "c", diverged)

    seeds = (scored(1, 2.8), scored(2, 2.9), scored(3, 0.0, "it did"))
    rows = [
        Compared("b", (), 0.1, 1, 8, 100, 2.0, 2.85, 2.9, 1e4, 5e3, 3, 1.0, "checkpoints/b", "c",
                 bits_per_character_spread=0.07, seeds=seeds),
        Compared("kneser-ney", nats_per_character=1.5, bits_per_character=2.164, kind="n-gram", order=5),
    ]  # fmt: skip
    header, *lines = [line.split() for line in plain_table(rows).splitlines()]
    assert header == ["cell", "rate", "size", "parameters", "nats/char", "bits/char", "±bits/char", "seeds",
                      "windowed/char", "trained/s", "sampled/s", "run"]  # fmt: skip
    assert lines[0] == ["kneser-ney", "-", "order-5", "-", "1.5000", "2.1640", "-", "-", "-", "-", "-", "-"]
    assert lines[1][4:9] == ["2.0000", "2.8500", "0.0700", "2/3", "2.9000"]


PPMD = "and ppmd 2.5000 without a network"
VERDICTS = {
    "better": (2.0, None, f"the network is worth it: gru needs 2.0000 bits/character, {PPMD}, 20.0% fewer"),
    "worse": (3.0, 0.1, f"not worth it yet: gru needs 3.0000 bits/character, {PPMD}; give it more time, or more text"),
    "hardly": (2.4, 0.06, f"no clear winner: gru needs 2.4000 bits/character, {PPMD}; they differ by less than two"),
}


@pytest.mark.parametrize(("bits", "spread", "message"), VERDICTS.values(), ids=VERDICTS.keys())
def test_a_line_says_if_the_network_is_worth_it(bits: float, spread: float | None, message: str) -> None:
    others = [
        Compared("xz", bits_per_character=2.7, kind="compressor"),
        Compared("ppmd", bits_per_character=2.5, kind="compressor"),
        Compared("rnn", diverged="it did"),
    ]
    row = Compared("gru", bits_per_character=bits, bits_per_character_spread=spread)
    assert message in (verdict([*others, row, Compared("rnn", bits_per_character=3.5)]) or "")
    assert verdict(others) is None
    assert verdict([row]) is None


def test_without_pyppmd_its_row_is_missing_and_told(
    small_text: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    written, told = in_process("compare", "small.txt", "--cells", "rnn", *SHAPE, "--steps", "2", "--trial-steps", "0")
    assert "no row of ppmd, which needs pyppmd: pip install 'charrnn-text[ppmd]'" in told
    assert sorted(line.split()[0] for line in written.splitlines()[1:]) == ["kneser-ney", "rnn", "xz"]


STOPS = {  # the signal, the step at which it comes, and the rows and runs that there are then
    "in a trial": (signal.SIGINT, 130, 6, 3, 0),
    "in a run": (signal.SIGTERM, 143, 8 + 5, 3, 1),
    "in the next cell": (signal.SIGTERM, 143, 8 + 8 + 3, 4, 1),
}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code", "step", "rows", "runs"), STOPS.values(), ids=STOPS.keys())
def test_a_signal_ends_it_with_the_rows_so_far(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int, step: int, rows: int, runs: int
) -> None:
    temporary = small_text.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with (small_text.parent / "table").open("wb") as table:
        at = ("charrnn.training.loop.learning_rate", step)
        with command_at(*at, COMPARE, small_text.parent, stdout=table.fileno()) as process:
            process.send_signal(number)
            assert process.stderr is not None
            told = process.stderr.read().decode()
            assert shell_code(process) == code
    assert "Traceback" not in told
    assert "bug" not in told
    assert len((small_text.parent / "table").read_bytes().splitlines()) == rows + 1
    assert not [path for path in temporary.iterdir() if path.name.startswith("charrnn-")]
    assert len(list(Path("checkpoints").glob("*"))) == runs
    if rows == 3 and runs:
        assert "go on:  charrnn train --resume checkpoints/small-gru\n" in told
        latest = Run(Path("checkpoints/small-gru")).pointed("latest")
        assert latest is not None
        assert from_file(latest, training=True).counters.step == 5


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_on_a_terminal_there_is_one_table_in_the_end(small_text: Path) -> None:
    code, seen, _ = on_terminal(COMPARE, small_text.parent)
    assert code == 0, seen
    last = seen.decode().rpartition("parameters")[2]
    assert "checkpoints/small-gru" in last
    assert "checkpoints/small-rnn" in last
    code, seen, lines = on_terminal((*COMPARE, "--json"), small_text.parent, streams=("stderr",))
    assert code == 0
    assert [json.loads(line)["cell"] for line in lines.splitlines()] == [*WITHOUT_NETWORK, "gru", "rnn"]
    assert "checkpoints/small-gru-2" in seen.decode().rpartition("parameters")[2]


def test_when_all_diverge_there_is_a_table_and_a_code(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def diverge(*_: Any) -> Iterator[Event]:
        raise DivergedError("the training diverged at step 3: too much")

    monkeypatch.setattr(comparison, "train_prepared", diverge)
    with pytest.raises(DivergedError, match="every cell diverged") as raised:
        application()(list(COMPARE), standalone_mode=False)
    assert raised.value.exit_code == 6
    written = capfdbinary.readouterr().out.decode()
    names = [line.split()[0] for line in written.splitlines()]
    assert names[0] == "cell"
    assert sorted(names[1:4]) == sorted(WITHOUT_NETWORK)
    assert names[4:] == ["gru", "rnn"]


MISTAKES = {
    "an unknown cell": (["--cells", "gru,gur"], "did you mean gru"),
    "a cell twice": (["--cells", "gru,gru"], "--cells has gru twice"),
    "no cells": (["--cells", ""], "--cells must be one of"),
    "no rates": (["--learning-rates", ""], "--learning-rates must be numbers with commas between"),
    "a rate of 0": (["--learning-rates", "1e-3,0"], "--learning-rates must be greater than 0"),
    "half a unit": (["--hidden-sizes", "8.5"], "--hidden-sizes must be numbers with commas between, as 128,256"),
    "no units": (["--hidden-sizes", "8,0"], "--hidden-sizes must be at least 1"),
    "nothing held out": (["--validation", "0"], "--validation must be more than 0"),
    "no time": (["--time", "0"], "time must be a duration"),
    "no seeds": (["--seeds", "0"], "--seeds must be at least 1"),
    "no steps": (["--steps", "0"], "--steps must be at least 1"),
    "a choice without trials": (["--trial-time", "0", "--learning-rates", "1,2"], "no choice between 2"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_before_anything_is_read(
    folder: Path, in_process: InProcess, arguments: list[str], message: str
) -> None:
    assert message in in_process("compare", "none.txt", *arguments, code=2)[1]
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [([], 2, "no text given"), (["none.txt"], 3, "cannot read the text"), (["-", "-"], 2, "only once")],
)
def test_a_text_that_is_missing_is_told(folder: Path, arguments: list[str], code: int, message: str) -> None:
    with pytest.raises(CharrnnError, match=message) as raised:
        application()(["compare", *arguments, "-q"], standalone_mode=False)
    assert raised.value.exit_code == code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["none.txt", "--cells", "gur"], 2), (["none.txt", "--trial-time", "x"], 2)],
)
def test_help_and_mistakes_are_light(folder: Path, arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, "compare", *arguments], capture_output=True, cwd=folder)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == b""  # where heavy modules that were imported would be named
    assert done.stderr.startswith(b"charrnn: ") == bool(code)
