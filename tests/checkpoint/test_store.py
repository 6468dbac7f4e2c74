"""Run folders and their files: nothing overwritten, nothing half written, and the right model found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint import store
from charrnn.checkpoint.store import Run, find_model, find_resumable, newest_run
from charrnn.errors import BusyError, CheckpointError, ResourceError, UsageError


def test_a_taken_name_is_never_used_again(folder: Path) -> None:
    names = [Run.create("hamlet-gru").path.name for _ in range(3)]
    assert names == ["hamlet-gru", "hamlet-gru-2", "hamlet-gru-3"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/tmp", ".hidden", "a\nb", "a\x1b[31m"])
def test_a_name_is_a_plain_folder_name(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name must"):
        Run.create(name)


def test_a_file_in_the_way_of_the_runs(folder: Path) -> None:
    Path("checkpoints").write_text("in the way")
    with pytest.raises(ResourceError, match="in the way"):
        Run.create("a")


def test_the_last_two_checkpoints_and_the_best_are_kept(folder: Path) -> None:
    run = Run.create("r")
    for step in (10, 20, 30, 40, 50):
        run.save(b"%d" % step, step, best=step == 20)
    assert [path.name for path in run.checkpoints()] == [f"step-{step:08d}.safetensors" for step in (20, 40, 50)]
    assert run.pointed("latest") == run.checkpoints()[-1]
    assert run.pointed("best") == run.checkpoints()[0]


def test_steps_beyond_eight_digits_are_in_order(folder: Path) -> None:
    run = Run.create("r")
    for step in (99_999_999, 100_000_000, 100_000_001):
        run.save(b"", step, best=False)
    assert [path.name for path in run.checkpoints()] == ["step-100000000.safetensors", "step-100000001.safetensors"]


@pytest.mark.parametrize("content", ["", "../other/step-00000001.safetensors", "/etc/passwd", "step-1.pt"])
def test_a_pointer_names_a_checkpoint_of_its_run(folder: Path, content: str) -> None:
    run = Run.create("r")
    (run.path / "latest").write_text(content)
    with pytest.raises(CheckpointError, match="does not name a checkpoint"):
        run.pointed("latest")


def test_the_newest_run_is_the_one_that_saved_last(folder: Path) -> None:
    assert newest_run() is None
    older, newer, empty = (Run.create(name) for name in "abc")
    for run, seconds in ((older, 1000), (newer, 2000)):
        run.save(b"", 1, best=False)
        os.utime(run.path / "latest", (seconds, seconds))
    assert newest_run().path == newer.path  # type: ignore[union-attr]
    assert empty.pointed("latest") is None


def test_which_model_is_meant(folder: Path) -> None:
    assert find_model(None).path.parent.name == "demo"
    run = Run.create("r")
    run.save(b"", 1, best=False)
    assert find_model(None).path == run.pointed("latest")
    run.save(b"", 2, best=True)
    run.save(b"", 3, best=False)
    assert find_model(None).path == find_model("checkpoints/r").path == run.pointed("best")
    assert find_model("some/file").path == Path("some/file")
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        find_model(str(folder))


def test_which_checkpoint_is_resumed(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no run in \./checkpoints"):
        find_resumable("newest")
    with pytest.raises(CheckpointError, match="no run and no checkpoint at some/file"):
        find_resumable("some/file")
    run = Run.create("r")
    Path("model.safetensors").touch()
    for no_run in ("checkpoints/r", "model.safetensors"):
        with pytest.raises(CheckpointError, match="no `latest`"):
            find_resumable(no_run)
    run.save(b"", 1, best=True)
    run.save(b"", 2, best=False)
    for where in ("newest", "checkpoints/r"):
        found = find_resumable(where)
        assert (found.run.path, found.checkpoint) == (run.path, None)
    older = str(run.checkpoints()[0])
    assert find_resumable(older).checkpoint == run.checkpoints()[0]
    assert find_resumable(older).run.path == run.path


def test_records_after_a_step_are_dropped_and_a_torn_line_too(folder: Path) -> None:
    run = Run.create("r")
    run.truncate_records(3)
    for step in range(6):
        run.append_metrics({"step": step})
        run.append_sample({"step": step, "text": "the step"})
    for name in ("metrics.jsonl", "samples.jsonl"):
        with (run.path / name).open("a") as file:
            file.write('{"step": 2, "lo')
    run.truncate_records(3)
    assert (run.path / "metrics.jsonl").read_text() == "".join(f'{{"step": {step}}}\n' for step in range(4))
    samples = "".join(f'{{"step": {step}, "text": "the step"}}\n' for step in range(4))
    assert (run.path / "samples.jsonl").read_text() == samples


def test_metrics_that_are_whole_are_left_alone(folder: Path) -> None:
    run = Run.create("r")
    for step in range(6):
        run.append_metrics({"step": step})
    before = (run.path / "metrics.jsonl").stat()
    run.truncate_records(5)
    after = (run.path / "metrics.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("lost", [b"\0" * 20, b"\0" * 20 + b"\n", b"{}\n", b"[3]\n", b"\xff\n", b'{"step": null}\n'])
def test_what_a_power_cut_makes_of_the_metrics_is_dropped(folder: Path, lost: bytes) -> None:
    run = Run.create("r")
    run.append_metrics({"step": 1})
    with (run.path / "metrics.jsonl").open("ab") as file:
        file.write(lost)
    run.truncate_records(5)
    assert (run.path / "metrics.jsonl").read_bytes() == b'{"step": 1}\n'


def test_going_on_from_an_older_checkpoint_keeps_what_it_saves(folder: Path) -> None:
    run = Run.create("r")
    for step in (10, 20, 30):
        run.save(b"%d" % step, step, best=step == 10)
    run.save(b"15", 15, best=False)
    assert run.pointed("latest") == run.path / "step-00000015.safetensors"
    assert all(pointed and pointed.is_file() for pointed in (run.pointed("latest"), run.pointed("best")))


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_run_that_is_held_is_not_one_to_go_on_with(folder: Path) -> None:
    run = Run.create("r")
    run.save(b"", 1, best=False)
    with run.locked():
        for where in ("newest", "checkpoints/r", "checkpoints/r/step-00000001.safetensors"):
            with pytest.raises(BusyError, match=f"process {os.getpid()} on "):
                find_resumable(where)
    assert find_resumable("newest").run.path == run.path


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_run_is_written_by_one_training_whose_death_frees_it(folder: Path) -> None:
    run = Run.create("r")
    hold = "import sys, time; from charrnn.checkpoint.store import *; from pathlib import Path\n"
    hold += "with Run(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(run.path.resolve())], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(BusyError, match=f"process {holder.pid} on "), run.locked():
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with run.locked():
        pass


def test_the_demo_is_there() -> None:
    assert (Path(store.__file__).parents[2] / "checkpoints" / "demo" / "best").is_file()
