"""Runs on the disk: folders that are never overwritten, files that are whole or absent, and which model is meant."""

import contextlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import charrnn
from charrnn.errors import BusyError, CheckpointError, ResourceError, UsageError

__all__ = ["RUNS", "Found", "Resumable", "Run", "find_model", "find_resumable", "newest_run", "write_file"]

RUNS = Path("checkpoints")

_CHECKPOINT = re.compile(r"step-(\d{8,})\.safetensors")


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash at any instant leaves the old content or the new, never a part.

    Raises:
        ResourceError: the disk is full, or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise ResourceError(f"cannot write {path} ({len(data):,} bytes): {error.strerror or error}") from error


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened, and its entries are written with the file
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Run:
    """The folder of one training run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, name: str, root: Path = RUNS) -> Self:
        """A new folder of that name, or with -2, -3 … added where it is taken.

        Raises:
            UsageError: the name cannot be a folder's.
            ResourceError: the folder cannot be made.
        """
        if not name or name != Path(name).name or name.startswith(".") or not name.isprintable():
            raise UsageError(f"--name must be a plain folder name, got {name!r}")
        number = 1
        while True:
            path = root / (name if number == 1 else f"{name}-{number}")
            try:
                root.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError as error:
                if not path.exists():  # it is the root that is in the way
                    raise ResourceError(f"cannot make the folder {root}: a file is in the way") from error
                number += 1
            except OSError as error:
                raise ResourceError(f"cannot make the folder {path}: {error.strerror}") from error
            else:
                return cls(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for writing. The lock ends with its process, however that ends.

        Raises:
            BusyError: another training holds it.
        """
        try:
            import fcntl
        except ImportError:  # Windows: best effort, no lock
            yield
            return
        try:
            file = (self.path / "train.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise ResourceError(f"cannot write in {self.path}: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise BusyError(
                    f"another training is writing {self.path} ({file.read().strip() or 'not known which'}); "
                    "wait for it, stop it, or start a run of another --name"
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}\n")
            file.flush()
            yield

    def write_config(self, toml: str) -> None:
        """Write `run.toml`, the configuration that repeats the run."""
        write_file(self.path / "run.toml", toml.encode())

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`, at once in the file."""
        try:
            with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise ResourceError(f"cannot write {self.path / 'metrics.jsonl'}: {error.strerror}") from error

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines of `metrics.jsonl` after a step, which a resumed training will write again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            lines = path.read_text("utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            write_file(path, "".join(kept).encode())

    def save(self, checkpoint: bytes, step: int, *, best: bool) -> Path:
        """Write a checkpoint and point `latest` (and `best`) at it; then drop all but the last two and the best."""
        path = self.path / f"step-{step:08d}.safetensors"
        write_file(path, checkpoint)
        for pointer in ["latest", "best"] if best else ["latest"]:
            write_file(self.path / pointer, f"{path.name}\n".encode())
        written = [old for old in self.checkpoints() if _step(old) <= step]  # later ones are of a course given up
        kept = {*written[-2:], self.pointed("best")}
        for old in written:
            if old not in kept:
                with contextlib.suppress(OSError):  # one file too many is no reason to stop a training
                    old.unlink()
        return path

    def checkpoints(self) -> list[Path]:
        """The run's checkpoint files, oldest first."""
        files = [path for path in self.path.iterdir() if _CHECKPOINT.fullmatch(path.name)]
        return sorted(files, key=_step)

    def newest_first(self) -> list[Path]:
        """The checkpoints to go on from, in order of preference: the latest, then those before it."""
        try:
            latest = self.pointed("latest")
        except CheckpointError:
            latest = None
        return [path for path in reversed(self.checkpoints()) if latest is None or _step(path) <= _step(latest)]

    def pointed(self, pointer: str) -> Path | None:
        """The checkpoint that `latest` or `best` names, None where there is no such file.

        Raises:
            CheckpointError: the file names no checkpoint.
        """
        try:
            name = (self.path / pointer).read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"cannot read {self.path / pointer}: {error}") from error
        if not _CHECKPOINT.fullmatch(name):
            raise CheckpointError(f"{self.path / pointer} does not name a checkpoint: {name!r:.80}")
        return self.path / name


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.removeprefix("step-"))


def newest_run(root: Path = RUNS) -> Run | None:
    """The run in `root` that saved last; None where no run has saved yet."""
    if not root.is_dir():
        return None
    saved = [pointer for folder in root.iterdir() if (pointer := folder / "latest").is_file()]
    return Run(max(saved, key=lambda pointer: pointer.stat().st_mtime_ns).parent) if saved else None


class Resumable(NamedTuple):
    """A run to go on with, from its latest checkpoint unless another is named."""

    run: Run
    checkpoint: Path | None


def find_resumable(where: str) -> Resumable:
    """The run to go on with: a run's folder, one of its checkpoint files, or "newest" for the run that saved last.

    Raises:
        CheckpointError: there is none.
    """
    if where == "newest":
        if (run := newest_run()) is None:
            raise CheckpointError(f"there is no run in ./{RUNS} to go on with; name one: --resume PATH")
        return Resumable(run, None)
    path = Path(where)
    if not path.exists():
        raise CheckpointError(f"there is no run and no checkpoint at {path}")
    run, checkpoint = (Run(path), None) if path.is_dir() else (Run(path.parent), path)
    if run.pointed("latest") is None:
        raise CheckpointError(f"{run.path} is no run to go on with: there is no `latest` in it")
    return Resumable(run, checkpoint)


class Found(NamedTuple):
    """A checkpoint file, and in words how it was chosen."""

    path: Path
    why: str


def find_model(model: str | None) -> Found:
    """The checkpoint that is meant: `model` (a file, or a run's folder), else the newest run's, else the demo's.

    Of a run it is the best checkpoint by validation loss, or the latest where there was no validation.

    Raises:
        CheckpointError: there is nothing at `model`.
    """
    if model is not None:
        path = Path(model)
        return Found(_of_folder(path) if path.is_dir() else path, "as asked")
    if run := newest_run():
        return Found(_of_folder(run.path), f"the newest run in ./{RUNS}")
    package = Path(charrnn.__file__).parent
    installed, checked_out = package / "demo", package.parent / RUNS / "demo"
    return Found(_of_folder(installed if installed.is_dir() else checked_out), "the demo; train one of your own")


def _of_folder(path: Path) -> Path:
    run = Run(path)
    checkpoint = run.pointed("best") or run.pointed("latest")
    if checkpoint is None:
        raise CheckpointError(f"{path} has no checkpoint: neither `best` nor `latest` is there")
    return checkpoint
