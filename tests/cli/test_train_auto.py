"""One command, given again and again: it begins a run, goes on with it, and then says that it is done."""

import os
import random
import time
from pathlib import Path

import pytest

from charrnn.checkpoint.store import Run
from tests.cli.test_kills import EVERY_STEP, TINY, everything_and_files, job, killed, wait_for_step
from tests.conftest import Command

pytestmark = pytest.mark.slow

RUN = Run(Path("checkpoints/job"))
JOB = ["train", "small.txt", *TINY, *EVERY_STEP, "--steps", "60", "--name", "job", "--resume", "auto"]


def files(run: Run) -> dict[str, tuple[int, bytes]]:
    own = (path for path in run.path.iterdir() if path.name != "train.lock")
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in own}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and kills")
def test_a_command_that_is_killed_whenever_and_given_again_ends_as_if_it_was_not_killed(
    small_text: Path,
) -> None:
    chance = random.Random(2)
    child = job(*JOB)
    for kill in range(8):
        if kill < 4:
            time.sleep(chance.uniform(0, 0.1))  # it may not have a folder yet, or not have saved in it
        else:
            wait_for_step(RUN, 5 * kill)
        killed(child)
        child = job(*JOB)
    assert child.wait() == 0

    before = files(RUN)
    assert job(*JOB).wait() == 0
    assert "the run is already at step 60 of 60" in Path("stderr.txt").read_text()
    assert files(RUN) == before
    assert sorted(path.name for path in Path("checkpoints").iterdir()) == ["job"]

    assert job(*JOB[: JOB.index("--name")], "--name", "whole").wait() == 0
    assert everything_and_files(RUN) == everything_and_files(Run(Path("checkpoints/whole")))


def test_what_is_asked_for_must_be_what_the_run_has(small_text: Path, charrnn: Command) -> None:
    job = ("--name", "job", "--resume", "auto")
    assert charrnn("train", "small.txt", *TINY, "--steps", "2", *job).returncode == 0
    differs = charrnn("train", "small.txt", *TINY[2:], "--steps", "2", *job, CHARRNN_HIDDEN_SIZE="9")
    assert differs.returncode == 2
    assert b"the run checkpoints/job has --hidden-size 8, not 9\n" in differs.stderr
    longer = charrnn("train", "--steps", "4", *job)
    assert longer.returncode == 0
    assert b"finished at step 4" in longer.stderr
    Path("job.toml").write_text('[text]\ncorpus = ["small.txt"]\n[model]\ncell = "lstm"\n')
    assert b"--cell gru, not lstm" in charrnn("train", "--config", "job.toml", *job).stderr
    nameless = charrnn("train", "small.txt", "--resume", "auto")
    assert nameless.returncode == 2
    assert b"say which one by --name" in nameless.stderr
