"""Folders: which of their files are read, and what is told of them and of the others."""

import gzip
import os
import re
from pathlib import Path

import pytest

from charrnn.errors import DataError, UsageError
from charrnn.settings.tables import checked_keywords
from charrnn.settings.text import TextConfig
from tests.text.reading import documents_of, read

FILES = ("a.txt", "b.md", "src/c.py", "src/deep/d.py", "src/test_c.py", "e.rst", "Makefile", "src/f.txt")
HIDDEN = (".git/config.txt", ".venv/lib/a.txt", "src/._g.txt", ".hidden.md")


@pytest.fixture
def books(folder: Path) -> Path:
    for name in (*FILES, *HIDDEN):
        path = folder / "books" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name};")
    return folder / "books"


def names(**options: object) -> list[str]:
    return "".join(documents_of(read("books", **options))).rstrip(";").split(";")


@pytest.mark.usefixtures("books")
def test_hidden_files_and_folders_are_left_out() -> None:
    assert names() == ["a.txt", "b.md", "src/f.txt"]
    assert names(include=("*",)) == sorted(FILES, key=Path)
    assert documents_of(read("books/.git")) == (".git/config.txt;",)
    assert documents_of(read("books/.hidden.md")) == (".hidden.md;",)  # which are named outright


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ("*.py",)}, ["src/c.py", "src/deep/d.py", "src/test_c.py"]),
        ({"include": ("*.py", "*.rst")}, ["e.rst", "src/c.py", "src/deep/d.py", "src/test_c.py"]),
        ({"include": ("*.py",), "exclude": ("test_*",)}, ["src/c.py", "src/deep/d.py"]),
        ({"include": ("*.py",), "exclude": ("deep",)}, ["src/c.py", "src/test_c.py"]),
        ({"include": ("src/*.py",), "exclude": ("src/deep",)}, ["src/c.py", "src/test_c.py"]),
        ({"exclude": ("src", "*.md")}, ["a.txt"]),
        ({"include": ("Makefile",)}, ["Makefile"]),
    ],
)
def test_kinds_are_chosen_by_patterns(options: dict[str, object], expected: list[str]) -> None:
    assert names(**options) == expected


def test_packed_files_are_of_the_kind_that_they_hold(books: Path) -> None:
    (books / "z.py.gz").write_bytes(gzip.compress(b"z.py.gz;"))
    assert names(include=("*.py",))[-1] == "z.py.gz"
    assert names(include=("*.gz",)) == ["z.py.gz"]


def test_how_much_is_read_is_told(books: Path) -> None:
    told = "read 3 files of books, 21 bytes; left out 3 .py, 1 .rst, 1 without a suffix"
    assert sorted(re.split("[;,]", read("books").notices[0])) == sorted(re.split("[;,]", told))
    (books / "a.txt").write_text("x" * 2_500_000)
    (books / "x.py.gz").write_bytes(gzip.compress(b"x"))
    for number, kind in enumerate("abc"):
        (books / f"{number}.{kind}").write_text("x")
    (told,) = read("books").notices
    assert re.fullmatch(r"read 3 files of books, 2\.5 MB; left out 3 \.py, .* and \d other kinds", told)
    assert read("books/*.md", "books/src/*.py").notices == ("read 2 files of books/src/*.py, 23 bytes",)
    assert read("books/b.md").notices == ()


@pytest.mark.usefixtures("books")
def test_a_folder_without_the_kinds_names_those_that_are_there() -> None:
    with pytest.raises(DataError) as learning:
        read("books/src/deep", seed=1)
    assert str(learning.value) == (
        "the folder 'books/src/deep' has no *.txt or *.md; it has 1 .py: include '*.py' reads such"
    )
    with pytest.raises(DataError, match=r"name files by a glob, such as 'books/src/deep/\*\*/\*\.py'"):
        read("books/src/deep")  # to be scored, by commands that have no such setting
    with pytest.raises(DataError, match=r"has no \*\.c; it has 3 \.py"):
        read("books/src", include=("*.c",), seed=1)


@pytest.mark.usefixtures("books")
def test_kinds_without_a_folder_are_an_error() -> None:
    with pytest.raises(UsageError, match="include choose among the files of a folder, and no folder is given"):
        read("books/a.txt", "books/*.md", include=("*.py",), seed=1)
    assert read("books/a.txt", include=("*.py",)).tokens.targets  # of a model that learned a folder


def test_a_folder_that_cannot_be_read_is_told(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def forbid(path: str) -> object:  # the mode alone would not keep root out
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", forbid)
    with pytest.raises(DataError, match="cannot read the text 'books': Permission denied"):
        read("books")


def test_one_kind_is_given_as_a_text_in_python() -> None:
    assert checked_keywords({"include": "*.py"}, [TextConfig], "train") == {"include": ("*.py",)}
