"""A training that is killed again and again, and ends as if nothing had happened."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_model
from charrnn.files import leftovers
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import generate
from charrnn.sampling.prime import encode_prime
from charrnn.settings.sampling import SamplingConfig
from tests.conftest import digest, everything
from tests.prepared import Process, prepared

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and kills")]

TINY = ["--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9", "--dropout", "0.2"]
EVERY_STEP = ["--validate-every", "1", "--report-every", "1"]


def job(*arguments: str) -> Process:
    """The command, which tells what it does in stderr.txt."""
    with Path("stderr.txt").open("wb") as told:
        return prepared().start(arguments, stdout=told.fileno(), stderr=told.fileno())


def killed(process: Process) -> None:
    """Kill a command that must not have ended by itself."""
    process.kill()
    assert process.wait() == -signal.SIGKILL, Path("stderr.txt").read_text()


def everything_and_files(run: Run) -> tuple[object, ...]:
    """All that is equal in two runs that saved at the same steps, the best checkpoint and the names of files too."""
    latest, best = run.pointed("latest"), run.pointed("best")
    assert latest
    assert best
    names = [path.name for path in (latest, best, *run.checkpoints())]
    return *everything(run.path), digest(from_file(best).model), names


def latest_step(run: Run) -> int:
    """The step of the latest checkpoint, which must load and write."""
    path = run.pointed("latest")
    assert path
    step = from_file(path, training=True).counters.step
    assert path.name == f"step-{step:08d}.safetensors"
    found = from_file(find_model(str(run.path)).path)
    sampling = SamplingConfig(seed=1, length=5)
    prime = encode_prime("the ", found.config.text, found.vocabulary)
    engine = open_engine(found, sampling, engine="numpy", device="cpu").engine
    assert len("".join(generate(engine, found.vocabulary, sampling, prime))) == 5
    return step


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.nightly)])
def test_a_training_that_is_killed_again_and_again_ends_as_if_it_was_not(small_text: Path, kills: int) -> None:
    steps = 15 * kills
    settings = [*TINY, *EVERY_STEP, "--steps", str(steps)]
    chance, run = random.Random(0), Run(Path("checkpoints/killed"))
    go_on = ["train", "--resume", str(run.path)]
    child = job("train", "small.txt", *settings, "--name", "killed")
    step = wait_for_step(run, 1)
    for kill in range(kills):
        if kill % 4:
            wait_for_step(run, step + chance.randint(1, 3))  # then it may be in the middle of a save
            time.sleep(chance.uniform(0, 0.01))
        else:
            time.sleep(chance.uniform(0, 0.05))  # it may just be starting
        killed(child)
        step = max(step, latest_step(run))
        assert latest_step(run) == step  # nothing that was once saved is lost
        child = job(*go_on)
    assert child.wait() == 0
    assert not list(leftovers(run.path))

    assert job("train", "small.txt", *settings, "--name", "whole").wait() == 0
    assert latest_step(run) == steps
    assert everything_and_files(run) == everything_and_files(Run(Path("checkpoints/whole")))


def test_a_signal_waits_for_the_save_that_it_meets(small_text: Path) -> None:
    chance, run = random.Random(1), Run(Path("checkpoints/small-gru"))
    child = job("train", "small.txt", *TINY, *EVERY_STEP, "--steps", "300")
    step = 0
    for _ in range(10):
        wait_for_step(run, step + 1)
        time.sleep(chance.uniform(0, 0.01))
        child.send_signal(signal.SIGTERM)
        assert child.wait() == 128 + signal.SIGTERM, Path("stderr.txt").read_text()
        step = latest_step(run)
        assert f"stopped at step {step}" in Path("stderr.txt").read_text()
        assert not list(leftovers(run.path))
        child = job("train", "--resume", str(run.path))
    killed(child)


def wait_for_step(run: Run, step: int) -> int:
    """Wait until a checkpoint of that step or a later one is the latest; its step."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        path = run.pointed("latest")
        if path and (found := int(path.stem.removeprefix("step-"))) >= step:
            return found
        time.sleep(0.001)
    raise AssertionError(f"no step {step} in a minute: {Path('stderr.txt').read_text()}")
