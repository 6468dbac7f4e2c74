"""The labels of documents: taken off the text whatever it is read in, kept with their documents, refused when bad."""

import gzip
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.errors import DataError
from charrnn.settings.model import ModelConfig
from charrnn.settings.text import TextConfig
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.documents import mark_of
from charrnn.text.labels import Labels
from charrnn.text.sources import Source
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.text.reading import read

Labelled = list[tuple[str, str]]

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
labels = st.sampled_from(["sea", "hill", "한국", "with space", "é"])
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1, max_size=9)
labelled = st.lists(st.tuples(labels, lines), min_size=1, max_size=12)


def as_lines(documents: Labelled) -> str:
    return "".join(f"{label}\t{text}\n" for label, text in documents)


def documents_of(tokens: Tokens | None, vocabulary: Vocabulary) -> Labelled:
    """The documents, each with the label whose start token it has."""
    if tokens is None:
        return []
    pieces = [tokens.ids[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
    assert all(piece[-1] == vocabulary.end for piece in pieces)
    return [(vocabulary.labels[piece[0] - vocabulary.start], vocabulary.decode(piece[1:-1])) for piece in pieces]


def all_of(corpus: Corpus) -> Labelled:
    return documents_of(corpus.tokens, corpus.vocabulary)


@in_a_folder
@given(documents=labelled)
def test_lines_are_read_with_their_labels(folder: Path, documents: Labelled) -> None:
    (folder / "a.tsv").write_text(as_lines(documents), newline="")
    corpus = read("a.tsv", labels=True)
    counts = Counter(label for label, _ in documents)
    assert all_of(corpus) == documents
    assert dict(zip(corpus.vocabulary.labels, corpus.vocabulary.label_counts, strict=True)) == counts
    assert corpus.vocabulary.labels == tuple(sorted(counts))


@given(documents=labelled, cuts=st.lists(st.integers(0, 200), max_size=9), how=st.sampled_from(["line", "blank"]))
def test_a_text_has_the_same_labels_whatever_it_is_read_in(documents: Labelled, cuts: list[int], how: str) -> None:
    config = TextConfig(documents=how, labels=True)  # type: ignore[arg-type]
    mark = mark_of(config)
    text = mark + "".join(f"{label}\t{own}{mark}" for label, own in documents)
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(borders)]
    found = Labels(config)
    kept = "".join(found.taken_off(pieces, Source("a.tsv", b"", 0, Path("a.tsv"))))
    assert kept == mark + "".join(own + mark for _, own in documents)
    assert found.counts() == Counter(label for label, _ in documents)
    vocabulary = Vocabulary.of("a", "character", found.counts())
    assert found.starts(vocabulary).tolist() == [vocabulary.start_of(label) for label, _ in documents]


@given(text=st.text(min_size=1), names=st.sets(labels))
def test_labels_move_no_character_and_one_is_as_none(text: str, names: set[str]) -> None:
    plain, vocabulary = Vocabulary.of(text, "character"), Vocabulary.of(text, "character", dict.fromkeys(names, 1))
    assert vocabulary.encode(text).tolist() == plain.encode(text).tolist()
    assert vocabulary.start == plain.start
    assert vocabulary.size == plain.size + max(len(names) - 1, 0)
    assert [*vocabulary.starts, vocabulary.end, vocabulary.unknown] == list(range(vocabulary.start, vocabulary.size))
    assert len(vocabulary.byte_lengths) == vocabulary.size
    there_and_back = vocabulary.translation(plain)[plain.translation(vocabulary)]
    assert there_and_back.tolist() == list(range(plain.size))


def test_a_label_is_translated_by_its_name() -> None:
    own, model = Vocabulary.of("ab", "character", {"x": 1, "z": 1}), Vocabulary.of("b", "character", {"y": 1, "z": 1})
    expected = [model.unknown, 0, model.start, model.start_of("z"), model.end, model.unknown]
    assert own.translation(model).tolist() == expected


def test_a_model_with_labels_is_kept_and_one_without_says_nothing_of_them(folder: Path) -> None:
    config = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)
    for vocabulary in (Vocabulary.of("abc", "character", {"바다": 3, "hill": 1}), Vocabulary.of("abc", "character")):
        data = to_bytes(random_checkpoint(config, vocabulary))
        (folder / "model").write_bytes(data)
        found = from_file(folder / "model").vocabulary
        assert (found, found.label_counts) == (vocabulary, vocabulary.label_counts)
        assert (b'\\"label' in data) == bool(vocabulary.labels)


@pytest.fixture
def by_folders(folder: Path) -> Path:
    """Texts in a folder for each label, one of them by a link and one deeper down."""
    for path in ("texts/sea", "texts/more/hill", "elsewhere"):
        (folder / path).mkdir(parents=True)
    (folder / "texts/sea/1.txt").write_text("wave\nfoam\n")
    (folder / "texts/sea/2.txt").write_text("tide\tand ebb\n")
    (folder / "texts/more/hill/1.txt").write_text("\ncrag\n\n")
    (folder / "elsewhere/1.txt").write_text("street\n")
    (folder / "city").symlink_to("elsewhere")
    return folder


SEA = [("sea", "wave"), ("sea", "foam"), ("sea", "tide\tand ebb")]


@pytest.mark.usefixtures("by_folders")
def test_a_folder_is_the_label_of_the_files_in_it() -> None:
    assert all_of(read("texts", "city", labels=True)) == [("hill", "crag"), *SEA, ("city", "street")]
    files = all_of(read("texts", labels=True, documents="file"))
    assert files == [("hill", "\ncrag\n\n"), ("sea", "wave\nfoam\n"), ("sea", "tide\tand ebb\n")]


def test_the_current_folder_has_its_name(by_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(by_folders / "texts/sea")
    assert all_of(read(".", labels=True)) == SEA


@pytest.mark.usefixtures("by_folders")
def test_folders_and_labelled_lines_go_together() -> None:
    Path("a.tsv").write_text("hill\ttor\n")
    assert all_of(read("a.tsv", "texts/sea", labels=True)) == [("hill", "tor"), *SEA]


@pytest.mark.usefixtures("by_folders")
def test_a_text_is_another_when_a_folder_is_renamed() -> None:
    before, plain = read("texts", labels=True).sha256, read("texts").sha256
    Path("texts/sea").rename("texts/ocean")
    assert read("texts", labels=True).sha256 != before
    assert read("texts", documents="line").sha256 == plain


def test_what_is_held_out_keeps_its_labels(folder: Path) -> None:
    documents = [(name, f"{name} {k}") for k in range(30) for name in ("sea", "hill")]
    (folder / "a.tsv").write_text(as_lines(documents))
    corpus = read("a.tsv", labels=True, seed=1)
    held_out = documents_of(corpus.validation, corpus.vocabulary)
    assert len(held_out) == 6
    assert sorted(all_of(corpus) + held_out) == sorted(documents)
    assert {name for name, _ in held_out} == {"sea", "hill"}
    assert corpus.notices == ("labels: hill (30), sea (30)",)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that encoded texts are in, where any text counts as a large one."""
    monkeypatch.setattr(corpus_module, "SMALL", 10)
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    return Path("cache")


@pytest.mark.usefixtures("by_folders")
def test_a_large_text_is_kept_with_its_labels(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read("texts", labels=True, seed=1)
    monkeypatch.setattr(corpus_module, "SpooledText", None)  # by which it would be read again
    second = read("texts", labels=True, seed=1)
    assert all_of(first) == all_of(second)
    assert (first.vocabulary, first.vocabulary.label_counts) == (second.vocabulary, second.vocabulary.label_counts)
    config = TextConfig(corpus=("texts",), labels=True)
    assert all_of(read_corpus(config, 1, second.vocabulary)) == all_of(first)
    assert "labels: hill (1), sea (3)" in second.notices
    assert len(list(large.iterdir())) == 1


@pytest.mark.usefixtures("by_folders")
def test_labels_decide_which_file_a_large_text_is_kept_in(large: Path) -> None:
    assert len(all_of(read("texts", labels=True))) == 4
    read("texts", documents="line")
    config = TextConfig(corpus=("texts",), labels=True)
    assert [label for label, _ in all_of(read_corpus(config, labels=("sea",)))] == ["", "sea", "sea", "sea"]
    assert len(list(large.iterdir())) == 3
    shutil.copytree("texts", "copied")
    read("copied", labels=True)
    assert len(list(large.iterdir())) == 3
    Path("copied/sea").rename("copied/lake")
    assert {label for label, _ in all_of(read("copied", labels=True))} == {"hill", "lake"}


def test_labels_are_composed_however_the_text_is_normalised(folder: Path) -> None:
    for form in ("NFC", "NFD"):
        (folder / "a.tsv").write_text(unicodedata.normalize(form, "바다\t파도\n"))
        assert all_of(read("a.tsv", labels=True, normalize="nfd")) == [("바다", unicodedata.normalize("NFD", "파도"))]


def test_labels_of_bytes_are_text(folder: Path) -> None:
    (folder / "a.tsv").write_bytes("바다\t".encode() + b"\xff\x00\n")
    assert all_of(read("a.tsv", labels=True, unit="byte")) == [("바다", "\xff\0")]
    (folder / "a.tsv").write_bytes(b"\xff\twave\n")
    with pytest.raises(DataError, match=r"document 1 begins with '\\udcff' and a tab"):
        read("a.tsv", labels=True, unit="byte")


def test_documents_are_lines_if_nothing_else_is_said() -> None:
    assert TextConfig(labels=True) == TextConfig(labels=True, documents="line")
    assert TextConfig(labels=True, documents="file").documents == "file"


def test_a_document_with_nothing_but_a_label_is_none(folder: Path) -> None:
    (folder / "a.tsv").write_text("sea\t\nhill\tcrag\n\nlake\t")
    assert all_of(read("a.tsv", labels=True)) == [("hill", "crag")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wave\n", "a.tsv: .*; document 1 does not begin with one and a tab"),
        ("sea\twave\n\nfoam\n", "document 2 does not"),
        ("sea\twave\n\tfoam\n", "document 2 does not"),
        ("\x1b[2J\twave\n", r"document 1 begins with '\\x1b\[2J' and a tab"),
        ("\u202esea\twave\n", r"document 1 begins with '\\u202esea'"),
        ("x" * 101 + "\twave\n", "at most 100 printable characters"),
        ("x" * 5000, "document 1 does not"),
        ("".join(f"{k}\twave\n" for k in range(1001)), "more than 1,000 different labels, the last is '1000'"),
    ],
)
def test_a_document_without_a_proper_label_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "a.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read("a.tsv", labels=True)


def test_a_folder_whose_name_is_no_label_is_refused(folder: Path) -> None:
    (folder / "texts" / ("x" * 101)).mkdir(parents=True)
    (folder / "texts" / ("x" * 101) / "a.txt").write_text("wave\n")
    with pytest.raises(DataError, match="the name of its folder is to be a label of at most 100 printable characters"):
        read("texts", labels=True)


def test_where_labels_are_optional_only_known_ones_are_taken_off(folder: Path) -> None:
    (folder / "a.tsv").write_text("sea\twave\nwave\nseas\tfoam\n\tx\nsea\t\n")
    corpus = read_corpus(TextConfig(corpus=("a.tsv",), labels=True), labels=("hill", "sea"))
    assert all_of(corpus) == [("sea", "wave"), ("", "wave"), ("", "seas\tfoam"), ("", "\tx")]


def test_a_model_that_is_trained_further_keeps_its_labels(folder: Path) -> None:
    (folder / "a.tsv").write_text("sea\twave\nlake\tfoam\nlake\treed\n")
    known = Vocabulary.of("xyz", "character", {"hill": 5, "sea": 7})
    for _ in range(2):  # a run that goes on knows what it found
        config = TextConfig(corpus=("a.tsv",), labels=True)
        known = read_corpus(config, known=known).vocabulary
        assert (known.labels, known.label_counts) == (("hill", "lake", "sea"), (5, 2, 1))


@in_a_folder
@given(documents=st.lists(st.tuples(labels, lines), min_size=3, max_size=20), seed=st.integers(0, 5))
def test_labels_are_counted_where_they_are_learned(folder: Path, documents: Labelled, seed: int) -> None:
    (folder / "a.tsv").write_text(as_lines(documents), newline="")
    corpus = read("a.tsv", labels=True, seed=seed)
    learned = Counter(label for label, _ in documents_of(corpus.tokens, corpus.vocabulary))
    counts = dict(zip(corpus.vocabulary.labels, corpus.vocabulary.label_counts, strict=True))
    assert counts == {label: max(learned[label], 1) for label, _ in documents}


@pytest.mark.parametrize(
    ("names", "counts"),
    [(("b", "a"), (1, 1)), (("a", "a"), (1, 1)), (("a\n",), (1,)), (("a",), ()), (("a",), (0,)), ((), (1,))],
)
def test_labels_that_make_no_vocabulary(names: tuple[str, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="label"):
        Vocabulary("abc", "character", names, counts)


def test_tokens_begin_with_their_labels() -> None:
    vocabulary = Vocabulary.of("ab", "character", {"x": 1, "y": 1})
    tokens = tokenize(["a", "bb"], vocabulary, ["y", "x"])
    assert np.array_equal(tokens.ids, [3, 0, 4, 2, 1, 1, 4])
    with pytest.raises(ValueError, match="not in tuple"):
        tokenize(["a"], vocabulary, ["z"])


def test_a_packed_file_has_its_folder_too(folder: Path) -> None:
    (folder / "sea").mkdir()
    (folder / "sea/a.txt.gz").write_bytes(gzip.compress(b"wave\n"))
    assert all_of(read("sea", labels=True)) == [("sea", "wave")]
