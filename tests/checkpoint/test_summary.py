"""Summaries of runs: what they say, of whatever lies in a folder, and how little is read for them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Counters, to_bytes
from charrnn.checkpoint.store import RUNS, Run
from charrnn.checkpoint.summary import RunSummary, summaries
from charrnn.errors import CheckpointError
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

SHAPE = ModelConfig(cell="gru", layers=2, hidden_size=5, embedding_size=3)
CONFIG = RunConfig(TextConfig(corpus=("a.txt", "b.txt")), SHAPE)
COUNTERS = Counters(step=70, characters=9000, seconds=4.5, loss=1.5, best_loss=1.25, best_step=60, stale=1)
CHECKPOINT = replace(random_checkpoint(SHAPE, Vocabulary.of("abc", "character")), config=CONFIG, counters=COUNTERS)


def saved(name: str, root: Path = RUNS, *, content: bytes = to_bytes(CHECKPOINT), when: int = 1_700_000_000) -> Run:
    """A run with one checkpoint, saved at a time."""
    run = Run.create(name, root)
    run.save(content, 70, best=True)
    os.utime(run.path / "latest", (when, when))
    return run


def test_a_run_is_told_in_a_few_facts(folder: Path) -> None:
    run = saved("r")
    told = RunSummary(run.path, 1_700_000_000, "gru", 2, 5, ("a.txt", "b.txt"), 70, 1.25, 60, 2000.0)
    assert summaries() == [told]
    (run.path / "latest").unlink()  # as in the demo, which is a best checkpoint alone
    os.utime(run.path / "best", (5, 5))
    assert summaries() == [told._replace(when=5)]


def test_the_newest_run_comes_first(folder: Path) -> None:
    for name, when in (("a", 2000), ("b", 3000), ("d", 1000), ("c", 1000)):
        saved(name, when=when)
    assert [each.path.name for each in summaries()] == ["b", "a", "c", "d"]


def test_what_has_saved_nothing_is_listed_by_its_settings(folder: Path) -> None:
    Run.create("r").write_config(CONFIG.to_toml())
    (found,) = summaries()
    assert (found.cell, found.layers, found.text) == ("gru", 2, ("a.txt", "b.txt"))
    assert (found.step, found.best_loss, found.characters_per_second) == (None, None, None)


def test_a_training_without_validation_has_no_best_loss(folder: Path) -> None:
    saved("r", content=to_bytes(replace(CHECKPOINT, counters=Counters(step=3, characters=10, seconds=1.0))))
    assert (summaries()[0].step, summaries()[0].best_loss, summaries()[0].best_step) == (3, None, None)


def test_what_is_no_run_is_passed_over(folder: Path) -> None:
    assert summaries() == []
    saved("r")
    Run.create("empty")
    Path("checkpoints/README.md").write_text("a file")
    if hasattr(os, "mkfifo"):  # at which opening waits for ever
        Path("checkpoints/pipe").mkdir()
        os.mkfifo("checkpoints/pipe/latest")
    Path("checkpoints/notes").mkdir()
    Path("checkpoints/notes/model.safetensors").write_bytes(to_bytes(CHECKPOINT))
    assert [each.path.name for each in summaries()] == ["r"]
    with pytest.raises(CheckpointError, match=r"cannot read the folder checkpoints/README\.md"):
        summaries(Path("checkpoints/README.md"))


DAMAGED = {
    "empty": b"",
    "pickle": b"\x80\x02",
    "too long a header": (2**40).to_bytes(8, "little") + b"{}",
    "no metadata": (2).to_bytes(8, "little") + b"{}",
    "no JSON": b"\x21\0\0\0\0\0\0\0" + b'{"__metadata__":[[[[[[[[[[[[[[[[[',
    "cut": to_bytes(CHECKPOINT)[:100],
    "nested": b"\0\1\0\0\0\0\0\0" + b'{"__metadata__":' + b"[" * 100_000,
    "no JSON in the metadata": b"\x28\0\0\0\0\0\0\0" + b'{"__metadata__":{"model":"{","x":"12345"}}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_checkpoint_that_cannot_be_read_is_a_row_that_says_so(folder: Path, content: bytes) -> None:
    saved("bad", content=content)
    saved("good")
    good, bad = sorted(summaries(), key=lambda each: each.trouble or "")
    assert good.trouble is None
    assert bad.path.name == "bad"
    assert str(bad.trouble).startswith("cannot read the checkpoint checkpoints/bad/step-00000070.safetensors: ")


@pytest.mark.parametrize("pointer", ["nonsense", "step-00000071.safetensors"])
def test_so_is_a_pointer_to_nothing(folder: Path, pointer: str) -> None:
    (saved("r").path / "latest").write_text(pointer)
    assert pointer in str(summaries()[0].trouble)


def test_values_of_another_kind_are_not_taken(folder: Path) -> None:
    model = {"configuration": {"model": {"cell": 3, "layers": True, "hidden_size": "x"}, "text": {"corpus": [1, "a"]}}}
    training = {"counters": {"step": 1.5, "best_loss": "low", "characters": 3, "seconds": 0.0}}
    metadata = {"model": json.dumps(model), "training": json.dumps(training)}
    header = json.dumps({"__metadata__": metadata}, separators=(",", ":")).encode()
    saved("r", content=len(header).to_bytes(8, "little") + header)
    assert summaries() == [RunSummary(Path("checkpoints/r"), 1_700_000_000, text=("a",))]


def test_a_checkpoint_that_a_training_replaces_is_looked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = saved("r")
    ask = Run.pointed

    def pointed(run: Run, pointer: str) -> Path | None:
        """Name the checkpoint, which is then gone, as is seen the first time."""
        found = ask(run, pointer)
        if (old := run.path / "step-00000070.safetensors").exists():
            old.rename(run.path / "step-00000080.safetensors")
            (run.path / pointer).write_text("step-00000080.safetensors")
        return found

    monkeypatch.setattr(Run, "pointed", pointed)
    assert [each.trouble for each in summaries()] == [None]
    assert run.checkpoints() == [run.path / "step-00000080.safetensors"]


COUNTING = """
import sys
opened = []
sys.addaudithook(lambda event, of: opened.append(str(of[0])) if event == "open" else None)
sys.argv = ["charrnn", "runs", "--json"]
from charrnn.cli.app import main
try: main()
finally:
    heavy = {"torch", "numpy", "safetensors", "rich"} & set(sys.modules)
    try: read = open("/proc/self/io").read().split()[1]
    except OSError: read = 0
    print(sum("checkpoints" in each for each in opened), read, *heavy, file=sys.stderr)
"""


def test_of_a_thousand_runs_two_small_pieces_each_are_read(folder: Path) -> None:
    content, size = to_bytes(CHECKPOINT), 2**20
    Path("checkpoints").mkdir()
    for number in range(1000):
        path = Path("checkpoints", f"run-{number}")
        path.mkdir()
        (path / "latest").write_text("step-00000070.safetensors\n")
        with (path / "step-00000070.safetensors").open("wb") as file:
            file.write(content)
            file.truncate(size)  # the rest is a hole, so that the disk has room for all
    done = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, cwd=folder, check=True)
    opened, read, *heavy = done.stderr.split()
    assert len(done.stdout.splitlines()) == 1000
    assert json.loads(done.stdout.splitlines()[0])["best_loss"] == 1.25
    assert int(opened) == 2000
    assert int(read) < 1000 * 20_000 + 2**24  # of which a buffered reader takes 8,192 each, at least
    assert heavy == []
