"""A text read in pieces of any size is what it is when it is read as a whole, and so is what is said of it."""

import codecs
import gzip
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from charrnn.errors import DataError
from charrnn.settings.text import TextConfig
from charrnn.text import corpus as corpus_module
from charrnn.text import sources
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.documents import mark_of, marked_documents, treated
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary
from tests.text.reading import documents_of, read, texts_of

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)

# What falls apart between two pieces: line ends, blank lines, marks, jamo, vowel signs and sound marks that compose.
ALPHABET = "ab \t\r\n\r\n\n\u00e9\u0301\u0323\u0345e\u1100\u1161\u11a8\uac00\ud55c\u09c7\u09be"
ALPHABET += "\uff76\uff9e\ufb01\ufeff\U0001f469\u200d"
texts = st.text(st.sampled_from(ALPHABET), max_size=60)
chunk_sizes = st.integers(1, 7)
configs = st.builds(
    TextConfig,
    unit=st.just("character"),
    normalize=st.sampled_from([None, "nfc", "nfd", "nfkc"]),
    newlines=st.sampled_from(["keep", "lf"]),
    documents=st.sampled_from(["none", "line", "blank", "file"]),
    validation=st.sampled_from([0.0, 0.1, 0.5]),
) | st.builds(TextConfig, unit=st.just("byte"), documents=st.sampled_from(["none", "line", "blank", "file"]))


def whole_documents(data: list[bytes], config: TextConfig) -> list[str]:
    """The documents of sources, from all of their text at once."""
    encoding = "latin-1" if config.unit == "byte" else "utf-8-sig"
    whole = [piece.decode(encoding) for piece in data]
    documents = []
    for text in ["".join(whole)] if config.documents == "none" else whole:
        if config.newlines == "lf":
            text = re.sub("\r\n?", "\n", text)
        separator = {"line": r"\r?\n", "blank": r"\r?\n(?:[ \t]*\r?\n)+"}.get(config.documents)
        for document in re.split(separator, text) if separator else [text]:
            if config.documents == "blank":
                document = document.strip("\r\n")
            if config.normalize:
                document = unicodedata.normalize(config.normalize.upper(), document)
            documents += [document] if document else []
    return documents


def whole_line_ends(data: list[bytes], config: TextConfig) -> str:
    """How many there are of each kind, as a notice has it."""
    joined = b"".join(data) if config.documents == "none" else b"|".join(data)
    crlf, lf, cr = (len(re.findall(kind, joined)) for kind in (b"\r\n", b"(?<!\r)\n", b"\r(?!\n)"))
    return ", ".join(f"{n} {kind}" for n, kind in ((crlf, "CRLF"), (lf, "LF"), (cr, "CR")) if n)


def whole_split(documents: list[str], config: TextConfig, seed: int) -> tuple[list[str], list[str]]:
    """Documents to learn from, and those held out."""
    if config.documents == "none" and config.validation:
        (text,) = documents
        cut = min(int(len(text) * (1 - config.validation) + 1e-9), len(text) - 1)
        return [text[:cut]], [text[cut:]]
    if not config.validation or len(documents) == 1:
        return documents, []
    count = min(max(round(len(documents) * config.validation), 1), len(documents) - 1)
    chosen = np.random.default_rng(seed).permutation(len(documents))[:count].tolist()
    return [text for k, text in enumerate(documents) if k not in chosen], [documents[k] for k in sorted(chosen)]


def read_in_pieces(
    names: list[str],
    config: TextConfig,
    size: int,
    seed: int | None = None,
    small: int = 2**24,
    known: Vocabulary | None = None,
) -> Corpus:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", size)
        patch.setattr(corpus_module, "SMALL", small)
        patch.setenv("CHARRNN_CACHE", "cache")
        return read_corpus(TextConfig(**{**vars(config), "corpus": tuple(names)}), seed, known=known)


def written(data: list[bytes], packed: bool = False) -> list[str]:
    names = [f"{k}.txt{'.gz' * packed}" for k in range(len(data))]
    for name, piece in zip(names, data, strict=True):
        Path(name).write_bytes(gzip.compress(piece, 1) if packed else piece)
    return names


@in_a_folder
@given(parts=st.lists(texts, min_size=1, max_size=3), config=configs, size=chunk_sizes, packed=st.booleans())
@example(parts=["a\r", "\nb"], config=TextConfig(newlines="lf"), size=1, packed=False)
@example(parts=["\r\n \n\n\r \r\n\na\n\n \r\n\t\nb \n \n"], config=TextConfig(documents="blank"), size=1, packed=False)
@example(parts=["\ufeffa", "\ufeffb"], config=TextConfig(), size=2, packed=True)
def test_pieces_make_the_whole(folder: Path, parts: list[str], config: TextConfig, size: int, packed: bool) -> None:
    data = [part.encode() for part in parts]
    corpus = read_in_pieces(written(data, packed), config, size)
    expected = whole_documents(data, config)
    assert documents_of(corpus) == tuple(expected)
    assert corpus.sha256 == hashlib.sha256(b"".join(len(d).to_bytes(8, "little") + d for d in data)).hexdigest()
    assert corpus.vocabulary == Vocabulary.of("".join(expected), config.unit)
    character = config.unit == "character"
    marks = [notice for notice in corpus.notices if "left out the byte order mark" in notice]
    assert len(marks) == (character and any(d.startswith(codecs.BOM_UTF8) for d in data))  # one for all
    counted = whole_line_ends(data, config)
    kept = counted if config.documents != "line" else ", ".join(re.findall("[0-9,]+ CR$", counted))
    is_told = "CR" in (counted if config.newlines == "lf" else kept)
    told = [notice for notice in corpus.notices if counted and counted in notice]
    assert len(told) == (character and is_told)


@in_a_folder
@given(text=texts, config=configs, size=chunk_sizes, seed=st.integers(0, 3))
def test_what_is_held_out_is_that_of_the_whole_in_memory_and_on_disk(
    folder: Path, text: str, config: TextConfig, size: int, seed: int
) -> None:
    names = written([text.encode()])
    expected = whole_documents([text.encode()], config)
    everything = Vocabulary.of("".join(expected), config.unit)
    try:
        in_memory = read_in_pieces(names, config, size, seed, known=everything)
    except DataError:
        assert sum(map(len, whole_split(expected, config, seed)[0] if expected else [])) < 2
        return
    parts = tuple(map(tuple, whole_split(expected, config, seed)))
    for corpus in (in_memory, *(read_in_pieces(names, config, size, seed, -1, everything) for _ in range(2))):
        assert (documents_of(corpus), texts_of(corpus.validation, corpus.vocabulary)) == parts
        assert (corpus.vocabulary, corpus.sha256) == (in_memory.vocabulary, in_memory.sha256)
        assert [notice for notice in corpus.notices if "the text is large" not in notice] == list(in_memory.notices)
        assert corpus.tokens.ids.dtype == in_memory.tokens.ids.dtype


@in_a_folder
@given(text=texts, config=configs, size=chunk_sizes, seed=st.integers(0, 3))
def test_the_vocabulary_is_that_of_what_is_learned(
    folder: Path, text: str, config: TextConfig, size: int, seed: int
) -> None:
    names, documents = written([text.encode()]), whole_documents([text.encode()], config)
    learned, held_out = whole_split(documents, config, seed) if documents else ([], [])
    if sum(map(len, learned)) < 2:
        return
    for small in (2**24, -1):
        corpus = read_in_pieces(names, config, size, seed, small)
        assert corpus.vocabulary == corpus.own_vocabulary == Vocabulary.of("".join(learned), config.unit)
        assert set(corpus.characters) == set("".join(documents))
        unknown = sum(each not in corpus.vocabulary.characters for each in "".join(held_out))
        found = 0 if corpus.validation is None else int((corpus.validation.ids == corpus.vocabulary.unknown).sum())
        assert found == unknown


@in_a_folder
@given(text=texts, config=configs, size=chunk_sizes)
def test_bytes_are_those_of_the_text_as_it_was(folder: Path, text: str, config: TextConfig, size: int) -> None:
    plain = TextConfig(**{**vars(config), "normalize": None, "newlines": "keep"})
    if config.documents == "blank" or (config.documents == "line" and config.newlines == "lf"):
        text = re.sub("\r(?!\n)", "", text)  # which would end other lines when treated
    names = written([text.encode()])
    before, after = (
        sum(len(vocabulary_bytes(each, config)) for each in documents_of(read_in_pieces(names, own, size)))
        for own in (plain, config)
    )
    assert read_in_pieces(names, config, size).bytes_before * after == before


def vocabulary_bytes(text: str, config: TextConfig) -> bytes:
    return text.encode("latin-1" if config.unit == "byte" else "utf-8")


# Letters, and what joins those before it: marks of several classes, jamo, vowel signs, sound marks, and compositions.
JOINING = "ae \u0301\u0323\u0345\u0344\u1100\u1161\u11a8\uac00\u09c7\u09be\u30ab\u3099"
JOINING += "\uff76\uff9e\uffc2\ufb01\U000110b9\U000110ba"
pieces = st.lists(st.text(st.sampled_from(JOINING), min_size=1, max_size=3), min_size=5, max_size=30)


@settings(max_examples=300)
@given(pieces=pieces, form=st.sampled_from(["nfc", "nfd", "nfkc"]))
def test_normalised_pieces_make_the_normalised_whole(pieces: list[str], form: str) -> None:
    config = TextConfig(normalize=form)  # type: ignore[arg-type]
    found = "".join(treated(marked_documents(pieces, config, Counter()), config)).replace(mark_of(config), "")
    assert found == unicodedata.normalize(form.upper(), "".join(pieces))


def test_every_composition_of_unicode_is_kept_together() -> None:
    compositions = [c for c in map(chr, range(0x110000)) if len(unicodedata.decomposition(c).split()) == 2]
    for form in ("nfc", "nfkc"):
        config = TextConfig(normalize=form)  # type: ignore[arg-type]
        for composed in compositions:
            parts = unicodedata.normalize("NFD", composed)
            found = "".join(treated(marked_documents(parts, config, Counter()), config)).replace(mark_of(config), "")
            assert found == unicodedata.normalize(form.upper(), parts)


ENCODINGS = [
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "cp949", "shift_jis", "euc_jis_2004", "gb18030"),
    *("big5hkscs", "hz", "iso2022_kr", "iso2022_jp_2", "johab", "latin-1", "cp1252", "ascii", "raw_unicode_escape"),
]


@in_a_folder
@given(
    encoding=st.sampled_from(ENCODINGS),
    text=st.text(st.sampled_from("ab\r\n\u00e9\uac00\u6f22\u3042~{}+-\\"), max_size=12),
    noise=st.binary(max_size=4) | st.sampled_from([b"", b"+2AA-", b"\xff", b"\x1b$)C", b"\\ud800", b"\x00\xd8"]),
    after=st.binary(max_size=3),
    size=chunk_sizes,
)
@example(encoding="utf-16-be", text="\\" * 8, noise=b"", after=b"", size=1)
@example(encoding="utf-7", text="", noise=b"+2AA-", after=b"\x80", size=1)
def test_what_is_said_does_not_depend_on_the_pieces(
    folder: Path, encoding: str, text: str, noise: bytes, after: bytes, size: int
) -> None:
    data = b"." + text.encode(encoding, "ignore") + noise + after
    names, config = written([data]), TextConfig(encoding=encoding)

    def outcome(chunk: int) -> object:
        try:
            corpus = read_in_pieces(names, config, chunk)
        except DataError as error:
            return str(error)
        return documents_of(corpus), corpus.notices

    whole = outcome(2**20)
    assert outcome(size) == whole
    assert said_of(data, encoding) in str(whole)


def said_of(data: bytes, encoding: str) -> str:
    """Where the first bytes are that are no text, or that the whole is read."""
    try:
        text = data.decode(encoding)
        text.encode()
    except UnicodeDecodeError as error:
        return f"offset {len(data) - len(error.object) + error.start},"
    except UnicodeError:
        return "lone surrogate"
    return repr((text,) if text else ())


def test_blank_lines_without_end_take_no_room(folder: Path) -> None:
    """However many, they are held back until it is known what comes after them."""
    (name,) = written([b"a" + b" \n\t\r\n" * 200_000 + b"b"])
    assert documents_of(read_in_pieces([name], TextConfig(documents="blank"), 4096)) == ("a ", "b")


def once_digested(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Have something done between the two times that a source is read."""
    real = corpus_module.sha256_of

    def digested(found: list[Source]) -> str:
        sha256 = real(found)
        change()
        return sha256

    monkeypatch.setattr(corpus_module, "sha256_of", digested)


@pytest.mark.parametrize(("after", "said"), [(b"other text", "changed while"), (b"short", "became shorter while")])
def test_a_source_that_changes_while_it_is_read_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, after: bytes, said: str
) -> None:
    path = folder / "a.txt"
    path.write_bytes(b"a whole te")
    once_digested(monkeypatch, lambda: path.write_bytes(after))
    with pytest.raises(DataError, match=f"a.txt {said}"):
        read("a.txt")


def test_what_is_added_while_a_source_is_read_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "a.txt"
    path.write_bytes(b"a log")
    once_digested(monkeypatch, lambda: path.write_bytes(b"a log that grows"))
    assert documents_of(read("a.txt")) == ("a log",)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_file_that_does_not_tell_its_size_is_read(folder: Path) -> None:
    assert documents_of(read("/proc/self/comm")) == (Path("/proc/self/comm").read_text(),)
