"""A disk that fails: whichever operation of a save it is, the checkpoints before it stay, and the next save works."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn import files
from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import ResourceError
from charrnn.files import append, leftovers, write_file
from charrnn.training.loop import resume, train
from tests.checkpoint.faulty_files import BROKEN, DENIED, FULL, OPERATIONS, FaultyOs, checkpoint_bytes, disk_error
from tests.conftest import tiny_run
from tests.prepared import prepared

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files, limits and users")


def loads(path: Path | None, step: int) -> None:
    assert path is not None
    assert from_file(path, training=True).counters.step == step
    assert path.read_bytes() == checkpoint_bytes(step)


def trained_run() -> Run:
    """A run of four checkpoints, of which the second is the best and the first is dropped already."""
    run = Run.create("r")
    for step in (1, 2, 3, 4):
        run.save(checkpoint_bytes(step), step, best=step == 2)
    return run


DISK_FULL = ("open", "write", "fsync", "replace", "mkdir")  # removing still works
ONCE: tuple[str, ...] = ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "lasting"),
    [
        pytest.param(FULL, ONCE, id="full for a moment"),
        pytest.param(FULL, DISK_FULL, id="full"),
        pytest.param(BROKEN, ONCE, id="an I/O error"),
        pytest.param(BROKEN, ("fsync",), id="no more syncing"),
        pytest.param(BROKEN, OPERATIONS, id="a dead disk"),
        pytest.param(KeyboardInterrupt, ONCE, id="Ctrl-C"),
    ],
)
def test_a_save_that_fails_anywhere_costs_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[], BaseException],
    lasting: tuple[str, ...],
) -> None:
    run, fail_at, step = trained_run(), 0, 4
    while True:
        fail_at, before, step = fail_at + 1, step, step + 1
        best_before = run.pointed("best")
        assert best_before is not None
        content_of_best = best_before.read_bytes()
        failing = FaultyOs(fail_at, fault, lasting)
        error = None
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", failing)
            try:
                run.save(checkpoint_bytes(step), step, best=True)
            except (ResourceError, KeyboardInterrupt) as caught:
                error = caught
        pruning = failing.operations[fail_at - 1 :][:1] == ["unlink"]
        assert (error is not None) == (failing.fired and (not pruning or fault is KeyboardInterrupt))
        if isinstance(error, ResourceError):
            assert error.exit_code == 7
            assert str(error).startswith(f"cannot write {run.path}/")
            assert " bytes): " in str(error)

        loads(run.path / f"step-{before:08d}.safetensors", before)
        is_old = run.pointed("latest") == run.path / f"step-{before:08d}.safetensors"
        loads(run.pointed("latest"), before if is_old else step)
        best = run.pointed("best")
        assert best in (best_before, run.path / f"step-{step:08d}.safetensors")
        assert best is not None
        assert best.read_bytes() in (content_of_best, checkpoint_bytes(step))
        if "unlink" not in lasting:
            assert not list(leftovers(run.path))
        if not failing.fired:
            break

        with run.locked():  # as the next training would
            run.save(checkpoint_bytes(step), step, best=True)
        assert not list(leftovers(run.path))
        loads(run.pointed("latest"), step)
        loads(run.pointed("best"), step)
    assert fail_at > 15


def test_a_full_disk_is_told_with_the_file_and_its_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "os", FaultyOs(1, FULL))
    with pytest.raises(ResourceError) as caught:
        write_file(folder / "step-1", b"x" * 12_345)
    reason = os.strerror(errno.ENOSPC)
    assert str(caught.value) == f"cannot write {folder / 'step-1'} (12,345 bytes): {reason}; make room for it"


def test_making_a_run_fails_with_a_resource_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fail_at in (1, 2, 3, 5, 6, 7):  # making either folder, and syncing the one above
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FaultyOs(fail_at, BROKEN))
            with pytest.raises(ResourceError, match=rf"cannot make the folder runs-{fail_at}/r: Input/output error"):
                Run.create("r", Path(f"runs-{fail_at}"))
    assert Run.create("r").path.is_dir()


def test_a_new_run_survives_a_power_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = FaultyOs(10**9, BROKEN)
    monkeypatch.setattr(files, "os", recorded)
    Run.create("r")
    made_and_synced = ["mkdir", "open", "fsync", "close"]
    assert recorded.operations == 2 * made_and_synced
    Run.create("r")
    assert recorded.operations[8:] == ["mkdir", *made_and_synced]  # the first name is taken


def test_a_file_that_is_held_for_a_moment_is_replaced_after_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "file"
    operations = FaultyOs(10**9, BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", operations)
        write_file(path, b"old")
    assert operations.operations.count("replace") == 1
    held = FaultyOs(operations.operations.index("replace") + 1, DENIED)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", held)
        write_file(path, b"new")
    assert held.operations.count("replace") == 2
    assert path.read_bytes() == b"new"


def test_a_file_system_that_cannot_sync_folders_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = FaultyOs(10**9, BROKEN)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", operations)
        write_file(folder / "file", b"old")
    assert operations.operations[-2:] == ["fsync", "close"]
    monkeypatch.setattr(files, "os", FaultyOs(len(operations.operations) - 1, disk_error(errno.EINVAL)))
    write_file(folder / "file", b"new")
    assert (folder / "file").read_bytes() == b"new"


def test_checkpoints_that_cannot_be_dropped_do_not_stop_a_training(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained_run()
    denying = FaultyOs(0, DENIED, lasting=["unlink"])
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", denying)
        for step in (5, 6, 7):
            run.save(checkpoint_bytes(step), step, best=False)
    assert denying.operations.count("unlink") > 2
    assert [int(path.stem[5:]) for path in run.checkpoints()] == [2, 3, 4, 5, 6, 7]
    (run.path / "best").write_bytes(b"")  # nobody knows which to keep
    run.save(checkpoint_bytes(8), 8, best=False)
    assert [int(path.stem[5:]) for path in run.checkpoints()] == [2, 3, 4, 5, 6, 7, 8]


def test_a_failed_addition_to_the_metrics_is_a_resource_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained_run()
    for fail_at in (1, 2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", FaultyOs(fail_at, FULL))
            with pytest.raises(ResourceError, match=r"cannot write .*metrics\.jsonl \(12 bytes\): No space left"):
                run.append_metrics({"step": 1})


def test_what_a_killed_training_left_is_ignored_and_then_removed(folder: Path) -> None:
    run = trained_run()
    names = ["step-00000005.safetensors", "latest", "best", "run.toml", "metrics.jsonl", "samples.jsonl"]
    left = [run.path / f".{name}.{number:016x}.tmp" for number, name in enumerate(names)]
    others = [
        run.path / name
        for name in (
            ".notes.txt.0123456789abcdef.tmp",
            ".latest.tmp",
            ".latest.0123456789abcdef",
            "latest.0123456789abcdef.tmp",
            ".latest.0123456789ABCDEF.tmp",
            ".step-5.safetensors.0123456789abcdef.tmp",
        )
    ]
    for path in left + others:
        path.write_bytes(b"torn")
    (run.path / ".best.ffffffffffffffff.tmp").mkdir()  # not a file of ours, and in the way of nothing
    loads(run.pointed("latest"), 4)
    assert [int(path.stem[5:]) for path in run.checkpoints()] == [2, 3, 4]
    with run.locked():
        assert not [path for path in left if path.exists()]
        assert all(path.exists() for path in others)


@posix
@pytest.mark.parametrize(
    "name", ["step-00000005.safetensors", "latest", "best", "run.toml", "metrics.jsonl", "samples.jsonl"]
)
def test_a_link_is_replaced_and_not_what_it_points_at(folder: Path, name: str) -> None:
    run = trained_run()
    for step in (3, 9):
        run.append_metrics({"step": step})
        run.append_sample({"step": step})
    target = folder / "somebody's"
    target.write_bytes((run.path / name).read_bytes() if (run.path / name).exists() else b"")
    before = target.read_bytes()
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(target)
    run.truncate_records(4)
    run.write_config("")
    run.save(checkpoint_bytes(5), 5, best=True)
    assert not (run.path / name).is_symlink()
    assert target.read_bytes() == before
    loads(run.pointed("best"), 5)


@posix
def test_no_link_leads_a_log_or_a_lock_to_another_file(folder: Path) -> None:
    run, target = trained_run(), folder / "somebody's"
    target.write_bytes(b"precious")
    for name in ("metrics.jsonl", "train.lock"):
        (run.path / name).symlink_to(target)
    with pytest.raises(ResourceError, match=r"cannot write .*metrics\.jsonl"):
        append(run.path / "metrics.jsonl", b"{}\n")
    with pytest.raises(ResourceError, match="cannot write in"), run.locked():
        pass
    assert target.read_bytes() == b"precious"


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o027, 0o640), (0o002, 0o664), (0o077, 0o600)])
def test_every_file_of_a_run_has_the_mode_that_the_umask_asks_for(folder: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        run = trained_run()
        run.write_config("")
        for step in (1, 2):
            run.append_metrics({"step": step})
        run.truncate_records(1)
        with run.locked():
            pass
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()}
    assert modes.keys() >= {"latest", "best", "run.toml", "metrics.jsonl", "train.lock", "step-00000004.safetensors"}
    assert set(modes.values()) == {mode}


RESTRICTED = """
import ctypes, os, resource, struct, sys
from charrnn.cli.app import main
limit, read_only = int(sys.argv.pop(1)), sys.argv.pop(1)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
if read_only:
    os.chmod(read_only, 0o555)
    if os.getuid() == 0:  # whom no mode keeps out, before the capabilities are given up
        assert ctypes.CDLL(None).capset(struct.pack("Ii", 0x20080522, 0), bytes(24)) == 0
main()
"""


def restricted(*arguments: str, limit: int = 0, read_only: str = "") -> "subprocess.CompletedProcess[bytes]":
    """The command in a process that can write files of `limit` bytes at most, or not in the `read_only` folder."""
    return prepared().run([str(limit), read_only, *arguments], program=RESTRICTED)


@posix
@pytest.mark.slow
def test_a_file_that_may_not_grow_ends_a_training_with_its_last_checkpoint_whole(small_text: Path) -> None:
    for _ in train(tiny_run(small_text)):
        pass
    run = Run(Path("checkpoints/small-gru"))
    last = run.pointed("latest")
    assert last is not None
    content = last.read_bytes()
    failed = restricted("train", "--resume", "--steps", "14", limit=len(content) // 2)
    assert failed.returncode == 7, failed.stderr
    assert f"cannot write {run.path / 'step-00000014.safetensors'} (" in failed.stderr.decode()
    assert "File too large; make room for it" in failed.stderr.decode()
    assert "Traceback" not in failed.stderr.decode()
    assert run.pointed("latest") == last
    assert last.read_bytes() == content
    assert not list(leftovers(run.path))
    for _ in resume(find_resumable("newest"), {"steps": 14}):
        pass
    assert from_file(run.path / "step-00000014.safetensors", training=True).counters.step == 14


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities, in case that the user is root")
@pytest.mark.slow
def test_a_folder_that_cannot_be_written_ends_a_training_before_its_first_step(small_text: Path) -> None:
    run = trained_run()
    with run.locked():
        pass  # the lock's file is there: it is the folder that says no
    for arguments, read_only, message in (
        (["train", "small.txt", "--steps", "2"], "checkpoints", "cannot make the folder checkpoints/small-gru"),
        (["train", "--resume", "checkpoints/r"], "checkpoints/r", "cannot write in checkpoints/r: the folder is"),
    ):
        failed = restricted(*arguments, read_only=read_only)
        Path(read_only).chmod(0o755)
        assert failed.returncode == 7, failed.stderr
        assert message in failed.stderr.decode()
        assert "step=" not in failed.stderr.decode()
    loads(run.pointed("latest"), 4)
