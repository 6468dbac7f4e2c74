"""Numbers that are none, and memory that is not there: the run stops before the damage, and what was saved is good."""

import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.cli import app
from charrnn.config import RunConfig
from charrnn.errors import DivergedError
from charrnn.evaluation.scoring import Score, score
from charrnn.recurrent.registry import CORES
from charrnn.training import loop
from charrnn.training.schedule import learning_rate
from tests.conftest import Command, tiny_run

RUN = Run(Path("checkpoints/small-gru"))
SAVED_EVERY = 4


def saved_step() -> int:
    """The step of the latest checkpoint, which has been read whole and found finite."""
    path = RUN.pointed("latest")
    assert path is not None
    checkpoint = from_file(path, training=True)
    for arrays in (checkpoint.model, checkpoint.training):
        assert all(np.isfinite(array).all() for array in arrays.values())
    return checkpoint.counters.step


def run_through(config: RunConfig) -> None:
    for _ in loop.train(config):
        pass


@pytest.fixture
def steps_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the steps that the optimiser took."""
    taken: list[int] = []
    real = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *arguments: Any) -> object:
        taken.append(len(taken) + 1)
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return taken


@pytest.mark.parametrize("step", [1, 4, 5, 11])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["loss", "gradients"])
def test_no_step_is_taken_with_a_loss_or_gradients_that_are_not_finite(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, steps_taken: list[int], place: str, number: float, step: int
) -> None:
    if place == "loss":
        cross_entropy = torch.nn.functional.cross_entropy

        def spoiled(*arguments: Any, **options: Any) -> torch.Tensor:
            loss: torch.Tensor = cross_entropy(*arguments, **options)
            return loss + (number if len(steps_taken) == step - 1 else 0.0)

        monkeypatch.setattr(torch.nn.functional, "cross_entropy", spoiled)
    else:
        clip = torch.nn.utils.clip_grad_norm_

        def spoiling(parameters: Iterator[torch.nn.Parameter], limit: float) -> torch.Tensor:
            own = list(parameters)
            if len(steps_taken) == step - 1:
                gradient = own[-1].grad
                assert gradient is not None
                gradient[0] = number
            return clip(own, limit)

        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spoiling)
    with pytest.raises(DivergedError) as caught:
        run_through(tiny_run(small_text, validation=0.0, learning_rate=0.0123, warmup_steps=0))
    assert steps_taken == list(range(1, step))
    message = str(caught.value)
    assert message.startswith(f"the training diverged at step {step}: the loss is ")
    assert re.search(r"the gradient norm \S+, at a learning rate of 0\.0\d+\n", message)
    assert "lower --learning-rate" in message
    if step > SAVED_EVERY:
        saved = (step - 1) // SAVED_EVERY * SAVED_EVERY
        assert f"step-{saved:08d}.safetensors is from before" in message
        assert saved_step() == saved
    else:
        assert "nothing had been saved yet" in message
        assert RUN.checkpoints() == []


@pytest.mark.parametrize("spoiled", ["weights", "validation"])
def test_nothing_that_is_not_finite_is_saved(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, steps_taken: list[int], spoiled: str
) -> None:
    if spoiled == "weights":
        real = torch.optim.AdamW.step

        def step(self: torch.optim.AdamW, *arguments: Any) -> object:
            done = real(self, *arguments)
            if len(steps_taken) == 8:  # a step at which to save
                self.param_groups[0]["params"][0].data[0] = math.inf
            return done

        monkeypatch.setattr(torch.optim.AdamW, "step", step)
        expected = "weights are no longer finite"
    else:

        def scored(*arguments: Any) -> Score:
            found = score(*arguments)
            return found._replace(nats=math.nan) if len(steps_taken) == 8 else found

        monkeypatch.setattr(loop, "score", scored)
        expected = "the validation loss is nan"
    with pytest.raises(DivergedError, match=f"diverged at step 8: .*{expected}"):
        run_through(tiny_run(small_text))
    assert saved_step() == 4


@pytest.mark.parametrize("validation", [0.0, 0.1])
@pytest.mark.parametrize("cell", CORES)
def test_absurd_settings_end_in_a_model_or_in_a_word_about_it(small_text: Path, cell: str, validation: float) -> None:
    """Learning rates and decays at the end of their ranges: whatever becomes of it, no bug and no bad checkpoint."""
    config = tiny_run(small_text, cell=cell, validation=validation, learning_rate=10.0, weight_decay=10.0, steps=120)
    diverged = False
    try:
        run_through(config)
    except DivergedError:
        diverged = True
    (run,) = Path("checkpoints").iterdir()
    path = Run(run).pointed("latest")
    if path is not None:
        from_file(path, training=True)
    assert diverged or path is not None


@pytest.mark.slow
def test_a_divergence_is_told_by_the_command(small_text: Path, charrnn: Command) -> None:
    tiny = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")
    absurd = ("--learning-rate", "10", "--weight-decay", "10", "--warmup-steps", "0", "--validate-every", "1")
    done = charrnn("train", "small.txt", *tiny, *absurd, "--steps", "500")
    assert done.returncode == 6, done.stderr
    assert b"lower --learning-rate" in done.stderr
    assert b"Traceback" not in done.stderr
    assert f"diverged at step {saved_step() + 1}:".encode() in done.stderr
    assert charrnn("sample", "-n", "5").returncode == 0


def numpy_allocates() -> None:
    np.empty(2**60, np.float32)


def cpu_allocates() -> None:
    torch.empty(2**50)


def gpu_allocates() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB.")


def python_allocates() -> None:
    raise MemoryError


def cpp_allocates() -> None:
    raise RuntimeError("std::bad_alloc")


ALLOCATORS = [numpy_allocates, cpu_allocates, gpu_allocates, python_allocates, cpp_allocates]


@pytest.mark.parametrize("allocate", ALLOCATORS)
def test_memory_that_is_not_there_is_told_with_what_to_lower(
    small_text: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps_taken: list[int],
    capsys: pytest.CaptureFixture[str],
    allocate: Callable[[], None],
) -> None:
    def without_memory(*arguments: Any) -> float:
        if len(steps_taken) == 6:
            allocate()
        return learning_rate(*arguments)

    monkeypatch.setattr(loop, "learning_rate", without_memory)
    tiny = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")
    command = ["charrnn", "train", "small.txt", *tiny, "--steps", "9", "--validate-every", "4"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 7
    told = capsys.readouterr().err.partition("charrnn: out of memory")[2]
    places = [told.index(option) for option in ("--batch-size", "--sequence-length", "--hidden-size")]
    assert places == sorted(places)
    assert told.count("\n") <= 3
    assert saved_step() == 4


SHORT_OF_MEMORY = """
import re, resource, sys
from pathlib import Path
import charrnn.training.loop
from charrnn.cli.app import main
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.argv[0] = "charrnn"
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and a limit of memory is not kept everywhere")
def test_a_real_limit_of_memory(small_text: Path) -> None:
    arguments = ["train", "small.txt", "--hidden-size", "20000", "--layers", "1", "--steps", "3", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY, *arguments], capture_output=True)
    assert done.returncode == 7, done.stderr
    assert b"out of memory: " in done.stderr
    assert b"Traceback" not in done.stderr
