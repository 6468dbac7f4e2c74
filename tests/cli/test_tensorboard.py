"""`charrnn train --tensorboard`: the event file, read back, and what is told where it cannot be written."""

import errno
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.records import losses_of
from charrnn.cli.render.tensorboard import TensorBoard
from charrnn.errors import ResourceError
from charrnn.events import Began, Validated
from tests.conftest import InProcess

pytest.importorskip("tensorboardX", reason="the tensorboard extra")

from tensorboardX.proto.event_pb2 import Event, SessionLog

TINY = ["--cell", "gru", "--layers", "1", "--hidden-size", "8", "--batch-size", "3", "--sequence-length", "7"]
OFTEN = ["--validate-every", "4", "--report-every", "2", "--device", "cpu", "-q", "--tensorboard", "--name", "r"]
RUN = Path("checkpoints/r")


def records(path: Path) -> list[Any]:
    """The events of a file, whose records are a length in 8 bytes, its checksum in 4, the event, and its in 4."""
    data, found = path.read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return found


def files() -> list[Path]:
    return sorted(RUN.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns)


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of an event file by name."""
    found = defaultdict(list)
    for event in records(path):
        for value in event.summary.value:
            found[value.tag].append((event.step, value.simple_value))
    return found


def test_the_scalars_are_those_of_the_metrics(small_text: Path, in_process: InProcess) -> None:
    in_process("train", str(small_text), *TINY, "--steps", "8", *OFTEN)
    (path,) = files()
    found, losses = scalars(path), losses_of(RUN)
    names = ("loss/training", "loss/validation", "gradient_norm", "learning_rate", "characters_per_second")
    assert set(found) == set(names)
    assert found["loss/training"] == [(step, pytest.approx(loss)) for step, loss in losses["training"]]
    assert found["loss/validation"] == [(step, pytest.approx(loss)) for step, loss in losses["validation"]]
    assert all(value > 0 for _, value in found["characters_per_second"])


def test_a_resumed_run_goes_on_in_a_file_of_its_own(small_text: Path, in_process: InProcess) -> None:
    in_process("train", str(small_text), *TINY, "--steps", "4", *OFTEN)
    os.utime(files()[0], (1, 1))
    in_process("train", "--resume", "r", "--steps", "8", "-q", "--tensorboard")
    first, second = files()
    assert [step for step, _ in scalars(first)["loss/training"]] == [2, 4]
    assert [step for step, _ in scalars(second)["loss/training"]] == [6, 8]
    (start,) = [event for event in records(second) if event.HasField("session_log")]
    assert (start.step, start.session_log.status) == (5, SessionLog.START)  # what is older from there on is hidden
    assert not any(event.HasField("session_log") for event in records(first))


def test_a_run_that_ended_before_it_had_saved_begins_again_beside_its_event_file(
    small_text: Path, in_process: InProcess
) -> None:
    RUN.mkdir(parents=True)
    (RUN / "events.out.tfevents.1.host").touch()
    in_process("train", str(small_text), *TINY, "--steps", "4", *OFTEN, "--resume", "auto")
    assert len(files()) == 2


def test_where_it_is_not_installed_the_line_that_installs_it_is_told(
    folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    _, told = in_process("train", "none.txt", "--tensorboard", code=2)
    assert told == (
        "charrnn: --tensorboard needs tensorboardX, which is not installed: pip install 'charrnn-text[tensorboard]'\n"
    )


def test_a_disk_that_is_full_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = TensorBoard()
    board.take(Began(folder, 0, "", 0, 0, 0, 0, ""))

    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(board._writer, "write_event", full)
    with pytest.raises(ResourceError, match=r"cannot write an event file in .*: No space left on device"):
        board.take(Validated(1, 2.0, True))
    board._writer.close()
