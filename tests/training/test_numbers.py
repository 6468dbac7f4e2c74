"""Numbers that are none are skipped, too many of them and lack of memory end a run, and what was saved is good."""

import json
import math
import re
import sys
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.cli import app
from charrnn.errors import DivergedError, ResourceError
from charrnn.evaluation.scoring import ScoreSums, score
from charrnn.events import Finished, Reported, Saved, Skipped
from charrnn.recurrent.equations import HiddenAndCell
from charrnn.recurrent.registry import CORES
from charrnn.recurrent.stack import StackState
from charrnn.settings.run import RunConfig
from charrnn.training import loop
from charrnn.training.learner import Learner, begin_anew_where_not_finite
from charrnn.training.loss_monitor import MOST_SKIPPED_IN_A_ROW
from charrnn.training.schedule import learning_rate
from charrnn.training.setup import prepare
from tests.conftest import Command, digest, everything, tiny_run
from tests.prepared import prepared

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
        if not self.found_inf:  # type: ignore[attr-defined]
            taken.append(len(taken) + 1)
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    return taken


class Spoiled:
    """Makes a number not finite at chosen steps: the loss, one of a gradient, or one of the carried state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: Container[int] = ()
        self.place, self.number = "loss", math.nan
        self._step = 0
        self._cross_entropy, self._clip = torch.nn.functional.cross_entropy, torch.nn.utils.clip_grad_norm_
        enter = Learner._enter
        monkeypatch.setattr(loop, "learning_rate", self.learning_rate)
        monkeypatch.setattr(torch.nn.functional, "cross_entropy", self.cross_entropy)
        monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", self.clip_grad_norm_)
        monkeypatch.setattr(Learner, "_enter", lambda learner, batch: self.enter(enter(learner, batch)))

    def _is_due(self, place: str) -> bool:
        return place == self.place and self._step in self.steps

    def learning_rate(self, step: int, *arguments: Any) -> float:
        self._step = step + 1
        return learning_rate(step, *arguments)

    def enter(self, state: StackState) -> StackState:
        if self._is_due("state"):
            state[0].h[-1, 0] = self.number
        return state

    def cross_entropy(self, *arguments: Any, **options: Any) -> torch.Tensor:
        loss: torch.Tensor = self._cross_entropy(*arguments, **options)
        return loss * self.number if self._is_due("loss") and torch.is_grad_enabled() else loss

    def clip_grad_norm_(self, parameters: Iterator[torch.nn.Parameter], limit: float) -> torch.Tensor:
        own = list(parameters)
        if self._is_due("gradient"):
            gradient = own[-1].grad
            assert gradient is not None
            gradient[0] = self.number
        return self._clip(own, limit)


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch) -> Spoiled:
    return Spoiled(monkeypatch)


def metrics() -> list[dict[str, Any]]:
    return [strictly(line) for line in (RUN.path / "metrics.jsonl").read_bytes().splitlines()]


def divergence() -> dict[str, Any]:
    return strictly((RUN.path / "diverged.json").read_bytes())


def strictly(text: bytes) -> dict[str, Any]:
    def refuse(number: str) -> None:
        raise AssertionError(f"{number} is not JSON")

    read: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return read


PLACES = [
    ("loss", math.nan, 1),
    ("loss", -math.inf, 5),
    ("gradient", math.nan, 5),
    ("gradient", math.inf, 1),
    ("state", math.nan, 5),
]


@pytest.mark.parametrize(
    ("documents", "optimizer"),
    [
        ("none", "adamw"),
        pytest.param("line", "adamw", marks=pytest.mark.slow),
        pytest.param("none", "muon", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("place", "number", "step"), PLACES)
def test_a_step_that_is_not_finite_is_skipped_whole(
    small_text: Path, spoiled: Spoiled, place: str, number: float, step: int, documents: str, optimizer: str
) -> None:
    spoiled.place, spoiled.number, spoiled.steps = place, number, {step}
    shape = {"documents": documents, "batch_size": 4, "optimizer": optimizer}
    config = tiny_run(small_text, **shape, steps=7, validate_every=1, report_every=1)
    saved: dict[int, tuple[str, str, float]] = {}
    events = []
    for event in loop.train(config):
        events.append(event)
        if isinstance(event, Saved):
            checkpoint = from_file(event.path, training=True)  # which reads finite numbers only
            moments = {name: array for name, array in checkpoint.training.items() if name.startswith("optimizer.")}
            taken = float(moments["optimizer.head.bias.step"])
            assert ("optimizer.stack.layers.0.U.momentum" in moments) == (optimizer == "muon")
            assert checkpoint.counters.skipped == (event.step >= step)
            assert checkpoint.counters.skipped_in_a_row == (event.step == step)
            saved[event.step] = digest(checkpoint.model), digest(moments), taken
            if event.step > 1:
                assert (saved[event.step] == saved[event.step - 1]) == (event.step == step)
    assert saved[7][-1] == 6
    (skipped,) = (event for event in events if isinstance(event, Skipped))
    assert (skipped.step, skipped.skipped, skipped.skipped_in_a_row) == (step, 1, 1)
    reported = [event for event in events if isinstance(event, Reported)]
    assert [event.step for event in reported] == [each for each in range(1, 8) if each != step]
    assert all(math.isfinite(event.loss) and math.isfinite(event.gradient_norm) for event in reported)
    assert [line["step"] for line in metrics() if line["split"] == "skipped"] == [step]
    assert isinstance(events[-1], Finished)
    assert events[-1].skipped == 1
    assert not (RUN.path / "diverged.json").exists()


def test_a_report_is_of_the_steps_that_were_taken(small_text: Path, spoiled: Spoiled) -> None:
    """A loss that was not finite neither enters a mean nor thins it."""
    spoiled.steps = {5}
    run_through(tiny_run(small_text, validate_every=12, report_every=1))
    losses = {line["step"]: line["loss"] for line in metrics() if line["split"] == "training"}
    assert losses.keys() == set(range(1, 13)) - {5}
    events = list(loop.train(tiny_run(small_text, validate_every=12, report_every=3)))
    (report,) = (event for event in events if isinstance(event, Reported) and event.step == 6)
    assert report.loss == pytest.approx((losses[4] + losses[6]) / 2, rel=1e-6)


def test_the_random_state_goes_on_over_a_skipped_step(small_text: Path, spoiled: Spoiled) -> None:
    """Or else a run that skips would drop out the same units twice."""

    def random_state(steps: Container[int]) -> bytes:
        spoiled.steps = steps
        (*_, finished) = loop.train(tiny_run(small_text, steps=6))
        assert isinstance(finished, Finished)
        path = Run(finished.run).pointed("latest")
        assert path is not None
        return from_file(path, training=True).training["rng.cpu"].tobytes()

    assert random_state({3, 6}) == random_state(())


def test_only_the_rows_that_are_not_finite_begin_anew() -> None:
    state = tuple(HiddenAndCell(torch.rand(4, 3) + 1, torch.rand(4, 3) + 1) for _ in range(2))
    state[0].h[1, 2], state[1].c[2, 0] = math.nan, -math.inf
    mended = begin_anew_where_not_finite(state)
    for before, after in zip(state, mended, strict=True):
        assert isinstance(after, HiddenAndCell)
        for part, new in zip(before, after, strict=True):
            assert new[[1, 2]].eq(0).all()
            assert new[[0, 3]].equal(part[[0, 3]])


@pytest.mark.slow
@pytest.mark.parametrize("documents", ["none", "line"])
@pytest.mark.parametrize("place", ["loss", "state"])
def test_a_run_with_skips_that_is_stopped_and_resumed_is_the_uninterrupted_one(
    small_text: Path, spoiled: Spoiled, place: str, documents: str
) -> None:
    spoiled.place, spoiled.steps = place, {1, 4, 5, 6, 9, 12}
    config = tiny_run(small_text, documents=documents, batch_size=4)

    def outcome(run: Path) -> tuple[object, ...]:
        *bits, lines = everything(run)
        path = Run(run).pointed("latest")
        assert path is not None
        counters = from_file(path, training=True).counters
        assert isinstance(lines, list)
        same = [line for line in lines if line["split"] != "training"]  # of which a stop adds one
        return *bits, same, counters.characters, counters.skipped, counters.skipped_in_a_row

    for _ in loop.train(config, "whole"):
        pass
    whole = outcome(Path("checkpoints/whole"))
    assert whole[-2:] == (6, 1)
    for step in (1, 4, 5, 6, 7, 9):
        asked = iter(range(1, 10**9))
        for _ in loop.train(config, f"stopped-{step}", lambda asked=asked, step=step: next(asked) >= step):  # type: ignore[misc]
            pass
        run = Path(f"checkpoints/stopped-{step}")
        for _ in loop.resume(find_resumable(str(run)), {}):
            pass
        assert outcome(run) == whole


def test_five_skips_in_a_row_are_the_end_and_four_are_not(
    small_text: Path, spoiled: Spoiled, steps_taken: list[int]
) -> None:
    spoiled.steps = {2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 16}
    with pytest.raises(DivergedError) as caught:
        run_through(tiny_run(small_text, steps=20, learning_rate=0.0123, warmup_steps=0))
    assert len(steps_taken) == 3  # the steps 1, 6 and 11
    message = str(caught.value)
    assert message.startswith(f"the training diverged at step 16: {MOST_SKIPPED_IN_A_ROW} steps in a row ")
    assert len(message.splitlines()) == 3
    assert f"{RUN.path / 'step-00000012.safetensors'} is from before" in message
    assert message.index("lower learning_rate (it was 0.0123)") < message.index("lower gradient_clip (it was 1)")
    assert saved_step() == 12
    left = divergence()
    assert (left["step"], left["loss"], left["gradient_norm"]) == (16, "nan", "nan")
    assert (left["skipped"], left["skipped_in_a_row"]) == (13, 5)
    assert left["checkpoint"] == "step-00000012.safetensors"
    assert [each["step"] for each in left["last_steps"]] == list(range(1, 17))
    assert [each["loss"] == "nan" for each in left["last_steps"]] == [each in spoiled.steps for each in range(1, 17)]
    assert left["learning_rate"] == left["last_steps"][-1]["learning_rate"] < 0.0123
    assert left["configuration"]["training"]["learning_rate"] == 0.0123
    assert [line["step"] for line in metrics() if line["split"] == "skipped"] == sorted(spoiled.steps)


def test_without_a_checkpoint_it_says_so(small_text: Path, spoiled: Spoiled) -> None:
    spoiled.steps = range(1, 100)
    with pytest.raises(DivergedError, match="nothing had been saved yet"):
        run_through(tiny_run(small_text, validate_every=6))
    assert RUN.checkpoints() == []
    assert divergence()["checkpoint"] is None


@pytest.mark.parametrize("documents", ["none", "line"])
def test_a_divergence_can_be_replayed(small_text: Path, spoiled: Spoiled, documents: str) -> None:
    """From what was left of it, and from the checkpoint: the same batches at the same rates, to the same end."""
    spoiled.place, spoiled.steps = "gradient", range(11, 100)
    with pytest.raises(DivergedError):
        run_through(tiny_run(small_text, documents=documents, batch_size=4, steps=30))
    left = divergence()
    per_epoch = prepare(tiny_run(small_text, documents=documents, batch_size=4)).batches().steps_per_epoch
    assert left["epoch"] * per_epoch + left["batch_of_epoch"] == left["step"] - 1 == 14
    with pytest.raises(DivergedError):
        for _ in loop.train(RunConfig.from_mapping(left["configuration"], "diverged.json"), "again"):
            pass
    again = strictly(Path("checkpoints/again/diverged.json").read_bytes())
    assert again == left
    with pytest.raises(DivergedError):  # though three of the five had been skipped when it was saved
        for _ in loop.resume(find_resumable(str(RUN.path)), {}):
            pass
    resumed = divergence()
    assert resumed["last_steps"] == left["last_steps"][12:]
    assert {**resumed, "last_steps": left["last_steps"]} == left


def test_what_is_told_of_a_divergence_goes_once_a_training_gets_past_it(small_text: Path, spoiled: Spoiled) -> None:
    spoiled.steps = range(6, 100)
    with pytest.raises(DivergedError):
        run_through(tiny_run(small_text, steps=20))
    assert divergence()["step"] == 10
    spoiled.steps = ()
    told = {}
    for event in loop.resume(find_resumable(str(RUN.path)), {}):
        if isinstance(event, Saved):
            told[event.step] = (RUN.path / "diverged.json").exists()
    assert told == {12: False, 16: False, 20: False}


def test_it_stays_while_a_training_is_not_past_it(folder: Path) -> None:
    run = Run.create("small-gru")
    run.write_divergence({"step": 7})
    run.save(b"", 6, best=False)
    assert divergence()["step"] == 7
    run.save(b"", 7, best=False)
    assert not (run.path / "diverged.json").exists()
    (run.path / "diverged.json").write_text("[")  # not ours, and no reason to stop
    run.save(b"", 8, best=False)
    assert (run.path / "diverged.json").exists()


def test_what_a_kill_leaves_of_it_is_removed(folder: Path) -> None:
    run = Run.create("small-gru")
    torn = run.path / ".diverged.json.0123456789abcdef.tmp"
    torn.write_text('{"step": 7')
    with run.locked():
        assert not torn.exists()


def test_a_divergence_is_told_though_it_cannot_be_written_down(
    small_text: Path, spoiled: Spoiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise ResourceError("cannot write diverged.json: the disk is full")

    monkeypatch.setattr(Run, "write_divergence", full)
    spoiled.steps = range(6, 100)
    with pytest.raises(DivergedError, match=r"step-00000008\.safetensors is from before; .*the disk is full") as caught:
        run_through(tiny_run(small_text))
    assert str(caught.value).count("\n") == 2


@pytest.mark.parametrize("bad", ["weights", "moments", "validation"])
def test_nothing_that_is_not_finite_is_saved(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, steps_taken: list[int], bad: str
) -> None:
    if bad == "validation":

        def scored(*arguments: Any, **along: Any) -> ScoreSums:
            found = score(*arguments, **along)
            return found._replace(nats=math.nan) if len(steps_taken) == 8 else found

        monkeypatch.setattr(loop, "score", scored)
        expected = "the validation loss is nan"
    else:
        real = torch.optim.AdamW.step

        def step(self: torch.optim.AdamW, *arguments: Any) -> object:
            done = real(self, *arguments)
            if len(steps_taken) == 8:  # a step at which to save
                weight = self.param_groups[0]["params"][0]
                (weight if bad == "weights" else self.state[weight]["exp_avg_sq"]).data[0] = math.inf
            return done

        monkeypatch.setattr(torch.optim.AdamW, "step", step)
        expected = r"the loss was \d\S+, but \S+ is no longer finite"
    with pytest.raises(DivergedError, match=f"diverged at step 8: {expected}"):
        run_through(tiny_run(small_text))
    assert saved_step() == 4
    assert divergence()["step"] == 8


def test_skips_are_told_by_the_command(
    small_text: Path, spoiled: Spoiled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled.steps = {2, 5, 7}
    tiny = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")
    monkeypatch.setattr(sys, "argv", ["charrnn", "train", "small.txt", *tiny, "--steps", "9"])
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert not caught.value.code
    told = capsys.readouterr().err
    assert re.findall(r"step (\d) skipped: a loss of nan", told) == ["2", "5"]  # of many, fewer and fewer are told
    assert "3 steps skipped, whose loss or gradient was not finite" in told


@pytest.mark.slow
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
@pytest.mark.parametrize("documents", ["none", "line"])
def test_a_divergence_is_told_by_the_command(small_text: Path, charrnn: Command, documents: str) -> None:
    tiny = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")
    absurd = ("--learning-rate", "10", "--weight-decay", "10", "--warmup-steps", "0", "--validate-every", "1")
    done = charrnn("train", "small.txt", *tiny, *absurd, "--documents", documents, "--steps", "500")
    assert done.returncode == 6, done.stderr
    told = done.stderr.decode().partition("charrnn: the training diverged at step ")[2]
    assert len(told.splitlines()) == 3
    assert told.index("--learning-rate (it was 10)") < told.index("--gradient-clip (it was 1)")
    left = divergence()
    assert told.startswith(f"{left['step']}: ")
    assert left["checkpoint"] == f"step-{saved_step():08d}.safetensors"
    assert [each["step"] for each in left["last_steps"]][-1] == left["step"] > saved_step()
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
from charrnn.cli.app import main
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and a limit of memory is not kept everywhere")
def test_a_real_limit_of_memory(small_text: Path) -> None:
    arguments = ["train", "small.txt", "--hidden-size", "20000", "--layers", "1", "--steps", "3", "--device", "cpu"]
    done = prepared().run(arguments, program=SHORT_OF_MEMORY)
    assert done.returncode == 7, done.stderr
    assert b"out of memory: " in done.stderr
    assert b"Traceback" not in done.stderr
