"""`charrnn verify`: a run that comes out the same digit for digit, or the first thing that differs."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.checkpoint.store import find_resumable
from charrnn.events import Finished
from charrnn.training.loop import resume, train
from tests.cli.processes import TINY
from tests.conftest import Command, InProcess, tiny_run

RUN = Path("checkpoints/run")


def contents(run: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()}


def trained(text: Path, *, stop_at: int | None = None, **changes: object) -> Path:
    """A run named run, stopped after some steps."""
    asked = iter(range(1, 10**9))
    events = list(train(tiny_run(text, device="cpu", **changes), "run", lambda: next(asked) == stop_at))
    assert isinstance(events[-1], Finished)
    return RUN


def verified(in_process: InProcess, *more: str, code: int = 0) -> dict[str, object]:
    told: dict[str, object] = json.loads(in_process("verify", "run", "--json", "-q", *more, code=code)[0])
    return told


@pytest.mark.parametrize("documents", ["none", "line"])
def test_a_run_comes_out_the_same_and_stays_as_it_is(small_text: Path, in_process: InProcess, documents: str) -> None:
    before = contents(trained(small_text, documents=documents))
    told = verified(in_process)
    assert told["same"] is True
    assert told["step"] == 12
    assert told["losses_compared"] == 9  # six reports and three validations
    assert told["weights_same"] == {"8": True, "12": True}
    assert told["first_difference"] is None
    assert told["versions_differ"] == {}
    assert contents(RUN) == before
    assert [path.name for path in Path("checkpoints").iterdir()] == ["run"]


def test_lines_and_a_table_say_the_same(small_text: Path, in_process: InProcess) -> None:
    trained(small_text)
    lines, told = in_process("verify", "checkpoints/run")
    assert dict(line.split(" ", 1) for line in lines.splitlines()) == {
        "same": "yes",
        "step": "12",
        "losses_compared": "9",
        "first_difference": "none",
        "weights_same": "8 yes, 12 yes",
        "settings_edited": "none",
        "versions_differ": "none",
    }
    assert "validation_loss" in told
    assert "sample:" not in told


@pytest.mark.slow
def test_a_run_by_time_is_repeated_by_its_steps(small_text: Path, charrnn: Command) -> None:
    done = charrnn("train", "small.txt", *TINY, "--time", "3s", "--name", "run")
    assert done.returncode == 0, done.stderr
    told = charrnn("verify", "run", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["losses_compared"] >= 2


@pytest.mark.parametrize("stop_at", [4, 5])
def test_a_run_that_was_stopped_is_repeated_so_far(small_text: Path, in_process: InProcess, stop_at: int) -> None:
    trained(small_text, stop_at=stop_at)
    assert verified(in_process)["step"] == stop_at


def test_a_run_that_was_resumed_and_prolonged_is_repeated(small_text: Path, in_process: InProcess) -> None:
    trained(small_text, stop_at=5)
    list(resume(find_resumable("run"), {}))
    assert verified(in_process)["step"] == 12
    list(resume(find_resumable("run"), {"steps": 17}))
    told = verified(in_process)
    assert told["step"] == 17
    assert told["weights_same"] == {"16": True, "17": True} | {
        str(int(path.stem[5:])): True for path in RUN.glob("*.safetensors")
    }


def test_a_run_that_began_with_a_model_is_repeated_from_anywhere(
    folder: Path, small_text: Path, in_process: InProcess
) -> None:
    list(train(tiny_run(Path("small.txt"), device="cpu"), "first"))
    list(train(tiny_run(Path("small.txt"), from_model="checkpoints/first", device="cpu"), "run"))
    (folder / "elsewhere").mkdir()
    os.chdir(folder / "elsewhere")
    output, _ = in_process("verify", "../checkpoints/run", "--json")
    assert json.loads(output)["same"] is True
    assert list(Path().iterdir()) == []


def test_the_first_loss_that_differs_is_named(small_text: Path, in_process: InProcess) -> None:
    path = trained(small_text) / "metrics.jsonl"
    lines = path.read_text().splitlines()
    index = next(k for k, line in enumerate(lines) if '"step": 6' in line)
    record = json.loads(lines[index])
    lines[index] = json.dumps(record | {"loss": record["loss"] * (1 + 1e-15)})
    path.write_text("\n".join(lines) + "\n")
    told = verified(in_process, code=3)
    assert told["same"] is False
    first = told["first_difference"]
    assert isinstance(first, dict)
    assert (first["step"], first["kind"], first["repeated"]) == (6, "training", record["loss"])
    assert told["weights_same"] == {"8": True, "12": True}
    said = in_process("verify", "run", code=3)[1]
    assert re.search(r"does not repeat: the training loss at step 6 was [\d.]+, is [\d.]+\n", said)
    assert "the versions are the same; another processor may sum in another order" in said


def test_weights_that_differ_are_named_by_their_step_and_versions_told(small_text: Path, in_process: InProcess) -> None:
    path = trained(small_text) / "step-00000008.safetensors"
    changed = from_file(path, training=True)
    changed.model["head.bias"][0] += 1e-6
    path.write_bytes(to_bytes(changed))
    latest = RUN / "step-00000012.safetensors"
    original = from_file(latest, training=True)
    latest.write_bytes(to_bytes(replace(original, versions={**original.versions, "torch": "1.0", "extra": "x"})))
    told = verified(in_process, code=3)
    assert told["weights_same"] == {"8": False, "12": True}
    assert told["versions_differ"] == {"extra": ["x", None], "torch": ["1.0", original.versions["torch"]]}
    said = in_process("verify", "run", code=3)[1]
    assert "all losses are the same, but not the weights at step 8" in said
    assert f"other than then: extra x, now absent, torch 1.0, now {original.versions['torch']}" in said


def test_a_record_that_was_edited_is_told(small_text: Path, in_process: InProcess) -> None:
    record = trained(small_text) / "run.toml"
    record.write_text(record.read_text().replace("seed = 1", "seed = 2"))
    assert "run.toml was edited: it has another seed than the checkpoint" in in_process("verify", "run", code=3)[1]


def test_a_line_that_a_kill_cut_off_is_passed_over(small_text: Path, in_process: InProcess) -> None:
    path = trained(small_text) / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 13, "lo')
    assert verified(in_process)["same"] is True


def test_without_metrics_the_weights_are_compared(small_text: Path, in_process: InProcess) -> None:
    (trained(small_text) / "metrics.jsonl").unlink()
    told = verified(in_process)
    assert (told["losses_compared"], told["weights_same"]) == (0, {"12": True})


def test_what_cannot_be_repeated_is_refused(
    small_text: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "name a run" in in_process("verify", code=2)[1]
    assert "there is no run at none" in in_process("verify", "none", code=4)[1]
    run = trained(small_text, steps=3)
    latest = run / "step-00000003.safetensors"
    original, data = from_file(latest, training=True), latest.read_bytes()
    for extra, code, said in (("processes", 2, "trained by 2 processes"), ("gpu", 7, "has no GPU to repeat it on")):
        latest.write_bytes(to_bytes(replace(original, versions={**original.versions, extra: "2"})))
        assert said in in_process("verify", "run", code=code)[1]
    latest.write_bytes(data)
    text = small_text.read_bytes()
    small_text.write_bytes(text.replace(b"cat", b"act"))
    assert "has changed since the run was trained on it" in in_process("verify", "run", code=3)[1]
    list(resume(find_resumable("run"), {"steps": 4}, accept_new_corpus=True))
    assert "went on with another text at step 3" in in_process("verify", "run", code=3)[1]
    (run / "run.toml").write_text("x")
    (run / "text.json").unlink()
    assert "cannot read the record of the run" in in_process("verify", "run", code=4)[1]
    shutil.copytree(run, "checkpoints/new", ignore=shutil.ignore_patterns("latest", "best"))
    assert "is no run that has saved" in in_process("verify", "new", code=4)[1]
