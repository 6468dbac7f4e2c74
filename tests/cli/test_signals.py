"""Being asked to stop: at any moment one good checkpoint, the way to go on, and an exit code that says who asked."""

import json
import math
import os
import signal
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.settings.run import RunConfig
from charrnn.training import loop
from tests.cli.processes import TINY, command_at, shell_code
from tests.conftest import Command
from tests.prepared import PROGRAM, prepared

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="POSIX signals")]

TRAIN = ("train", "small.txt", *TINY, "--steps", "12", "--validate-every", "4", "--report-every", "2", "--name", "r")
RUN = Run(Path("checkpoints/r"))
CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def latest(run: Run = RUN) -> Checkpoint:
    path = run.pointed("latest")
    assert path is not None
    assert path == run.checkpoints()[-1]
    return from_file(path, training=True)


def assert_goes_on_exactly() -> None:
    """The run ends as one that nobody stopped."""
    for _ in loop.resume(find_resumable(str(RUN.path)), {}):
        pass
    config = RunConfig.from_mapping(tomllib.loads((RUN.path / "run.toml").read_text()), "run.toml")
    for _ in loop.train(config, "whole"):
        pass
    resumed, whole = latest(), latest(Run(Path("checkpoints/whole")))
    assert resumed.counters.step == whole.counters.step == 12
    assert resumed.counters.best_loss == whole.counters.best_loss
    for ours, theirs in ((resumed.model, whole.model), (resumed.training, whole.training)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


PHASES = {  # where, for which time, with which signal, and the step of the checkpoint
    "a step": ("charrnn.training.loop.learning_rate", 6, signal.SIGTERM, 6),
    "validation": ("charrnn.training.loop.score", 2, signal.SIGINT, 9),
    "sampling": ("charrnn.training.loop.preview", 2, signal.SIGTERM, 9),
    "writing a checkpoint": ("charrnn.checkpoint.store.write_file", 3, signal.SIGINT, 5),
    "pointing at it": ("charrnn.checkpoint.store.write_file", 5, signal.SIGTERM, 5),
    "a closed terminal": ("charrnn.training.loop.learning_rate", 7, signal.SIGHUP, 7),
}


@pytest.mark.parametrize(("function", "count", "number", "step"), PHASES.values(), ids=PHASES.keys())
def test_a_signal_saves_once_and_says_how_to_go_on(
    small_text: Path, function: str, count: int, number: signal.Signals, step: int
) -> None:
    with command_at(function, count, TRAIN, small_text.parent) as process:
        process.send_signal(number)
        assert process.stderr is not None
        told = process.stderr.read().decode()
        assert shell_code(process) == CODES[number]
    assert f"stopped at step {step} " in told
    assert "go on:  charrnn train --resume checkpoints/r\n" in told
    assert "Traceback" not in told
    assert latest().counters.step == step
    assert not list(RUN.path.glob(".*"))
    assert_goes_on_exactly()


BEFORE = {
    "reading": ("charrnn.training.setup.read_corpus", signal.SIGTERM),
    "encoding": ("charrnn.text.corpus.encoded", signal.SIGINT),
}


@pytest.mark.parametrize(("function", "number"), BEFORE.values(), ids=BEFORE.keys())
def test_before_the_training_there_is_nothing_to_save(small_text: Path, function: str, number: signal.Signals) -> None:
    with command_at(function, 1, TRAIN, small_text.parent, seconds=60) as process:
        process.send_signal(number)
        assert process.stderr is not None
        told = process.stderr.read()
        assert shell_code(process) == CODES[number]
    assert told == b"charrnn: stopped at once, before the training began\n"
    assert not Path("checkpoints").exists()


def wait_until_taken(pid: int) -> None:
    """Return when the process no longer has its own handler of SIGTERM, as after the first signal."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        time.sleep(1)
        return
    while int(status.read_text().partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once_and_harms_nothing(small_text: Path, number: signal.Signals) -> None:
    in_a_save = ("os.replace", 7)  # the second save's
    with command_at(*in_a_save, TRAIN, small_text.parent, seconds=60) as process:
        process.send_signal(number)
        wait_until_taken(process.pid)  # two of one kind that wait together are one
        assert process.poll() is None  # as the save is let finish
        process.send_signal(number)
        assert shell_code(process) == CODES[number]
    assert latest().counters.step == 4
    assert_goes_on_exactly()


def test_what_is_told_resumes(small_text: Path, charrnn: Command) -> None:
    endless = (*TRAIN, "--steps", "1000000")
    with command_at("charrnn.training.loop.learning_rate", 50, endless, small_text.parent) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read().decode()
        assert shell_code(process) == 130
    program, *arguments = told.partition("go on:  ")[2].splitlines()[0].split()
    assert program == "charrnn"
    step = latest().counters.step
    resumed = charrnn(*arguments, "--steps", str(step + 5))
    assert resumed.returncode == 0, resumed.stderr
    assert f"finished at step {step + 5:,}".encode() in resumed.stderr


def test_a_resumed_run_is_as_good_as_before(small_text: Path) -> None:
    config = RunConfig().override({"corpus": (str(small_text),), "hidden_size": 8, "layers": 1, "steps": 4})
    for _ in loop.train(config, "r"):
        pass
    before = {path: path.read_bytes() for path in RUN.path.glob("*") if path.name != "train.lock"}
    resume = ("train", "--resume", "checkpoints/r", "--steps", "9")
    with command_at("charrnn.text.training_text.read_corpus", 1, resume, small_text.parent, seconds=60) as process:
        process.send_signal(signal.SIGTERM)
        assert shell_code(process) == 143
    assert {path: path.read_bytes() for path in RUN.path.glob("*") if path.name != "train.lock"} == before


def test_a_training_survives_a_closed_terminal_under_nohup_and_being_suspended(small_text: Path) -> None:
    in_a_step = ("charrnn.training.loop.learning_rate", 3)
    with command_at(*in_a_step, TRAIN, small_text.parent, ignored=[signal.SIGHUP]) as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGCONT)
        assert shell_code(process) == 0
    assert latest().counters.step == 12
    metrics = [json.loads(line) for line in (RUN.path / "metrics.jsonl").read_text().splitlines()]
    rates = [line["characters_per_second"] for line in metrics if line["split"] == "training"]
    assert rates
    assert all(0 < rate < math.inf for rate in rates)


def test_a_training_needs_no_streams(small_text: Path) -> None:
    # What is written to the number of stderr while a checkpoint is being written does not end up in it.
    program = (
        "import os, charrnn.files as files\nreal = files.os.fsync\n"
        "def fsync(file):\n    [os.write(number, b'a warning') for number in (1, 2)]\n    real(file)\n"
        "files.os.fsync = fsync\nfrom charrnn.cli.app import main\nmain()\n"
    )
    with prepared().start(TRAIN, program=program, stdin=None, stdout=None, stderr=None) as process:
        assert process.wait() == 0
    assert latest().counters.step == 12
    for path in RUN.path.iterdir():
        assert b"a warning" not in path.read_bytes()


def test_a_training_needs_nobody_to_read_what_it_tells(small_text: Path) -> None:
    with command_at("charrnn.training.loop.learning_rate", 3, TRAIN, small_text.parent) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert shell_code(process) == 0
    assert latest().counters.step == 12


def test_a_terminal_that_is_closed_takes_no_step_with_it(small_text: Path) -> None:
    import pty

    own_terminal = "import fcntl, os, termios\nos.setsid()\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    master, slave = pty.openpty()
    endless = [*TRAIN, "--steps", "1000000"]
    with prepared().start(endless, program=own_terminal + PROGRAM, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        seen = b""
        while b"it writes" not in seen:  # and has saved, or will at once
            seen += os.read(master, 65536)
        os.close(master)
        assert shell_code(process) == 129
    assert latest().counters.step >= 4
    for _ in loop.resume(find_resumable(str(RUN.path)), {"steps": latest().counters.step + 2}):
        pass
