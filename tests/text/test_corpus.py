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

from charrnn.config import TextConfig
from charrnn.errors import DataError, UsageError
from charrnn.text.corpus import Corpus, read_corpus, split_corpus

texts = st.text(st.characters(exclude_categories=["Cs"]))


def read(*sources: str | Path, **options: object) -> Corpus:
    return read_corpus(TextConfig(corpus=tuple(map(str, sources)), **options))  # type: ignore[arg-type]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts.filter(lambda text: not text.startswith("\ufeff")))
def test_any_text_is_read_as_it_is(folder: Path, text: str) -> None:
    assert "".join(read(write(folder / "a.txt", text.encode())).documents) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary())
def test_any_bytes_are_read_as_they_are(folder: Path, data: bytes) -> None:
    corpus = read(write(folder / "a.bin", data), unit="byte")
    assert "".join(corpus.documents).encode("latin-1") == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=texts, after=texts, mark=st.booleans())
def test_a_bad_byte_is_found_where_it_is(folder: Path, before: str, after: str, mark: bool) -> None:
    start = (b"\xef\xbb\xbf" if mark else b"") + before.encode()
    path = write(folder / "bad.txt", start + b"\xff" + after.encode())
    with pytest.raises(DataError) as caught:
        read(path)
    line = start.count(b"\n") + 1
    assert f"{path} is not utf-8: byte 0xff at offset {len(start)}, line {line} " in str(caught.value)
    assert "--encoding" in str(caught.value)
    assert "--unit byte" in str(caught.value)


def test_files_are_joined_in_the_order_given(folder: Path) -> None:
    b, a = write(folder / "b.txt", b"second\n"), write(folder / "a.txt", b"first")
    assert read(a, b).documents == ("firstsecond\n",)
    assert read(b, a).documents == ("second\nfirst",)
    assert read(a, b).sha256 != read(b, a).sha256


def test_a_folder_is_its_text_files_at_any_depth_in_order(folder: Path) -> None:
    for name in ("t/b.txt", "t/a/z.md", "t/a/a.txt", "t/c.png"):
        write(folder / name, name.encode() + b";")
    write(folder / "t/d.txt.gz", gzip.compress(b"packed"))
    assert read(folder / "t").documents == ("t/a/a.txt;t/a/z.md;t/b.txt;packed",)


def test_a_glob_is_its_matches_in_order(folder: Path) -> None:
    for name in ("x/b.py", "x/y/a.py", "x/c.txt"):
        write(folder / name, name.encode() + b";")
    assert read("x/**/*.py").documents == ("x/b.py;x/y/a.py;",)


def test_a_file_whose_name_looks_like_a_glob_is_a_file(folder: Path) -> None:
    write(folder / "a[1].txt", b"itself")
    assert read("a[1].txt").documents == ("itself",)


def test_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress("von außen".encode()))))
    write(folder / "a.txt", b"1")
    assert read("a.txt", "-").documents == ("1von außen",)
    with pytest.raises(UsageError, match="only once"):
        read("-", "-")


def test_a_byte_order_mark_is_left_out_and_reported(folder: Path) -> None:
    corpus = read(write(folder / "a.txt", "\ufeffa\ufeffb".encode()))
    assert corpus.documents == ("a\ufeffb",)
    assert len(corpus.notices) == 1
    assert "byte order mark" in corpus.notices[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf16_and_utf32_are_refused_by_name_and_read_when_named(folder: Path, encoding: str) -> None:
    path = write(folder / "a.txt", "héllo".encode(encoding))
    with pytest.raises(DataError, match=f"--encoding {encoding}"):
        read(path)
    assert read(path, encoding=encoding).documents == ("héllo",)


def test_other_encodings_are_read_when_named(folder: Path) -> None:
    path = write(folder / "a.txt", "한국어".encode("cp949"))
    assert read(path, encoding="cp949").documents == ("한국어",)
    with pytest.raises(DataError, match="lone surrogate"):
        read(write(folder / "b.txt", b"+2AA-"), encoding="utf-7")


def test_line_ends_are_kept(folder: Path) -> None:
    assert read(write(folder / "a.txt", b"a\r\nb\rc\n")).documents == ("a\r\nb\rc\n",)


def test_nothing_is_normalised_unless_asked(folder: Path) -> None:
    path = write(folder / "a.txt", "e\u0301".encode())
    assert read(path).documents == ("e\u0301",)
    assert read(path, normalize="nfc").documents == ("\u00e9",)
    assert read(path, normalize="nfd").documents == ("e\u0301",)


def test_documents(folder: Path) -> None:
    a, b = write(folder / "a.txt", b"one\ntwo\r\n\r\n\nthree\nfour\n"), write(folder / "b.txt", b"five")
    assert read(a, b).documents == ("one\ntwo\r\n\r\n\nthree\nfour\nfive",)
    assert read(a, b, documents="line").documents == ("one", "two", "three", "four", "five")
    assert read(a, b, documents="blank").documents == ("one\ntwo", "three\nfour", "five")
    assert read(a, b, documents="file").documents == (a.read_bytes().decode(), "five")


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
    with pytest.raises(DataError, match=f"{tool}.*charrnn train -"):
        read(write(folder / "a.txt", data))


def test_a_text_is_not_taken_for_a_compressed_one(folder: Path) -> None:
    for text in ("BZhang, Esq.", "PK", "7zXZ"):
        assert read(write(folder / "a.txt", text.encode())).documents == (text,)


def test_a_damaged_gzip_file(folder: Path) -> None:
    packed = gzip.compress(b"some text, long enough to be cut" * 9)
    for damaged in (packed[:-9], packed[:20] + b"\0\0\0\0" + packed[24:]):
        with pytest.raises(DataError, match="damaged gzip"):
            read(write(folder / "a.txt.gz", damaged))


def test_gzip_goes_by_name_or_by_its_first_bytes(folder: Path) -> None:
    packed = gzip.compress(b"text")
    assert read(write(folder / "a", packed)).documents == ("text",)
    assert read(write(folder / "a.gz", packed), unit="byte").documents == ("text",)
    assert read(write(folder / "a", packed), unit="byte").documents == (packed.decode("latin-1"),)


def test_what_is_not_there(folder: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the text 'none\.txt': No such file"):
        read("none.txt")
    with pytest.raises(DataError, match="no file matches"):
        read("*.nothing")
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"'empty' has no \.txt"):
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
    assert read(f"/dev/fd/{reader}").documents == ("through a pipe",)
    os.close(reader)


def corpus_of(*documents: str) -> Corpus:
    return Corpus(documents, "0", ())


@given(st.integers(3, 400), st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_validation_is_the_contiguous_end_of_a_running_text(length: int, fraction: float) -> None:
    text = "".join(chr(0x100 + k) for k in range(length))
    try:
        split = split_corpus(corpus_of(text), TextConfig(validation=fraction), seed=1)
    except DataError:
        assert length * (1 - fraction) < 2
        return
    assert "".join(split.training + split.validation) == text
    assert len(split.validation[0]) == length - int(length * (1 - fraction) + 1e-9)


def test_the_split_of_tiny_shakespeare_is_that_of_the_literature() -> None:
    split = split_corpus(corpus_of("x" * 1_115_394), TextConfig(), seed=1)
    assert [len(part[0]) for part in (split.training, split.validation)] == [1_003_854, 111_540]


@given(st.integers(2, 60), st.integers(0, 5))
def test_a_random_share_of_documents_is_held_out_by_the_seed(count: int, seed: int) -> None:
    documents = [f"doc{k}" for k in range(count)]
    config = TextConfig(documents="line")
    split = split_corpus(corpus_of(*documents), config, seed)
    assert sorted(split.training + split.validation) == sorted(documents)
    assert len(split.validation) == max(round(count / 10), 1)
    assert split == split_corpus(corpus_of(*documents), config, seed)
    assert list(split.training) == [text for text in documents if text in split.training]  # in their order


def test_another_seed_holds_out_other_documents() -> None:
    corpus = corpus_of(*(str(k) for k in range(100)))
    splits = {split_corpus(corpus, TextConfig(documents="line"), seed).validation for seed in range(5)}
    assert len(splits) == 5


def test_validation_can_be_turned_off() -> None:
    split = split_corpus(corpus_of("abcdef"), TextConfig(validation=0), seed=1)
    assert split == (("abcdef",), (), ())


def test_a_single_document_is_not_held_out() -> None:
    split = split_corpus(corpus_of("abcdef"), TextConfig(documents="file"), seed=1)
    assert split.validation == ()
    assert "only one document" in split.notices[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text has 0 characters; training needs at least 2"),
        ("a", "the text has 1 character; training needs at least 2"),
        ("ab", "the text has 2 characters, of which 1 would be left .* use --validation 0"),
    ],
)
def test_too_little_text_says_what_there_is_and_what_is_needed(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_corpus(corpus_of(*([text] if text else [])), TextConfig(), seed=1)
