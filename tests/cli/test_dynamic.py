"""`charrnn eval --dynamic`: figures of its own beside the plain ones, which do not change."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from tests.cli.terminal import on_terminal
from tests.conftest import InProcess
from tests.doubles import unigram


@pytest.fixture
def run(folder: Path, in_process: InProcess) -> InProcess:
    """`charrnn eval` of 400 a's by a model that gives them 2 bits each, in this process: its stdout and stderr."""
    (folder / "model").write_bytes(to_bytes(unigram({"a": 1 / 4, "b": 1 / 4, None: 1 / 2})))
    (folder / "t.txt").write_text("a" * 400)

    return partial(in_process, "eval", "t.txt", "--model", "model")


def test_its_figures_come_after_the_plain_ones_under_their_own_names(run: InProcess) -> None:
    plain = json.loads(run("--json")[0])
    found = json.loads(run("--json", "--dynamic", "--dynamic-rate", "0.01")[0])
    assert {name: found.pop(name) for name in plain} == plain
    assert plain["bits_per_character"] == pytest.approx((400 * 2 + 1) / 401, rel=1e-5)
    assert list(found) == ["dynamic_nats_per_character", "dynamic_bits_per_character", "dynamic_rate", "dynamic_decay"]
    assert 0.5 < found["dynamic_bits_per_character"] < plain["bits_per_character"]
    assert found["dynamic_rate"] == 0.01


def test_who_does_not_learn_has_the_plain_figure(run: InProcess) -> None:
    found = json.loads(run("--json", "--dynamic", "--dynamic-rate", "0", "--dynamic-decay", "0.5")[0])
    assert found["dynamic_nats_per_character"] == found["nats_per_character"]
    assert found["dynamic_decay"] == 0.5


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_one_table(run: InProcess, folder: Path) -> None:
    code, seen, _ = on_terminal(["eval", "t.txt", "--model", "model", "--dynamic"], folder, streams=["stdout"])
    assert code == 0
    shown = seen.decode()
    assert "bits per character         │ 1.9975" in shown
    assert "dynamic bits per character │ 1." in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dynamic-rate", "0.1"], "they need --dynamic"),
        (["--dynamic-decay", "0.0"], "they need --dynamic"),
        (["--dynamic", "--heat"], "cannot go with --heat"),
        (["--dynamic", "--per-line"], "cannot go with --per-line"),
        (["--dynamic", "--protocol", "windowed"], "cannot go with --protocol windowed"),
        (["--dynamic", "--dynamic-rate", "-1"], "--dynamic-rate must be at least 0"),
        (["--dynamic", "--dynamic-decay", "2"], "--dynamic-decay must be"),
    ],
)
def test_mistakes_are_told(run: InProcess, arguments: list[str], told: str) -> None:
    assert told in run(*arguments, code=2)[1]
