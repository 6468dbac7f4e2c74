"""`--nproc`: one command looks after several processes, and ends with all of them."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.cli.process.rank import ProcessRank, own_process_rank
from charrnn.errors import UsageError
from tests.cli.processes import TINY, shell_code
from tests.conftest import Command

RUN = Run(Path("checkpoints/r"))
TRAIN = ("train", "small.txt", *TINY, "--name", "r", "--nproc", "2")


@contextmanager
def endless() -> Iterator["subprocess.Popen[bytes]"]:
    """A training by two processes that has saved once; at the end it is gone, whatever became of it."""
    command = [sys.executable, "-m", "charrnn", *TRAIN, "--steps", "1000000", "--validate-every", "50"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            while not (RUN.path.is_dir() and RUN.pointed("latest")):
                assert process.poll() is None
                time.sleep(0.01)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def first_process() -> int:
    """The id of the process of rank 0, which holds the run."""
    found = re.match("process ([0-9]+)", (RUN.path / "train.lock").read_text())
    assert found
    return int(found[1])


def last_words(process: "subprocess.Popen[bytes]") -> str:
    """What is said on stderr until the last process that has it is gone."""
    return process.communicate(timeout=60)[1].decode()


def latest_step() -> int:
    """The step of the latest checkpoint, which must load; no other file was begun."""
    path = RUN.pointed("latest")
    assert path
    assert not list(RUN.path.glob(".*"))
    return from_file(path, training=True).counters.step


@pytest.mark.slow
def test_a_signal_to_the_command_stops_all_with_one_checkpoint(small_text: Path) -> None:
    with endless() as process:
        process.send_signal(signal.SIGINT)
        told = last_words(process)
        assert shell_code(process) == 130
    assert told.count(f"stopped at step {latest_step():,} ") == 1
    assert told.count("go on:  charrnn train --resume checkpoints/r\n") == 1
    assert "Traceback" not in told


@pytest.mark.slow
def test_when_the_first_process_is_killed_the_command_ends_and_says_so(small_text: Path) -> None:
    with endless() as process:
        os.kill(first_process(), signal.SIGKILL)
        told = last_words(process)
        assert shell_code(process) == 137
    assert told.endswith("charrnn: process 0 of 2 was ended by SIGKILL\n")
    assert latest_step() % 50 == 0


@pytest.mark.slow
def test_when_the_command_is_killed_its_processes_save_and_end(small_text: Path) -> None:
    with endless() as process:
        process.kill()
        told = last_words(process)
    assert f"stopped at step {latest_step():,} " in told


@pytest.mark.slow
def test_the_first_process_tells_the_others_the_time(small_text: Path, charrnn: Command) -> None:
    done = charrnn(*TRAIN, "--time", "1s", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (*_, last) = tomllib.loads((RUN.path / "run.toml").read_text())["record"]["plan"]
    assert last[1] == latest_step()


@pytest.mark.slow
def test_a_mistake_is_told_once(small_text: Path, charrnn: Command) -> None:
    mistakes = {
        "a batch of 1 cannot be divided among 2 processes": (*TRAIN, "--batch-size", "1"),
        "standard input cannot be read by 2 processes": ("train", "-", "--nproc", "2"),
        "--nproc must be at least 1 and at most 1024, got 0": ("train", "small.txt", "--nproc", "0"),
    }
    for message, arguments in mistakes.items():
        done = charrnn(*arguments)
        assert done.returncode == 2
        assert done.stderr.decode().startswith(f"charrnn: {message}")
        assert done.stderr.count(b"\n") == 1
    assert not RUN.path.exists()


def test_torchrun_says_which_process_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert own_process_rank(1) == ProcessRank(0, 1)  # a scheduler has these for machines, not for processes
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_process_rank(1) == own_process_rank(2) == ProcessRank(1, 2)
    with pytest.raises(UsageError, match="torchrun has started 2 processes, not 3"):
        own_process_rank(3)
