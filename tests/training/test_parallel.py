"""One training by two processes: the same losses as by one, one set of files, and an end for all when one ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.distributed import Ranks
from charrnn.text.batches import IGNORED, Batch
from charrnn.training.loop import resume, train
from charrnn.training.parallel import own_batch, own_state
from charrnn.training.setup import prepare
from tests.conftest import Command, everything, tiny_run
from tests.prepared import prepared

SETTINGS: dict[str, object] = {
    "precision": "fp32",
    "batch_size": 5,
    "sequence_length": 16,
    "dropout": 0.0,
    "report_every": 1,
}
DOCUMENTS: dict[str, object] = {"documents": "line", "batch_size": 13}

# `charrnn` with a loss that is not a number at one call, and a signal to itself at another; 0 for neither.
_PROGRAM = """
import os, sys
not_finite, last, number, *sys.argv[1:] = sys.argv[1:]
import charrnn.training.learner as learner
real, calls = learner.F.cross_entropy, 0

def cross_entropy(*arguments, **options):
    global calls
    calls += 1
    if calls == int(last):
        os.kill(os.getpid(), int(number))
    return real(*arguments, **options) * (float("nan") if calls == int(not_finite) else 1)

learner.F.cross_entropy = cross_entropy
from charrnn.cli.app import main
main()
"""


def flags(corpus: Path, **changes: object) -> list[str]:
    """The options of `tiny_run`."""
    config = tiny_run(corpus, **changes)
    values = {**vars(config.model), **vars(config.training), "documents": config.text.documents}
    switches = {name: value for name, value in values.items() if value is not None and not isinstance(value, bool)}
    return [str(corpus), *(f"--{name.replace('_', '-')}={value}" for name, value in switches.items())]


def pair(
    arguments: Sequence[str], meeting: Path, *, not_finite: int = 0, last: int = 0, number: int = 0
) -> tuple[list[int], str]:
    """Two processes that train together, the second with what `_PROGRAM` adds; exit codes, and what the first said."""
    own = [
        {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        | {"CHARRNN_MEETING": str(meeting), "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0"}
        for rank in ("0", "1")
    ]
    odd = [str(int(value)) for value in (not_finite, last, number)]
    with (
        prepared().start(["train", *arguments], environment=own[0]) as zero,
        prepared().start([*odd, "train", *arguments], program=_PROGRAM, environment=own[1]) as one,
    ):
        told = [process.stderr.read().decode() for process in (zero, one) if process.stderr]
        codes = [process.wait(60) for process in (zero, one)]
    assert not told[1], told[1]
    return codes, told[0]


def through(events: object) -> None:
    for _ in events:  # type: ignore[attr-defined]
        pass


def latest(name: str) -> Checkpoint:
    path = Run(Path("checkpoints", name)).pointed("latest")
    assert path
    return from_file(path, training=True)


def lines(name: str) -> list[tuple[str, int, float]]:
    read = [json.loads(line) for line in Path("checkpoints", name, "metrics.jsonl").read_text().splitlines()]
    return [(line["split"], line["step"], line["loss"]) for line in read]


def assert_same_training(name: str, other: str) -> None:
    """Equal losses to within 1e-6 of each at every step, and weights, carried state and counters alike."""
    ours, theirs = lines(name), lines(other)
    assert [line[:2] for line in ours] == [line[:2] for line in theirs]
    assert [line[2] for line in ours] == pytest.approx([line[2] for line in theirs], rel=1e-6)
    mine, its = latest(name), latest(other)
    assert (mine.counters.step, mine.counters.characters) == (its.counters.step, its.counters.characters)
    assert mine.counters.best_step == its.counters.best_step
    for one, two in ((mine.model, its.model), (mine.training, its.training)):
        assert {key: array.shape for key, array in one.items()} == {key: array.shape for key, array in two.items()}
        for key in one.keys() - {"rng.cpu"}:
            assert np.allclose(one[key], two[key], rtol=1e-3, atol=1e-5), key


class Numbers(NamedTuple):
    """A state whose rows can be told apart."""

    h: torch.Tensor


shapes = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 12))


@given(shapes)
def test_every_row_of_a_batch_is_read_by_one_rank(shape: tuple[int, int, int]) -> None:
    rows, columns, count = shape
    ids = np.arange(rows * columns + 1)
    batch = Batch(ids, ids[:-1:columns], np.full(rows, columns), columns, "carry")
    state = (Numbers(torch.from_numpy(batch.offsets)),)
    parts = [own_batch(batch, Ranks(rank, count)) for rank in range(count)]
    scored = [part.targets[(part.targets != IGNORED).all(1)] for part in parts]
    assert np.concatenate(scored).tolist() == batch.targets.tolist()
    assert max(map(len, scored)) - min(map(len, scored)) <= 1
    for rank, part in enumerate(parts):
        assert (
            own_state(state, Ranks(rank, count))[0][0].tolist() == part.offsets.tolist()
        )  # the state of the same rows


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_run(small_text, **SETTINGS | DOCUMENTS)
    batches = prepare(config).batches()
    assert min(len(batches.batch(step).inputs) for step in range(12)) == 1  # so that a rank has nothing to do
    through(train(config, "one"))
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].partition(os.pathsep)[2])  # torchrun opens a port
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "charrnn"]
    arguments = ["train", *flags(small_text, **SETTINGS | DOCUMENTS), "--name=two"]
    done = subprocess.run([*torchrun, *arguments], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(b"finished at step 12") == 1  # rank 0 alone reports
    assert done.stdout == b""
    assert_same_training("two", "one")


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(small_text: Path, charrnn: Command) -> None:
    """From one to two, over the end of an epoch, where states move down a row; and from two to one."""
    config = tiny_run(small_text, **SETTINGS)
    assert 5 < prepare(config).batches().steps_per_epoch < 12
    through(train(config, "whole"))
    asked = iter(range(12))
    through(train(config, "stopped", lambda: next(asked) == 4))
    assert latest("stopped").counters.step == 5
    done = charrnn("train", "--resume", "checkpoints/stopped", "--nproc", "2")
    assert done.returncode == 0, done.stderr
    assert_same_training("stopped", "whole")


@pytest.mark.slow
def test_when_one_is_killed_the_others_end_and_what_was_saved_is_good(small_text: Path, folder: Path) -> None:
    arguments = [*flags(small_text, **SETTINGS), "--name=killed"]
    codes, told = pair(arguments, folder / "meeting", last=10, number=signal.SIGKILL)
    assert codes == [7, -signal.SIGKILL]
    assert told.count("another process of this training has ended") == 1
    assert latest("killed").counters.step == 8
    through(resume(find_resumable("checkpoints/killed"), {}))
    through(train(tiny_run(small_text, **SETTINGS), "whole"))
    assert_same_training("killed", "whole")


@pytest.mark.slow
def test_a_signal_to_one_stops_all_at_one_step_from_which_they_go_on_exactly(
    small_text: Path, folder: Path, charrnn: Command
) -> None:
    """With dropout, of which each has its own, and a step that is skipped by both as one of them has no finite loss."""
    arguments = flags(small_text, **SETTINGS | {"dropout": 0.3})
    codes, told = pair([*arguments, "--name=whole"], folder / "first", not_finite=3)
    assert codes == [0, 0], told
    assert [step for split, step, _ in lines("whole") if split == "skipped"] == [3]
    codes, told = pair([*arguments, "--name=stopped"], folder / "second", not_finite=3, last=6, number=signal.SIGTERM)
    assert codes == [0, 128 + signal.SIGTERM]
    assert "stopped at step 6 " in told
    assert [path.name for path in Run(Path("checkpoints/stopped")).checkpoints()] == [
        "step-00000004.safetensors",
        "step-00000006.safetensors",
    ]
    done = charrnn("train", "--resume", "checkpoints/stopped", "--nproc", "2")
    assert done.returncode == 0, done.stderr
    assert everything(Path("checkpoints/stopped"))[:4] == everything(Path("checkpoints/whole"))[:4]
    assert [line for line in lines("stopped") if line[0] != "skipped"] == [
        line for line in lines("whole") if line[0] != "skipped"
    ]
