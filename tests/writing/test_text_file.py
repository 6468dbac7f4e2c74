"""Files that are edited: exact to the byte, never overwritten unasked, and kept when a session ends."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import DataError, ResourceError, UsageError
from charrnn.writing.desk import Desk
from charrnn.writing.manuscript import Writer
from charrnn.writing.text_file import Recovery, TextFile


def names() -> list[str]:
    """The names of the files here."""
    return sorted(path.name for path in Path().iterdir())


@given(st.text("ab\r\né한\ufeff\u2028\x1b\0", max_size=30))
def test_what_is_opened_and_saved_has_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("texts") / "text.txt"
    path.write_bytes(text.encode())
    file = TextFile(path)
    file.save(file.open())
    assert path.read_bytes() == text.encode()


def test_lines_that_end_in_crlf_are_edited_as_lines(folder: Path) -> None:
    Path("text.txt").write_bytes(b"one\r\ntwo\r\n")
    file = TextFile(Path("text.txt"))
    assert file.open() == "one\ntwo\n"
    file.save("one\nand\ntwo\n")
    assert Path("text.txt").read_bytes() == b"one\r\nand\r\ntwo\r\n"
    Path("mixed.txt").write_bytes(b"one\r\ntwo\n")
    assert TextFile(Path("mixed.txt")).open() == "one\r\ntwo\n"


def test_saving_keeps_permissions_and_goes_through_a_link(folder: Path) -> None:
    Path("real.txt").write_text("old")
    Path("real.txt").chmod(0o640)
    Path("link.txt").symlink_to("real.txt")
    file = TextFile(Path("link.txt"))
    file.open()
    file.save("new")
    assert Path("link.txt").is_symlink()
    assert Path("real.txt").read_text() == "new"
    assert stat.S_IMODE(Path("real.txt").stat().st_mode) == 0o640
    assert names() == ["link.txt", "real.txt"]


def test_a_change_on_the_disk_is_noticed(folder: Path) -> None:
    path = Path("text.txt")
    file = TextFile(path)
    assert file.open() == ""
    assert not file.has_changed()
    path.write_text("of another program")
    assert file.has_changed()
    file.save("mine")
    assert not file.has_changed()
    path.touch()  # no change
    assert not file.has_changed()
    path.unlink()
    assert not file.has_changed()  # there is nothing to overwrite


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: path.write_bytes(b"ab\ncd\xff"), DataError, r"is not UTF-8: byte 0xff at offset 5, line 2"),
        (lambda path: path.mkdir(), UsageError, "is no file"),
        (lambda path: os.mkfifo(path), UsageError, "is no file"),
        (lambda path: path.symlink_to(path), DataError, "cannot read"),
    ],
)
def test_what_is_no_text_is_refused(folder: Path, make: object, error: type[Exception], message: str) -> None:
    make(Path("text.txt"))  # type: ignore[operator]
    with pytest.raises(error, match=message):
        TextFile(Path("text.txt")).open()


def test_a_folder_that_is_not_there_is_told_before_anything_is_written(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder 'none'"):
        Desk(Path("none/text.txt"))


def test_what_is_not_saved_is_kept_and_what_is_saved_is_not(folder: Path) -> None:
    desk = Desk(Path("text.txt"))
    assert desk.keep() is None
    desk.manuscript.write("words", Writer.PERSON)
    assert not desk.is_saved
    kept = desk.keep()
    assert kept is not None
    assert kept.name == ".text.txt.charrnn-recovery"
    assert kept.read_text() == "words"
    desk.save()
    assert desk.is_saved
    assert names() == ["text.txt"]


def test_a_recovered_text_is_undone_to_that_of_the_file_and_the_old_recovery_goes(folder: Path) -> None:
    Path("text.txt").write_text("saved")
    first = Desk(Path("text.txt"))
    first.manuscript.write(", and more", Writer.PERSON)
    first.keep()
    second = Desk(Path("text.txt"))
    left = second.recovery.left()
    assert left is not None
    second.recover(left)
    assert second.manuscript.text == "saved, and more"
    assert not left.exists()
    assert second.recovery.path is not None
    assert second.recovery.path.read_text() == "saved, and more"
    second.manuscript.undo()
    assert second.manuscript.text == "saved"
    assert second.keep() is None
    assert names() == ["text.txt"]


def test_no_session_overwrites_what_another_keeps(folder: Path) -> None:
    sessions = [Desk(Path("text.txt")) for _ in range(3)]
    for number, desk in enumerate(sessions):
        desk.manuscript.write(f"of session {number}", Writer.PERSON)
        desk.keep()
    kept = sorted(Path().glob(".text.txt.charrnn-recovery*"))
    assert sorted(path.read_text() for path in kept) == ["of session 0", "of session 1", "of session 2"]
    assert sessions[0].recovery.left() not in (None, sessions[0].recovery.path)


def test_a_text_without_a_name_is_kept_and_saved_under_one(folder: Path) -> None:
    desk = Desk(None, "from a pipe")
    assert not desk.is_saved
    desk.keep()
    assert Recovery(None).left() == Path(".untitled.charrnn-recovery")
    Path("taken.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        desk.save_as(Path("taken.txt"))
    assert Path("taken.txt").read_text() == "mine"
    assert desk.file.path is None
    desk.save_as(Path("new.txt"))
    assert Path("new.txt").read_text() == "from a pipe"
    desk.manuscript.write(", and more", Writer.PERSON)
    desk.keep()
    assert Desk(Path("new.txt")).recovery.left() is not None
    desk.save()
    assert names() == ["new.txt", "taken.txt"]


def test_a_text_that_cannot_be_saved_is_not_saved(folder: Path) -> None:
    Path("gone").mkdir()
    desk = Desk(Path("gone/text.txt"))
    desk.manuscript.write("words", Writer.PERSON)
    Path("gone").rmdir()  # and not a folder without permission, as root may write anywhere
    with pytest.raises(ResourceError):
        desk.save()
    assert not desk.is_saved


def test_odd_names_have_recovery_files_too(folder: Path) -> None:
    Path("a[1]*.txt").write_text("")
    desk = Desk(Path("a[1]*.txt"))
    desk.manuscript.write("words", Writer.PERSON)
    desk.keep()
    assert Desk(Path("a[1]*.txt")).recovery.left() is not None
    assert Desk(Path("a1.txt")).recovery.left() is None
