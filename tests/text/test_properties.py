"""Bytes in, bytes out: any text survives the way to token ids and back, and a bad byte is found exactly where it is."""

import encodings.aliases
import gzip
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from charrnn.errors import CharrnnError, DataError, UsageError
from charrnn.sampling.prime import encode_prime
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import Corpus
from charrnn.text.vocabulary import Vocabulary, normalized
from tests.text.reading import documents_of, read

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

# Characters that a careless program loses: NUL, controls, line ends, marks, noncharacters, other planes, jamo, accents.
PECULIAR = "\0\x1a\x1b\x7f\x85\n\r\u0301\u0323\u1100\u1161\u11a8\u200d\u2028\u202e\ufeff\ufdd0\ufffd\uffff"
PECULIAR += "\ud7ff\ue000\U00010000\U0001f469\U0001fffe\U000e0041\U0010ffff"
characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from(PECULIAR)
texts = st.text(characters)
lines = st.text(st.sampled_from("ab한\r\n\u2028\x0b\x85"), max_size=30)

BAD_SEQUENCES = {
    "a byte of no character": b"\xff",
    "a continuation without a start": b"\x80",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xe0\x80\x80",
    "a high surrogate": b"\xed\xa0\x80",
    "a low surrogate": b"\xed\xbf\xbf",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "two of three bytes": b"\xed\x95",
    "three of four bytes": b"\xf0\x9f\x91",
}
bad_sequences = st.sampled_from(list(BAD_SEQUENCES.values()))


def refusal(path: Path, data: bytes, **options: object) -> str:
    """What is said of a file with such content."""
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(texts)
@example(PECULIAR)
@example("\u1112\u1161\u11ab\ud55c")
@example("e\u0301\u00e9")
@example("")
def test_characters_survive_encoding_and_decoding(text: str) -> None:
    vocabulary = Vocabulary.of(text, "character")
    assert list(vocabulary.characters) == sorted(set(text))
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.to_bytes(vocabulary.decode(vocabulary.encode(text))) == text.encode()


@pytest.mark.slow
def test_every_character_of_unicode_survives() -> None:
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    vocabulary = Vocabulary.of(everything[::-1], "character")
    assert vocabulary.characters == everything
    assert vocabulary.decode(vocabulary.encode(everything)) == everything


@given(st.binary())
@example(bytes(range(256)))
def test_bytes_survive_encoding_and_decoding(data: bytes) -> None:
    vocabulary = Vocabulary.of("", "byte")
    ids = encode_prime(data.decode("utf-8", "surrogateescape"), TextConfig(unit="byte"), vocabulary)
    assert ids.tolist() == list(data)
    assert vocabulary.to_bytes(vocabulary.decode(ids)) == data


@in_a_folder
@given(data=st.binary())
def test_a_file_is_text_exactly_where_it_is_utf8(folder: Path, data: bytes) -> None:
    path = folder / "a.txt"
    path.write_bytes(b"x" + data)  # so that nothing at its start is taken for a mark or a compression
    if is_utf8(data):
        assert "".join(documents_of(read(path))).encode() == b"x" + data
    else:
        place = max(k for k in range(len(data)) if is_utf8(data[:k]))
        line = data[:place].count(b"\n") + 1
        said = f"byte 0x{data[place]:02x} at offset {place + 1}, line {line} "
        assert said in refusal(path, b"x" + data)


@in_a_folder
@given(before=texts, bad=bad_sequences, after=texts, mark=st.booleans(), packed=st.booleans())
def test_a_bad_sequence_is_found_where_it_begins(
    folder: Path, before: str, bad: bytes, after: str, mark: bool, packed: bool
) -> None:
    start = (b"\xef\xbb\xbf" if mark else b"") + before.encode()
    data = start + bad + after.encode()
    path = folder / ("bad.txt.gz" if packed else "bad.txt")
    said = refusal(path, gzip.compress(data, 1) if packed else data)
    line = start.count(b"\n") + 1
    assert f"{path} is not utf-8: byte 0x{bad[0]:02x} at offset {len(start)}, line {line} " in said
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("bad", BAD_SEQUENCES.values(), ids=BAD_SEQUENCES.keys())
@pytest.mark.parametrize("size", [2**16, 2**17, 2**20 + 2**16])
def test_a_bad_sequence_is_found_around_the_borders_of_reads(folder: Path, bad: bytes, size: int) -> None:
    line = "한국어 — \U0001f600\r\n".encode()
    for offset in range(size - 3, size + 4):
        start = (line * (offset // len(line))).ljust(offset, b".")
        number = start.count(b"\n") + 1
        said = refusal(folder / "bad.txt", start + bad + line)
        assert f": byte 0x{bad[0]:02x} at offset {offset}, line {number} " in said


def test_lines_are_counted_in_the_encoding_of_the_text(folder: Path) -> None:
    data = "\u0a0a\u0a0a\n".encode("utf-16-le") + b"\x00\xdc"
    assert "byte 0x00 at offset 6, line 2 " in refusal(folder / "a.txt", data, encoding="utf-16-le")


@settings(in_a_folder, max_examples=300)
@given(encoding=st.sampled_from(sorted(set(encodings.aliases.aliases.values()))), data=st.binary(min_size=1))
def test_bytes_are_read_or_refused_in_any_encoding(folder: Path, encoding: str, data: bytes) -> None:
    path = folder / "a.bin"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python's own escapes
        try:
            outcome: Corpus | CharrnnError = read(path, encoding=encoding)
        except CharrnnError as error:
            outcome = error
    if isinstance(outcome, CharrnnError):
        assert 1 <= len(str(outcome).splitlines()) <= 3
    else:
        assert all(is_utf8(document.encode()) for document in documents_of(outcome))


@in_a_folder
@given(text=lines)
def test_line_ends_stay_or_become_lf(folder: Path, text: str) -> None:
    path = folder / "a.txt"
    path.write_bytes(b"." + text.encode())
    assert documents_of(read(path)) == ("." + text,)
    (made,) = documents_of(read(path, newlines="lf"))
    assert made == "." + "\n".join(text.replace("\r\n", "\n").split("\r"))
    assert normalized(made, None, "lf") == made
    assert read(path, newlines="lf").sha256 == read(path).sha256  # the sources are the same


@in_a_folder
@given(text=lines, documents=st.sampled_from(["line", "blank", "file"]))
def test_documents_are_told_apart_by_the_line_ends_made(folder: Path, text: str, documents: str) -> None:
    raw, made = folder / "raw.txt", folder / "made.txt"
    raw.write_bytes(text.encode())
    made.write_bytes(normalized(text, None, "lf").encode())
    assert documents_of(read(raw, newlines="lf", documents=documents)) == documents_of(read(made, documents=documents))


@in_a_folder
@given(text=lines)
def test_line_ends_of_several_kinds_are_counted(folder: Path, text: str) -> None:
    path = folder / "a.txt"
    path.write_bytes(text.encode())
    rest = text.replace("\r\n", "")
    counts = {"CRLF": text.count("\r\n"), "LF": rest.count("\n"), "CR": rest.count("\r")}
    counted = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    others = bool(counts["CRLF"] or counts["CR"])
    kept, made = read(path).notices, read(path, newlines="lf").notices
    assert len(kept) == others
    assert all(counted in notice for notice in kept)
    assert len(made) == others
    assert all(counted in notice for notice in made)
    assert read(path, unit="byte").notices == ()


def test_a_line_end_across_two_files_is_one(folder: Path) -> None:
    for name, data in {"a": b"1\r", "b": b"\n2"}.items():
        (folder / name).write_bytes(data)
    corpus = read("a", "b", newlines="lf")
    assert documents_of(corpus) == ("1\n2",)


def test_bytes_keep_their_line_ends() -> None:
    with pytest.raises(UsageError, match="newlines='lf'"):
        TextConfig(unit="byte", newlines="lf")


def test_a_record_from_before_there_was_a_choice_keeps_line_ends() -> None:
    recorded = RunConfig().to_mapping()
    assert recorded["text"].pop("newlines") == "keep"
    assert RunConfig.from_mapping(recorded, "run.toml") == RunConfig()
    chosen = RunConfig(text=TextConfig(newlines="lf"))
    assert RunConfig.from_mapping(chosen.to_mapping(), "run.toml") == chosen
