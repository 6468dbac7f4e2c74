"""A file from anyone is a checkpoint or is refused, in a line: it runs nothing, writes nothing and costs little."""

import contextlib
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint import format as checkpoint_format
from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.errors import CheckpointError
from charrnn.layout import model_shapes
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.checkpoint.hostile import CATALOGUE, Hostile, checkpoint, pickled
from tests.conftest import Command, random_checkpoint

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    *("pickle.", "marshal.dumps", "ctypes.", "subprocess.", "socket.", "urllib.", "http.", "ftplib.", "smtplib."),
    *("os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.startfile", "pty.", "webbrowser."),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil."),
)

seen: list[str] | None = None  # what a watched piece of code did that it should not; None while nobody watches


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if seen is not None:
        if event == "open" and arguments[2] & WRITING:
            seen.append(f"open {arguments[0]!r} for writing")
        elif event == "import" and arguments[0].partition(".")[0] in ("pickle", "torch"):
            seen.append(f"import {arguments[0]}")
        elif event.startswith(FORBIDDEN):
            seen.append(event)


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """What is done inside that reading a file should never do."""
    global seen
    found: list[str] = []
    seen = found
    try:
        yield found
    finally:
        seen = None


def test_the_watch_sees_what_it_is_for(folder: Path) -> None:
    import pickle

    with watched() as done:
        pickle.loads(pickled(4))
        Path("written").write_bytes(b"")
    assert Path("canary-is-dead").exists()
    assert {event.split(" ")[0] for event in done} == {"pickle.find_class", "os.system", "open"}


@pytest.fixture(scope="module")
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported on first use is imported."""
    path = tmp_path_factory.mktemp("warm") / "good"
    path.write_bytes(checkpoint())
    from_file(path, training=True)


@pytest.mark.slow
@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize("hostile", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_a_hostile_file_is_refused_at_little_cost(folder: Path, hostile: Hostile) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(data := hostile.data())
    before = time.monotonic()
    tracemalloc.start()
    try:
        with watched() as done, pytest.raises(CheckpointError, match=hostile.message) as caught:
            from_file(path, training=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - before < 5
    assert peak < 2 * len(data) + 64 * 2**20
    assert done == []
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert list(folder.iterdir()) == [path]


def test_what_the_catalogue_changes_is_a_checkpoint_else(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(checkpoint())
    found = from_file(path, training=True)
    assert found.vocabulary == Vocabulary("abc")
    assert found.counters.step == 7
    assert found.training.keys() == {"optimizer.head.bias.step", "rng.cpu"}


def test_a_checkpoint_that_names_no_dropout_has_none(folder: Path) -> None:
    saved = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3), Vocabulary("abc"))
    (folder / "model.safetensors").write_bytes(to_bytes(saved))
    assert from_file(folder / "model.safetensors").config.model.dropout == 0.0


def test_a_header_is_weighed_before_the_arrays_are_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(checkpoint(model_sha256="0" * 64))
    os.truncate(path, 2**40)  # sparse, where the file system has that
    with pytest.raises(CheckpointError, match="to the end of the file"):
        from_file(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(to_bytes(random_checkpoint(ModelConfig("gru", 1, 200, "one-hot"), Vocabulary("abc"))))

    def truncated(*arguments: Any) -> dict[str, tuple[int, ...]]:
        os.truncate(path, 100_000)
        return model_shapes(*arguments)

    monkeypatch.setattr(checkpoint_format, "model_shapes", truncated)
    with pytest.raises(CheckpointError, match="it became shorter while it was read"):
        from_file(path)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")

COMMAND_LINE = ["torch.save", "pickle of protocol 2", "npz", "version 5", "a weight that is nan", "layers 1000000000"]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMAND_LINE)
def test_the_command_line_refuses_in_a_line(charrnn: Command, folder: Path, name: str) -> None:
    (folder / "model.pt").write_bytes(CATALOGUE[name].data())
    assert_refused(charrnn, "model.pt")
    assert list(folder.iterdir()) == [folder / "model.pt"]


@needs_pipes
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "dangling link", "link to a device", "nothing"])
def test_the_command_line_refuses_what_is_no_file(charrnn: Command, folder: Path, kind: str) -> None:
    path = folder / "model"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    assert_refused(charrnn, str(path))


def assert_refused(charrnn: Command, model: str) -> None:
    done = charrnn("sample", "--model", model)
    assert done.returncode == 4
    assert done.stdout == b""
    assert done.stderr.startswith(b"charrnn: ")
    assert done.stderr.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("training", [False, True])
def test_what_is_no_file_is_refused_without_waiting(folder: Path, training: bool) -> None:
    with pytest.raises(CheckpointError, match="is not a file"):
        from_file(folder, training=training)
    with pytest.raises(CheckpointError, match="there is no checkpoint at none"):
        from_file(Path("none"), training=training)
