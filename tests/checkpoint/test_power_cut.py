"""A power cut at any instant of a save: what is then on the disk is the old checkpoint or the new one, bit for bit.

The model of a disk is the worst that POSIX allows. What was written to a file since it was last synced may be there,
be zeros, be there in part, or not at all; of the changes of a folder since it was last synced, any may have happened.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from charrnn import files
from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.errors import CheckpointError
from tests.checkpoint.faulty_files import Operation, RecordingOs, checkpoint_bytes

Save = list[Operation]
State = dict[str, bytes]  # a folder's files
SAVES = [(1, True), (2, False), (3, True), (4, False), (5, False), (6, True), (7, True), (8, False)]  # step, is best


class BrokenError(AssertionError):
    """A state that no power cut may leave."""


@pytest.fixture
def saves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Save]:
    """The operations of the saves of a training, one after the other."""
    run, recorded = Run.create("r"), []
    for step, best in SAVES:
        recorder = RecordingOs()
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", recorder)
            run.save(checkpoint_bytes(step), step, best=best)
        offset = 1000 * step  # files of different saves have different numbers
        recorded.append([each._replace(file=each.file + offset) for each in recorder.operations])
    return recorded


class Disk:
    """What is known for certain to be on a disk, and what may be."""

    def __init__(self) -> None:
        self.entries: dict[str, int] = {}  # the folder as last synced
        self.changes: list[Operation] = []  # of the folder since then
        self.contents: dict[int, bytes] = {}
        self.synced: dict[int, int] = {}  # of a file's content, how many bytes

    def perform(self, operation: Operation) -> None:
        kind, file = operation.kind, operation.file
        if kind == "write":
            self.contents[file] += operation.data
        elif kind == "sync":
            self.synced[file] = len(self.contents[file])
        elif kind == "sync folder":
            self.entries, self.changes = self.changed(self.changes), []
        else:
            if kind == "create":
                self.contents[file], self.synced[file] = b"", 0
            elif kind == "rename":  # by the number of the file that has the name now
                operation = operation._replace(file=self.changed(self.changes)[operation.name])
            self.changes.append(operation)

    def changed(self, changes: Sequence[Operation]) -> dict[str, int]:
        entries = dict(self.entries)
        for change in changes:
            if change.kind != "create":
                entries.pop(change.name, None)
            if change.kind != "remove":
                entries[change.target or change.name] = change.file
        return entries

    def after_a_power_cut(self) -> Iterator[State]:
        for present in itertools.product([True, False], repeat=len(self.changes)):
            entries = self.changed([change for change, there in zip(self.changes, present, strict=True) if there])
            for contents in itertools.product(*(self._possible(file) for file in entries.values())):
                yield dict(zip(entries, contents, strict=True))

    def _possible(self, file: int) -> set[bytes]:
        content, synced = self.contents[file], self.synced[file]
        cuts = {synced + (len(content) - synced) * quarter // 4 for quarter in range(5)}
        return {content[:cut] for cut in cuts} | {content[:cut] + bytes(len(content) - cut) for cut in cuts}


Steps = tuple[int | None, int | None]  # of latest and best, None for a pointer that is not there


def check(state: State, folder: Path, allowed: Sequence[Steps]) -> None:
    """Raise `BrokenError` unless the pointers lead to checkpoints of an `allowed` pair of steps."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)
    run = Run(folder)
    steps = pointed_step(run, "latest"), pointed_step(run, "best")
    if steps not in allowed:
        raise BrokenError(f"latest and best are of the steps {steps}, not of one of {allowed}")
    with run.locked():
        run.checkpoints()
    if left := list(files.leftovers(folder)):
        raise BrokenError(f"the next training leaves {left}")


def pointed_step(run: Run, pointer: str) -> int | None:
    try:
        path = run.pointed(pointer)
        if path is None:
            return None
        step = from_file(path, training=True).counters.step
    except CheckpointError as error:
        raise BrokenError(str(error)) from error
    if path.read_bytes() != checkpoint_bytes(step):
        raise BrokenError(f"{path} is not what was saved")
    return step


def check_all(saves: Sequence[Save], folder: Path) -> int:
    """Check every state that a power cut may leave after any of the operations; how many there were."""
    disk, seen = Disk(), set()
    old: Steps = None, None
    for (step, is_best), operations in zip(SAVES, saves, strict=True):
        for done, operation in enumerate(operations, 1):
            disk.perform(operation)
            finished = done == len(operations)
            new = (step, step) if is_best else (step, old[1])
            # `best` is never behind `latest`: a training that goes on would not point it there any more.
            allowed = [new] if finished else [old, (old[0], new[1]), new]
            for state in disk.after_a_power_cut():
                key = (step, finished, frozenset(state.items()))
                if key not in seen:
                    seen.add(key)
                    check(state, folder, allowed)
        old = new
    return len(seen)


def test_no_power_cut_breaks_a_run(saves: list[Save], folder: Path) -> None:
    kinds = {operation.kind for save in saves for operation in save}
    assert kinds == {"create", "write", "sync", "rename", "sync folder", "remove"}
    assert check_all(saves, folder / "found") > 300


def without(kind: str, which: int) -> Callable[[Save], Save]:
    """The saves as they would be with their `which`-th operation of a kind left out."""

    def change(save: Save) -> Save:
        places = [place for place, operation in enumerate(save) if operation.kind == kind]
        return save[: places[which]] + save[places[which] + 1 :]

    return change


def pointers_first(save: Save) -> Save:
    end = [operation.kind for operation in save].index("sync folder") + 1
    return save[end:] + save[:end]


def latest_before_best(save: Save) -> Save:
    ends = [place for place, operation in enumerate(save) if operation.kind == "sync folder"]
    if len(ends) < 3:
        return save
    checkpoint, first, second = (end + 1 for end in ends)
    return save[:checkpoint] + save[first:second] + save[checkpoint:first] + save[second:]


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(without("sync", 0), id="the checkpoint is not synced"),
        pytest.param(without("sync", -1), id="latest is not synced"),
        pytest.param(without("sync folder", 0), id="the folder is not synced before the pointers"),
        pytest.param(without("sync folder", -1), id="the folder is not synced after the pointers"),
        pytest.param(pointers_first, id="the pointers are written first"),
        pytest.param(latest_before_best, id="latest is written before best"),
    ],
)
def test_the_model_finds_what_a_careless_writer_breaks(
    saves: list[Save], folder: Path, mistake: Callable[[Save], Save]
) -> None:
    with pytest.raises(BrokenError):
        check_all([mistake(save) for save in saves], folder / "found")
