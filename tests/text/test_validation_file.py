"""A text that is given for validation: all of the corpus is learned, and the file is what is held out."""

import gzip
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.errors import DataError, UsageError
from charrnn.settings.text import TextConfig
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import Corpus, read_corpus


def documents_in(corpus: Corpus, of: str = "tokens") -> list[str]:
    """The documents of a part, with ? for characters that are unknown."""
    tokens, vocabulary = getattr(corpus, of), corpus.vocabulary
    shown = [*vocabulary.characters, *("" for _ in vocabulary.starts), "", "?"]
    texts = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return ["".join(shown[token] for token in tokens.ids[a:b]) for a, b in texts]


def read(documents: str = "none", **more: object) -> Corpus:
    config = TextConfig(corpus=("a.txt", "b.txt"), validation_file="held.txt", documents=documents, **more)  # type: ignore[arg-type]
    return read_corpus(config, seed=1)


@pytest.fixture
def texts(folder: Path) -> Path:
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "b.txt").write_text("\nthree\n\nfour")
    (folder / "held.txt").write_text("een\ntwee\n\nzeven\n")
    return folder


DIVIDED = {
    "none": (["one\ntwo\n\nthree\n\nfour"], ["een\ntwee\n\nzeven\n"]),
    "line": (["one", "two", "three", "four"], ["een", "twee", "zeven"]),
    "blank": (["one\ntwo", "three", "four"], ["een\ntwee", "zeven"]),
    "file": (["one\ntwo\n", "\nthree\n\nfour"], ["een\ntwee\n\nzeven\n"]),
}


@pytest.mark.parametrize(("documents", "parts"), DIVIDED.items())
def test_all_of_the_corpus_is_learned_and_the_file_is_held_out(
    texts: Path, documents: str, parts: tuple[list[str], list[str]]
) -> None:
    corpus = read(documents)
    assert corpus.validation is not None
    known = corpus.vocabulary.characters
    held_out = ["".join(each if each in known else "?" for each in document) for document in parts[1]]
    assert documents_in(corpus) == parts[0]
    assert documents_in(corpus, of="validation") == held_out
    assert "z" not in known
    without = read_corpus(TextConfig(corpus=("a.txt", "b.txt"), documents=documents), seed=1)  # type: ignore[arg-type]
    alone = read_corpus(TextConfig(corpus=("held.txt",)), seed=1)
    assert (corpus.sha256, corpus.validation_sha256) == (without.sha256, alone.sha256)
    assert without.validation_sha256 is None


@pytest.mark.parametrize("documents", ["none", "line", "blank"])
@given(st.text("ab \n\r", min_size=2, max_size=30), st.text("ab \n\r", min_size=1, max_size=30))
def test_each_part_is_as_it_would_be_alone(
    tmp_path_factory: pytest.TempPathFactory, documents: str, learned: str, held_out: str
) -> None:
    paths = [tmp_path_factory.mktemp("split") / name for name in ("learned", "held")]
    for path, text in zip(paths, (learned, held_out), strict=True):
        path.write_bytes(text.encode())
    alone = [documents_in(read_corpus(TextConfig(corpus=(str(path),), documents=documents))) for path in paths]  # type: ignore[arg-type]
    assume(len("".join(alone[0])) > 1 and alone[1])
    config = TextConfig(corpus=(str(paths[0]),), validation_file=str(paths[1]), documents=documents)  # type: ignore[arg-type]
    corpus = read_corpus(config, seed=1)
    assert documents_in(corpus) == alone[0]
    known = set(corpus.vocabulary.characters)
    assert documents_in(corpus, of="validation") == [
        "".join(each if each in known else "?" for each in text) for text in alone[1]
    ]


def test_labels_are_taken_off_both(folder: Path) -> None:
    (folder / "a.txt").write_text("x\tone\ny\ttwo\nx\tthree\n")
    (folder / "b.txt").write_text("y\tfour\n")
    (folder / "held.txt").write_text("y\teen\nz\ttwee\n")
    corpus = read("line", labels=True)
    assert corpus.validation is not None
    assert (corpus.vocabulary.labels, corpus.vocabulary.label_counts) == (("x", "y", "z"), (2, 2, 1))
    starts = corpus.validation.ids[corpus.validation.offsets[:-1]].tolist()
    assert starts == [corpus.vocabulary.start_of("y"), corpus.vocabulary.start_of("z")]
    (folder / "held.txt").write_text("no label\n")
    with pytest.raises(DataError, match=r"held.txt: with labels each document is LABEL"):
        read("line", labels=True)


def test_the_encoded_copy_of_a_large_text_is_of_both(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = read("line")
    monkeypatch.setattr(corpus_module, "SMALL", 10)
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    for told in ("encoded it into", "read it encoded from"):
        large = read("line")
        assert large.validation is not None
        assert small.validation is not None
        assert any(told in notice for notice in large.notices)
        assert large.validation.ids.tolist() == small.validation.ids.tolist()
        assert large.tokens.ids.tolist() == small.tokens.ids.tolist()
    (texts / "held.txt").write_text("fourth\n")
    other = read("line")
    assert other.validation is not None
    assert documents_in(other, of="validation") == ["fourth"]
    assert len(list(Path("cache").iterdir())) == 2


def test_it_is_read_as_the_corpus_is(texts: Path) -> None:
    (texts / "held.gz").write_bytes(gzip.compress("einé\r\n".encode("utf-16")))
    for name in ("a.txt", "b.txt"):
        (texts / name).write_bytes((texts / name).read_text().encode("utf-16"))
    config = TextConfig(
        corpus=("a.txt", "b.txt"), validation_file="held.gz", encoding="utf-16", newlines="lf", normalize="nfd"
    )
    corpus = read_corpus(config, seed=1)
    assert corpus.validation is not None
    assert documents_in(corpus, of="validation") == ["e?ne?\n"]


def test_the_corpus_itself_as_validation_is_told(texts: Path) -> None:
    config = TextConfig(corpus=("a.txt",), validation_file="./a.txt")
    assert "./a.txt is the text that is learned; use another" in read_corpus(config, seed=1).notices
    assert not read().notices


def test_without_a_seed_there_is_no_split(texts: Path) -> None:
    config = TextConfig(corpus=("a.txt",), validation_file="none.txt")
    assert read_corpus(config).validation is None


def test_mistakes_are_told(texts: Path) -> None:
    with pytest.raises(UsageError, match="validation_file is all that is held out; it cannot go with validation"):
        TextConfig(validation_file="held.txt", validation=0.2)
    with pytest.raises(UsageError, match="not standard input"):
        TextConfig(validation_file="-")
    with pytest.raises(UsageError, match="not an empty text"):
        TextConfig(validation_file="")
    (texts / "held.txt").write_text("")
    with pytest.raises(DataError, match=r"held.txt has no text to validate by; name another file"):
        read()
    (texts / "held.txt").unlink()
    with pytest.raises(DataError, match=r"cannot read the text 'held.txt'"):
        read()
    (texts / "a.txt").write_text("1")
    (texts / "b.txt").write_text("")
    (texts / "held.txt").write_text("text enough")
    with pytest.raises(DataError, match="the text has 1 character; training needs at least 2"):
        read()
