"""Texts larger than memory should hold, in processes of their own: how much memory they take, and what harms them."""

import os
import re
from pathlib import Path

import pytest

from tests.benchmarks.peak_memory import run_measured
from tests.cli.processes import TINY, command_at, shell_code
from tests.conftest import Command
from tests.prepared import PROGRAM, prepared

MEGABYTE = 10**6
LARGE = 17 * MEGABYTE  # more than is encoded in memory
LINE = "the cat sat on the mat, 한국어 문장 {:08d}\n"

# A few steps of training.
MEASURED = """
import sys
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.training.loop import train
settings = dict(arg.split("=") for arg in sys.argv[2:])
config = RunConfig(
    text=TextConfig(corpus=(sys.argv[1],), validation=1e-5, **settings),
    model=ModelConfig(layers=1, hidden_size=8, dropout=0.0),
    training=TrainingConfig(steps=20, batch_size=64, sequence_length=16, device="cpu"),
)
for event in train(config):
    pass
"""


def write_text(path: Path, size: int) -> Path:
    """A text of about `size` bytes, whose lines are all different."""
    block = "".join(LINE.format(k) for k in range(20_000)).encode()
    with path.open("wb") as file:
        for count in range(max(size // len(block), 1)):
            file.write(b"%d\n" % count + block[: size - 10])
    return path


def peak(path: Path, *settings: str) -> int:
    """The most memory that the training takes, in bytes."""
    return run_measured(MEASURED, str(path), *settings, capture_output=True, timeout=200)[1]


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # what is so small is slower with more
    return folder / "cache"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no way here to tell the memory of a process")
def test_a_large_text_takes_no_more_memory_than_a_small_one(folder: Path, cache: Path) -> None:
    least = peak(write_text(folder / "small.txt", 20_000))
    large = write_text(folder / "large.txt", 200 * MEGABYTE)
    encoding, again = peak(large), peak(large)
    assert encoding - least < 64 * MEGABYTE
    assert again - least < 64 * MEGABYTE
    assert len(list(cache.iterdir())) == 1


TRAIN = ("train", "large.txt", *TINY, "--steps", "40", "--validation", "0.0001", "--seed", "1")


def losses(folder: Path, name: str) -> list[str]:
    return re.findall(r'"loss": ([^,]+)', (folder / "checkpoints" / name / "metrics.jsonl").read_text())


def truncate(path: Path) -> None:
    os.truncate(path, 5)


def replace(path: Path) -> None:
    write_text(path.with_name("other.txt"), 1000).replace(path)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals, and files that are changed while they are read")
def test_a_large_source_that_changes_in_a_training_has_no_effect(folder: Path, cache: Path, charrnn: Command) -> None:
    path = write_text(folder / "large.txt", LARGE)
    every = ("--report-every", "10", "--name")
    done = charrnn(*TRAIN, *every, "undisturbed")
    assert done.returncode == 0, done.stderr
    assert b"which can be deleted" in done.stderr
    for name, change in (("truncated", truncate), ("replaced", replace)):
        with command_at("charrnn.training.loop.learning_rate", 3, (*TRAIN, *every, name), folder) as process:
            change(path)
            assert shell_code(process) == 0
        assert losses(folder, name) == losses(folder, "undisturbed")
        write_text(path, LARGE)
    assert len(losses(folder, "undisturbed")) == 5


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits of file sizes")
def test_no_room_on_the_disk_ends_the_command_and_leaves_nothing(folder: Path, cache: Path) -> None:
    write_text(folder / "large.txt", LARGE)

    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({LARGE // 4}, {LARGE // 4}))\n"
    done = prepared().run(TRAIN, program=limited + PROGRAM)
    said = done.stderr.decode()
    assert done.returncode == 7, said
    assert "cannot write cache, where large texts are kept: File too large" in said
    assert "make room for twice the size of the text, or name another folder by CHARRNN_CACHE" in said
    assert list(cache.iterdir()) == []
    assert not (folder / "checkpoints").exists()
