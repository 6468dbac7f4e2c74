"""A new file never takes the place of another, and is there only when it is whole."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charrnn import files
from charrnn.errors import DataError, ResourceError, UsageError
from charrnn.files import write_new
from tests.checkpoint.faulty_files import BROKEN, FULL, OPERATIONS, FaultyOs, disk_error

PIECES = [b"a piece", b"", b"another " * 400]
WHOLE = b"".join(PIECES)


def test_pieces_make_a_file(folder: Path) -> None:
    write_new(folder / "new", iter(PIECES))
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert (folder / "new").read_bytes() == WHOLE


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_what_is_there_stays_and_no_piece_is_asked_for(folder: Path, kind: str) -> None:
    path, asked = folder / "new", []
    (folder / "target").write_bytes(b"old")
    match kind:
        case "file":
            path.write_bytes(b"old")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("target")
        case _:
            path.symlink_to("nowhere")
    before = sorted((each, each.lstat().st_ino) for each in folder.iterdir())
    with pytest.raises(UsageError, match="new is there already, and nothing is overwritten"):
        write_new(path, (asked.append(1) or b"" for _ in range(3)))
    assert not asked
    assert sorted((each, each.lstat().st_ino) for each in folder.iterdir()) == before
    assert (folder / "target").read_bytes() == b"old"


@pytest.mark.parametrize("no_links", [False, True], ids=["links", "no links"])
def test_what_comes_meanwhile_stays(folder: Path, monkeypatch: pytest.MonkeyPatch, no_links: bool) -> None:
    path = folder / "new"

    def pieces() -> Iterator[bytes]:
        yield b"new"
        path.write_bytes(b"of somebody else")

    if no_links:
        monkeypatch.setattr(files, "os", WithoutLinks(10**9, FULL))
    with pytest.raises(UsageError, match="there already"):
        write_new(path, pieces())
    assert [(each.name, each.read_bytes()) for each in folder.iterdir()] == [("new", b"of somebody else")]


def test_pieces_that_fail_leave_nothing(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a beginning"
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        write_new(folder / "new", pieces())
    assert list(folder.iterdir()) == []


class WithoutLinks(FaultyOs):
    """A file system such as FAT."""

    def link(self, *_: Path) -> None:
        raise disk_error(errno.EPERM)()


class WithLinks(FaultyOs):
    """One where linking can fail, too."""

    def link(self, source: Path, target: Path) -> None:
        self._perform("link", source, target)


@pytest.mark.parametrize("system", [WithLinks, WithoutLinks])
@pytest.mark.parametrize(
    ("fault", "lasting"),
    [(FULL, ("open", "write", "fsync")), (BROKEN, OPERATIONS), (KeyboardInterrupt, ())],
    ids=["full", "broken", "Ctrl-C"],
)
def test_a_disk_that_fails_anywhere_leaves_all_or_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: type[FaultyOs],
    fault: Callable[[], BaseException],
    lasting: tuple[str, ...],
) -> None:
    fail_at, fired = 0, True
    while fired:
        fail_at += 1
        path = folder / f"new{fail_at}"
        failing = system(fail_at, fault, lasting)
        with monkeypatch.context() as patch:
            patch.setattr(files, "os", failing)
            error: BaseException | None = None
            try:
                write_new(path, PIECES)
            except (ResourceError, KeyboardInterrupt) as caught:
                error = caught
        assert error is None or str(error) == "" or str(error).startswith(f"cannot write {path}: ")
        fired = failing.fired
        assert (error is None) == (not fired)
        assert not path.exists() or path.read_bytes() == WHOLE
    assert fail_at > 8
    left = [each for each in folder.iterdir() if each.name.endswith(".tmp")]
    assert all(BROKEN is fault for _ in left)  # a dead disk removes nothing, either


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_folder_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ResourceError, match=r"cannot write .*none/new: No such file or directory"):
        write_new(folder / "none" / "new", PIECES)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL, and locks")
def test_what_a_killed_writer_left_is_removed_by_the_next_of_its_kind_and_a_living_ones_is_not(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from charrnn.files import write_new\n"
        "def pieces():\n    yield b'some'\n    print('here', flush=True)\n    sys.stdin.read()\n"
        "write_new(Path('new'), pieces())"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
    )
    assert writer.stdout
    assert writer.stdout.readline() == b"here\n"
    (left,) = folder.iterdir()
    stranger = folder / ".other.0123456789abcdef.tmp"
    stranger.write_bytes(b"of another file")
    with pytest.raises(DataError):
        write_new(folder / "new", failing())
    assert left.exists()
    writer.kill()
    writer.communicate(timeout=60)
    write_new(folder / "new", iter(PIECES))
    assert {path.name for path in folder.iterdir()} == {"new", stranger.name}


def failing() -> Iterator[bytes]:
    yield b"a piece"
    raise DataError("no more")
