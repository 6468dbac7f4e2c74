"""From files to documents: strict, in order, and with messages that help."""

import bz2
import gzip
import io
import lzma
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.errors import DataError, UsageError
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary
from tests.text.reading import documents_of, read, texts_of

texts = st.text(st.characters(exclude_categories=["Cs"]))
in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@in_a_folder
@given(text=texts.filter(lambda text: not text.startswith("\ufeff")))
def test_any_text_is_read_as_it_is(folder: Path, text: str) -> None:
    assert "".join(documents_of(read(write(folder / "a.txt", text.encode())))) == text


@in_a_folder
@given(data=st.binary())
def test_any_bytes_are_read_as_they_are(folder: Path, data: bytes) -> None:
    corpus = read(write(folder / "a.bin", data), unit="byte")
    assert "".join(documents_of(corpus)).encode("latin-1") == data


@in_a_folder
@given(before=texts, after=texts, mark=st.booleans())
def test_a_bad_byte_is_found_where_it_is(folder: Path, before: str, after: str, mark: bool) -> None:
    start = (b"\xef\xbb\xbf" if mark else b"") + before.encode()
    path = write(folder / "bad.txt", start + b"\xff" + after.encode())
    with pytest.raises(DataError) as caught:
        read(path)
    line = start.count(b"\n") + 1
    assert f"{path} is not utf-8: byte 0xff at offset {len(start)}, line {line} " in str(caught.value)


def test_files_are_joined_in_the_order_given(folder: Path) -> None:
    b, a = write(folder / "b.txt", b"second\n"), write(folder / "a.txt", b"first")
    assert documents_of(read(a, b)) == ("firstsecond\n",)
    assert documents_of(read(b, a)) == ("second\nfirst",)
    assert read(a, b).sha256 != read(b, a).sha256


def test_a_folder_is_its_text_files_at_any_depth_in_order(folder: Path) -> None:
    for name in ("t/b.txt", "t/a/z.md", "t/a/a.txt", "t/c.png"):
        write(folder / name, name.encode() + b";")
    write(folder / "t/d.txt.gz", gzip.compress(b"packed"))
    assert documents_of(read(folder / "t")) == ("t/a/a.txt;t/a/z.md;t/b.txt;packed",)


def test_a_glob_is_its_matches_in_order(folder: Path) -> None:
    for name in ("x/b.py", "x/y/a.py", "x/c.txt"):
        write(folder / name, name.encode() + b";")
    assert documents_of(read("x/**/*.py")) == ("x/b.py;x/y/a.py;",)


def test_a_file_whose_name_looks_like_a_glob_is_a_file(folder: Path) -> None:
    write(folder / "a[1].txt", b"itself")
    assert documents_of(read("a[1].txt")) == ("itself",)


def test_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress("von außen".encode()))))
    write(folder / "a.txt", b"1")
    assert documents_of(read("a.txt", "-")) == ("1von außen",)
    with pytest.raises(UsageError, match="only once"):
        read("-", "-")


def test_a_byte_order_mark_is_left_out_and_reported(folder: Path) -> None:
    corpus = read(write(folder / "a.txt", "\ufeffa\ufeffb".encode()))
    assert documents_of(corpus) == ("a\ufeffb",)
    at_start, within = corpus.notices
    assert at_start.startswith("left out the byte order mark")
    assert "kept as characters" in within


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf16_and_utf32_are_refused_by_name_and_read_when_named(folder: Path, encoding: str) -> None:
    path = write(folder / "a.txt", "héllo".encode(encoding))
    with pytest.raises(DataError, match=f"encoding='{encoding}'"):
        read(path)
    assert documents_of(read(path, encoding=encoding)) == ("héllo",)


def test_other_encodings_are_read_when_named(folder: Path) -> None:
    path = write(folder / "a.txt", "한국어".encode("cp949"))
    assert documents_of(read(path, encoding="cp949")) == ("한국어",)
    with pytest.raises(DataError, match="lone surrogate"):
        read(write(folder / "b.txt", b"+2AA-"), encoding="utf-7")


def test_line_ends_are_kept(folder: Path) -> None:
    assert documents_of(read(write(folder / "a.txt", b"a\r\nb\rc\n"))) == ("a\r\nb\rc\n",)


def test_nothing_is_normalised_unless_asked(folder: Path) -> None:
    path = write(folder / "a.txt", "e\u0301".encode())
    assert documents_of(read(path)) == ("e\u0301",)
    assert documents_of(read(path, normalize="nfc")) == ("\u00e9",)
    assert documents_of(read(path, normalize="nfd")) == ("e\u0301",)


def test_documents(folder: Path) -> None:
    a, b = write(folder / "a.txt", b"one\ntwo\r\n\r\n\nthree\nfour\n"), write(folder / "b.txt", b"five")
    assert documents_of(read(a, b)) == ("one\ntwo\r\n\r\n\nthree\nfour\nfive",)
    assert documents_of(read(a, b, documents="line")) == ("one", "two", "three", "four", "five")
    assert documents_of(read(a, b, documents="blank")) == ("one\ntwo", "three\nfour", "five")
    assert documents_of(read(a, b, documents="file")) == (a.read_bytes().decode(), "five")


@pytest.mark.parametrize(
    ("data", "tool"),
    [
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (lzma.compress(b"text"), "xz"),
        (bz2.compress(b"text", 1), "bzip2"),
        (b"PK\3\4....", "unzip"),
    ],
)
def test_other_compressions_are_refused_with_a_way_out(folder: Path, data: bytes, tool: str) -> None:
    with pytest.raises(DataError, match=f"make text of it first: {tool}"):
        read(write(folder / "a.txt", data))


def test_a_text_is_not_taken_for_a_compressed_one(folder: Path) -> None:
    for text in ("BZhang, Esq.", "PK", "7zXZ"):
        assert documents_of(read(write(folder / "a.txt", text.encode()))) == (text,)


def test_a_damaged_gzip_file(folder: Path) -> None:
    packed = gzip.compress(b"some text, long enough to be cut" * 9)
    for damaged in (packed[:-9], packed[:20] + b"\0\0\0\0" + packed[24:]):
        with pytest.raises(DataError, match="damaged gzip"):
            read(write(folder / "a.txt.gz", damaged))


def test_gzip_goes_by_name_or_by_its_first_bytes(folder: Path) -> None:
    packed = gzip.compress(b"text")
    assert documents_of(read(write(folder / "a", packed))) == ("text",)
    assert documents_of(read(write(folder / "a.gz", packed), unit="byte")) == ("text",)
    assert documents_of(read(write(folder / "a", packed), unit="byte")) == (packed.decode("latin-1"),)


def test_what_is_not_there(folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the text 'none\.txt': No such file"):
        read("none.txt")
    with pytest.raises(DataError, match="no file matches"):
        read("*.nothing")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"'empty' has no \*\.txt"):
        read("empty")
    with pytest.raises(UsageError, match="no text given"):
        read()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device files here")
def test_devices_are_refused_and_pipes_are_read(folder: Path) -> None:
    with pytest.raises(DataError, match="neither a file nor a folder"):
        read("/dev/zero")
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    assert documents_of(read(f"/dev/fd/{reader}")) == ("through a pipe",)
    os.close(reader)


def split(data: str, seed: int = 1, **options: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The documents to learn from, and those held out."""
    path = write(Path("split.txt"), data.encode())
    known = Vocabulary.of(data, "character")  # with what is held out
    corpus = read_corpus(TextConfig(corpus=(str(path),), **options), seed, known)  # type: ignore[arg-type]
    return documents_of(corpus), texts_of(corpus.validation, known)


@in_a_folder
@given(length=st.integers(3, 400), fraction=st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_validation_is_the_contiguous_end_of_a_running_text(folder: Path, length: int, fraction: float) -> None:
    text = "".join(chr(0x100 + k) for k in range(length))
    try:
        training, validation = split(text, validation=fraction)
    except DataError:
        assert length * (1 - fraction) < 2
        return
    assert "".join(training + validation) == text
    assert len(validation[0]) == length - int(length * (1 - fraction) + 1e-9)


def test_the_split_of_tiny_shakespeare_is_that_of_the_literature(folder: Path) -> None:
    assert [len(part[0]) for part in split("x" * 1_115_394)] == [1_003_854, 111_540]


@in_a_folder
@given(count=st.integers(2, 60), seed=st.integers(0, 5))
def test_a_random_share_of_documents_is_held_out_by_the_seed(folder: Path, count: int, seed: int) -> None:
    texts = [f"doc{k}" for k in range(count)]
    training, validation = split("\n".join(texts), seed, documents="line")
    assert sorted(training + validation) == sorted(texts)
    assert len(validation) == max(round(count / 10), 1)
    assert (training, validation) == split("\n".join(texts), seed, documents="line")
    assert list(training) == [text for text in texts if text in training]  # in their order
    assert list(validation) == [text for text in texts if text in validation]


def test_another_seed_holds_out_other_documents(folder: Path) -> None:
    text = "\n".join(map(str, range(100)))
    assert len({split(text, seed, documents="line")[1] for seed in range(5)}) == 5


def test_the_documents_that_a_seed_holds_out_stay_the_same(folder: Path) -> None:
    """A resumed run depends on it."""
    text = "\n".join(map(str, range(30)))
    assert split(text, 1, documents="line")[1] == ("7", "16", "21")


def test_validation_can_be_turned_off(folder: Path) -> None:
    assert split("abcdef", validation=0) == (("abcdef",), ())


def test_a_single_document_is_not_held_out(folder: Path) -> None:
    corpus = read(write(folder / "a.txt", b"abcdef"), seed=1, documents="file")
    assert corpus.validation is None
    assert "only one document" in corpus.notices[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has 0 characters; training needs at least 2"),
        ("a", "the text has 1 character; training needs at least 2"),
        ("ab", "the text has 2 characters, of which 1 would be left .* use validation=0"),
    ],
)
def test_too_little_text_says_what_there_is_and_what_is_needed(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(text)
