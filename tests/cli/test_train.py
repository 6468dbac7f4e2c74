"""`charrnn train` in real processes: streams, configuration and the way from a text to more of it."""

import json
import os
import re
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from tests.cli.terminal import on_terminal
from tests.conftest import Command

pytestmark = pytest.mark.slow

TINY = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")


def test_from_a_text_to_more_of_it(small_text: Path, charrnn: Command) -> None:
    trained = charrnn("train", "small.txt", *TINY, "--steps", "30", "--validate-every", "10")
    assert trained.returncode == 0
    assert trained.stdout == b""
    stderr = trained.stderr.decode()
    assert "checkpoints/small-gru: gru 1×8" in stderr
    assert re.search(r"^charrnn: step=30 total=30 epoch=\S+ loss=\d+\.\d+ bits=\d", stderr, re.MULTILINE)
    assert re.search(r"^charrnn: step=10 validation_loss=\d+\.\d+ validation_bits=\S+ best=true", stderr, re.MULTILINE)
    assert "sample: charrnn sample --model checkpoints/small-gru" in stderr
    assert not {"\x1b", "\r"} & set(stderr)

    sampled = charrnn("sample", "--prime", "the ", "-n", "50")
    assert sampled.stdout.decode().startswith("the ")
    assert b"the newest run in ./checkpoints" in sampled.stderr
    scored = charrnn("eval", "--json")
    loss = re.findall(r"best validation loss (\d\.\d+) nats", stderr)[-1]
    assert json.loads(scored.stdout)["nats_per_character"] == pytest.approx(float(loss), abs=2e-4)


def test_quiet_is_silent(small_text: Path, charrnn: Command) -> None:
    done = charrnn("train", "small.txt", *TINY, "--steps", "3", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_text_can_come_through_a_pipe(small_text: Path, charrnn: Command) -> None:
    done = charrnn("train", "-", *TINY, "--steps", "3", stdin=small_text.read_bytes())
    assert done.returncode == 0
    assert Path("checkpoints/stdin-gru/latest").is_file()
    own = charrnn("eval")
    assert own.returncode == 3
    assert b"trained on standard input" in own.stderr


def test_a_recorded_run_is_repeated_to_the_same_weights(small_text: Path, charrnn: Command) -> None:
    charrnn("train", "small.txt", *TINY, "--dropout", "0.3", "--time", "2s", "--name", "first")
    again = charrnn("train", "--config", "checkpoints/first/run.toml", "--name", "again")
    assert again.returncode == 0
    assert b"a new run" not in again.stderr
    models = [from_file(Run(Path("checkpoints") / name).pointed("latest")).model for name in ("first", "again")]  # type: ignore[arg-type]
    assert all((models[0][name] == models[1][name]).all() for name in models[0])
    changed = charrnn("train", "--config", "checkpoints/first/run.toml", "--seed", "5", "--steps", "3")
    assert b"this is a new run, not a repeat" in changed.stderr


def test_flags_stand_above_environment_above_file_above_defaults(small_text: Path, charrnn: Command) -> None:
    Path("settings.toml").write_text(
        'text.corpus = ["small.txt"]\n[model]\ncell = "gru"\nhidden_size = 5\nlayers = 2\ndropout = 0.25\n'
        '[training]\ntime = "1h"\n'
    )
    environment = {"CHARRNN_HIDDEN_SIZE": "6", "CHARRNN_LAYERS": "3"}
    done = charrnn("train", "--config", "settings.toml", "--layers", "1", "--steps", "2", **environment)
    assert done.returncode == 0, done.stderr
    run = Run(Path("checkpoints/small-gru"))
    config = from_file(run.pointed("latest")).config  # type: ignore[arg-type]
    assert (config.model.cell, config.model.dropout) == ("gru", 0.25)  # the file
    assert config.model.hidden_size == 6  # the environment
    assert config.model.layers == 1  # the flag
    assert (config.training.steps, config.training.time) == (2, None)  # a budget replaces the file's
    assert config.model.encoder == "embedding"  # the default


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_a_live_display_and_stdout_nothing(small_text: Path, folder: Path) -> None:
    arguments = ["train", "small.txt", *TINY, "--time", "3s"]
    code, seen, piped = on_terminal(arguments, folder, streams=["stderr"])
    assert code == 0
    assert piped == b""
    assert b"\x1b[" in seen
    for shown in ("characters/s", "left", "bits/character", "it writes, at step", "validation", "finished at step"):
        assert shown.encode() in seen
    assert seen.rstrip().endswith(b"charrnn sample --model checkpoints/small-gru")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_display_without_colour(small_text: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    _, seen, _ = on_terminal(["train", "small.txt", *TINY, "--steps", "50"], folder, streams=["stderr"])
    assert not re.search(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m", seen)
