"""Runs on the disk: folders that are never overwritten, files that are whole or absent, and the search for a model."""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import charrnn
from charrnn.checkpoint.records import to_json
from charrnn.errors import BusyError, CheckpointError, ResourceError, UsageError
from charrnn.files import append, leftovers, make_folder, open_own, remove, write_file
from charrnn.messages import named

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint

__all__ = [
    "DIVERGED",
    "EXPORTED",
    "RUNS",
    "FoundModel",
    "Resumable",
    "Run",
    "find_model",
    "find_named",
    "find_resumable",
    "find_run",
    "load_model",
    "newest_run",
    "runs_above",
    "runs_missed",
]

RUNS = Path("checkpoints")
DIVERGED = "diverged.json"
DEMO = "demo"
EXPORTED = "model.safetensors"  # of a folder for passing a model on, which is no run

_WHY_DEMO = f"the demo, as there is no run in ./{RUNS}; train one of your own"

_LONGEST_NAME = 240  # bytes: 255 that file systems have, and room for -2, -3 …

_CHECKPOINT = re.compile(r"step-(\d{8,})\.safetensors")
_WRITTEN = re.compile(
    rf"{_CHECKPOINT.pattern}|latest|best|run\.toml|(metrics|samples)\.jsonl|{re.escape(DIVERGED)}|text\.(txt|json)"
    r"|events\.out\.tfevents\..+"
)


class Run:
    """The folder of one training run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, name: str, root: Path = RUNS) -> Self:
        """Make a new folder of this name, or with -2, -3 … added if it is taken.

        Raises:
            UsageError: the name cannot be a folder's.
            ResourceError: the folder cannot be made.
        """
        _check_name(name)
        number = 1
        while True:
            path = root / (name if number == 1 else f"{name}-{number}")
            try:
                if not root.is_dir():
                    make_folder(root)
                make_folder(path)
            except FileExistsError as error:
                if not root.is_dir():
                    raise ResourceError(f"cannot make the folder {root}: a file is in the way") from error
                number += os.path.lexists(path)  # else somebody has just made the root
            except OSError as error:
                raise ResourceError(f"cannot make the folder {path}: {error.strerror}") from error
            else:
                return cls(path)

    @classmethod
    def claim(cls, name: str, root: Path = RUNS) -> Self:
        """Take the folder of exactly this name: a new one, or that of a run that ended before it saved anything.

        Raises:
            UsageError: the name cannot be a folder's, or something else has it.
            BusyError: there is a run of that name, which has saved.
            ResourceError: the folder cannot be made.
        """
        _check_name(name)
        run = cls(root / name)
        try:
            for folder in (root, run.path):
                if not folder.is_dir():
                    make_folder(folder)
        except FileExistsError:
            pass  # somebody has just made it, or it is no folder
        except OSError as error:
            raise ResourceError(f"cannot make the folder {run.path}: {error.strerror}") from error
        if not run.path.is_dir() or run._has_other_files():
            raise UsageError(f"{run.path} is there and is no run; choose another {named('name')}")
        if run.checkpoints():
            raise BusyError(f"another training has begun {run.path} meanwhile; start this again to go on with it")
        return run

    def _has_other_files(self) -> bool:
        """True if the folder has a file that is not a run's."""
        own = {path for path, name in leftovers(self.path) if _WRITTEN.fullmatch(name)} | {self.path / "train.lock"}
        return any(path not in own and not _WRITTEN.fullmatch(path.name) for path in self.path.iterdir())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for writing. The lock ends with its process, however that ends.

        Raises:
            BusyError: another training holds it.
        """
        try:
            import fcntl
        except ImportError:  # Windows: best effort, no lock
            yield
            return
        try:
            file = os.fdopen(open_own(self.path / "train.lock", os.O_RDWR), "rb+", buffering=0)
        except OSError as error:
            raise ResourceError(f"cannot write in {self.path}: {error.strerror}") from error
        with file:
            if not os.access(self.path, os.W_OK):
                raise ResourceError(f"cannot write in {self.path}: the folder is read-only")
            import socket  # which only a training needs

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}\n".encode())
            except BlockingIOError as error:
                holder = file.read().decode(errors="replace").strip()
                raise BusyError(
                    f"another training is writing {self.path} ({holder or 'not known which'}); "
                    f"wait for it, stop it, or start a run of another {named('name')}"
                ) from error
            except OSError as error:
                raise ResourceError(f"cannot lock {self.path}: {error.strerror}") from error
            self._remove_leftovers()
            yield

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of a training that was killed while it wrote. For the holder of the lock only."""
        with contextlib.suppress(OSError):
            _remove_all([path for path, name in leftovers(self.path) if _WRITTEN.fullmatch(name)])

    def write_config(self, toml: str) -> None:
        """Write `run.toml`, the configuration that repeats the run."""
        write_file(self.path / "run.toml", toml.encode())

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add a line to `metrics.jsonl`; readers see it at once."""
        append(self.path / "metrics.jsonl", to_json(record))

    def append_sample(self, record: Mapping[str, Any]) -> None:
        """Add a line to `samples.jsonl`; readers see it at once."""
        append(self.path / "samples.jsonl", to_json(record))

    def truncate_records(self, step: int) -> None:
        """Drop torn lines of `metrics.jsonl` and `samples.jsonl`, and those after a step, which a resumed training will
        write again."""
        for path in (self.path / "metrics.jsonl", self.path / "samples.jsonl"):
            try:
                lines = path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ResourceError(f"cannot read {path}: {error.strerror}") from error
            kept = [line for line in lines if _is_record_until(step, line)]
            if kept != lines:
                write_file(path, b"".join(kept))

    def write_divergence(self, record: Mapping[str, Any]) -> Path:
        """Write `diverged.json`, in place of an older one: the reason and the course of a divergence.

        Raises:
            ResourceError: it cannot be written.
        """
        path = self.path / DIVERGED
        write_file(path, to_json(record, indent=1))
        return path

    def _forget_divergence(self, step: int) -> None:
        """Remove the `diverged.json` of a step that a resumed training got past; errors in that are ignored."""
        path = self.path / DIVERGED
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            if json.loads(path.read_bytes())["step"] <= step:
                remove(path)

    def save(self, checkpoint: bytes, step: int, *, best: bool) -> Path:
        """Write a checkpoint and point `latest` (and `best`) at it; then drop all but the last two and the best.

        `best` is written first: a training that dies before `latest` is written repeats this, one that dies later not.

        Raises:
            ResourceError: the checkpoint or a pointer cannot be written; the checkpoints before it are still there.
        """
        path = self.path / f"step-{step:08d}.safetensors"
        write_file(path, checkpoint)
        for pointer in ["best", "latest"] if best else ["latest"]:
            write_file(self.path / pointer, f"{path.name}\n".encode())
        self._prune(path)
        self._forget_divergence(step)
        return path

    def _prune(self, latest: Path) -> None:
        """Remove old checkpoints; errors in that are ignored."""
        with contextlib.suppress(OSError, CheckpointError):
            # Later ones are of a course that was given up; the training will replace them, or remove them in passing.
            course = [path for path in self.checkpoints() if _step(path) <= _step(latest)]
            kept = {*course[-2:], self.pointed("best")}
            _remove_all([path for path in course if path not in kept])

    def checkpoints(self) -> list[Path]:
        """The run's checkpoint files, oldest first."""
        files = [path for path in self.path.iterdir() if _CHECKPOINT.fullmatch(path.name)]
        return sorted(files, key=_step)

    def newest_first(self) -> list[Path]:
        """The checkpoints to go on from, in order of preference: the latest, then the earlier ones."""
        try:
            latest = self.pointed("latest")
        except CheckpointError:
            latest = None
        return [path for path in reversed(self.checkpoints()) if latest is None or _step(path) <= _step(latest)]

    def pointed(self, pointer: str) -> Path | None:
        """The checkpoint that the file `latest` or `best` names; None if there is no such file.

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


def _check_name(name: str) -> None:
    is_plain = name and name == Path(name).name and not name.startswith(".") and name.isprintable()
    if not is_plain or len(os.fsencode(name)) > _LONGEST_NAME:
        raise UsageError(
            f"{named('name')} must be a plain folder name of at most {_LONGEST_NAME} bytes, got {name!a:.80}"
        )


def _step(checkpoint: Path) -> int:
    return int(checkpoint.stem.removeprefix("step-"))


def _remove_all(paths: Iterable[Path]) -> None:
    """Remove files; errors are ignored."""
    for path in paths:
        with contextlib.suppress(OSError):
            remove(path)


def _is_record_until(step: int, line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and bool(json.loads(line)["step"] <= step)
    except (ValueError, TypeError, KeyError):
        return False


def newest_run(root: Path = RUNS) -> Run | None:
    """The run in `root` that saved last; None if no run has saved yet."""
    if not root.is_dir():
        return None
    saved = [pointer for folder in root.iterdir() if (pointer := folder / "latest").is_file()]
    return Run(max(saved, key=lambda pointer: pointer.stat().st_mtime_ns).parent) if saved else None


def runs_above(folder: Path) -> Path | None:
    """The nearest folder of runs, one of which has saved, in a folder or in those above it; None if there is none."""
    for above in (folder, *folder.parents):
        with contextlib.suppress(OSError):  # a folder that nobody may look into
            if newest_run(above / RUNS):
                return above / RUNS
    return None


class Resumable(NamedTuple):
    """A run to go on with, from its latest checkpoint unless another is named."""

    run: Run
    checkpoint: Path | None


def find_resumable(where: str) -> Resumable:
    """Find the run to go on with: a run's folder, one of its checkpoint files, or "newest", the run that saved last.

    Raises:
        CheckpointError: there is none.
        BusyError, ResourceError: another training holds it, or it cannot be written.
    """
    if where == "newest":
        if (newest := newest_run()) is None:
            raise CheckpointError(f"there is no run in ./{RUNS} to go on with; name one: {named('resume', 'PATH')}")
        run, checkpoint = newest, None
    else:
        path = named_run(where)
        if not os.path.exists(path):  # noqa: PTH110 (which takes a name that no file can have)
            raise CheckpointError(f"there is no run and no checkpoint at {path}")
        run, checkpoint = (Run(path), None) if path.is_dir() else (Run(path.parent), path)
        if not (run.path / "latest").exists() and (run.path / "config.json").exists():
            raise CheckpointError(
                f"{run.path} was exported, without what resuming needs\n"
                f"go on with the run that it came from, or begin a new one: {named('from_model', str(run.path))}"
            )
        if not (run.path / "latest").exists():
            raise CheckpointError(f"{run.path} is no run to go on with: there is no `latest` in it")
    with run.locked():
        pass  # only to raise the errors now, before torch is imported
    return Resumable(run, checkpoint)


def find_named(name: str, root: Path = RUNS) -> Resumable | None:
    """Find the run of this name to go on with; None if there is none or it ended before it saved anything.

    Raises:
        UsageError: the name cannot be a folder's.
        BusyError, ResourceError: as `find_resumable` does.
    """
    _check_name(name)
    run = Run(root / name)
    if not run.path.is_dir() or not run.checkpoints():
        return None
    with run.locked():
        pass  # as above
    return Resumable(run, None)


def find_run(name: str | None) -> Run:
    """Find the run of this name, in this folder or of this checkpoint; without a name the one that saved last.

    Raises:
        CheckpointError: there is none.
    """
    if name is None:
        if (newest := newest_run()) is None:
            raise CheckpointError(f"there is no run in ./{RUNS}; name one, by its name or its folder")
        return newest
    path = named_run(name)
    if not os.path.exists(path):  # noqa: PTH110 (which takes a name that no file can have)
        raise CheckpointError(f"there is no run at {path}")
    return Run(path if path.is_dir() else path.parent)


class FoundModel(NamedTuple):
    """A checkpoint file, and the reason in words why it was chosen."""

    path: Path
    why: str


def find_model(model: str | None) -> FoundModel:
    """Find a checkpoint: `model` (a file, a run's folder or its name), else the newest run's, else the demo's.

    The name demo is that of the demo where nothing else is called so.

    Of a run it is the best checkpoint by validation loss, or the latest if there was no validation.

    Raises:
        CheckpointError: there is nothing at `model`.
    """
    if model is not None:
        path = named_run(model)
        if model == DEMO and not os.path.lexists(path):
            return FoundModel(_of_folder(_demo()), "as asked")
        return FoundModel(_of_folder(path) if os.path.isdir(path) else path, "as asked")  # noqa: PTH112
    if run := newest_run():
        return FoundModel(_of_folder(run.path), f"the newest run in ./{RUNS}")
    return FoundModel(_of_folder(_demo()), _WHY_DEMO)


def _demo() -> Path:
    """The demo's folder, as it is installed, or in a clone."""
    package = Path(charrnn.__file__).parent
    installed = package / DEMO
    return installed if installed.is_dir() else package.parent / RUNS / DEMO


def runs_missed(found: FoundModel) -> Path | None:
    """The folder of runs in a folder above the current one, where the demo was chosen for want of runs in this one."""
    if found.why != _WHY_DEMO:
        return None
    try:
        here = Path.cwd()
    except OSError:  # it has been removed
        return None
    return runs_above(here.parent)


def load_model(model: str | None, *, training: bool = False) -> tuple[FoundModel, "Checkpoint"]:
    """Find a model as `find_model` does, and read it; if a training removes it in between, find it again.

    With `training`, all of the checkpoint is read: its counters and what it takes to go on with the training, too.

    Raises:
        CheckpointError: as `find_model` and `from_file` do.
    """
    from charrnn.checkpoint.format import from_file  # with numpy, which other users of this module do without

    found = find_model(model)
    while True:
        try:
            return found, from_file(found.path, training=training)
        except CheckpointError:
            if os.path.exists(found.path) or (newer := find_model(model)) == found:  # noqa: PTH110
                raise
            found = newer


def named_run(name: str) -> Path:
    """The path that `name` means: the path itself, or that of the run of this name in ./checkpoints."""
    path = Path(name)
    is_plain = name == path.name and not name.startswith(".")
    is_run = is_plain and not os.path.exists(path) and os.path.isdir(RUNS / name)  # noqa: PTH110, PTH112
    return RUNS / name if is_run else path


def _of_folder(path: Path) -> Path:
    run = Run(path)
    checkpoint = run.pointed("best") or run.pointed("latest")
    if checkpoint is None and (path / EXPORTED).is_file():
        return path / EXPORTED
    if checkpoint is None:
        raise CheckpointError(f"{path} has no checkpoint: neither `best` nor `latest` is there")
    return checkpoint
