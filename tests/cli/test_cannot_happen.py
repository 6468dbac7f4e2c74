"""What cannot happen is told at once, and what silently would be much is told, too."""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from tests.conftest import InProcess, random_checkpoint

MODEL = ModelConfig("rnn", 1, 4, "one-hot", None, 0.0)
Trained = Callable[..., None]


@pytest.fixture
def trained(folder: Path) -> Trained:
    """Writes a model of a text."""

    def write(text: str, **changes: object) -> None:
        (folder / "corpus.txt").write_bytes(text.encode())
        config = TextConfig(corpus=("corpus.txt",), validation=0, **changes)  # type: ignore[arg-type]
        corpus = read_corpus(config)
        run = RunConfig(config, MODEL)
        run = replace(run, record=replace(run.record, corpus_sha256=corpus.sha256))
        (folder / "model").write_bytes(to_bytes(replace(random_checkpoint(MODEL, corpus.vocabulary), config=run)))

    return write


SAMPLE = ("sample", "--model", "model", "--seed", "1", "-n", "20")


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        ("abc\n", ("--stop", "Ω"), r"--stop 'Ω' never comes: the model never saw '\u03a9'; leave it out"),
        ("abc\n", ("--stop", "a", "--stop", "\\n\\n"), r"a newline is typed $'\n' in most shells"),
        ("abc ", ("--lines", "2"), "--lines counts newlines, and the model never saw one\n"),
        ("abc\r", ("--lines", "2"), "its lines end in CR; train with --newlines lf"),
    ],
)
def test_a_text_that_never_ends_is_told_of(
    trained: Trained, in_process: InProcess, text: str, arguments: tuple[str, ...], told: str
) -> None:
    trained(text * 9)
    out, error = in_process(*SAMPLE, *arguments, code=3)
    assert out == ""
    assert told in error


def test_a_text_that_may_end_is_not(trained: Trained, in_process: InProcess) -> None:
    trained("a\\nb\n" * 9)
    in_process(*SAMPLE, "--stop", "\\n", "--lines", "2")
    trained("abc\n" * 9, documents="line")
    in_process(*SAMPLE, "--lines", "1")  # the document ends


def test_a_large_unknown_share_is_told(trained: Trained, in_process: InProcess) -> None:
    trained("한국 text\n" * 9)
    Path("few.txt").write_text("한국 text\n" * 30 + "Ω")
    Path("many.txt").write_text("한국 Ω\n" * 9)
    Path("jamo.txt").write_text(unicodedata.normalize("NFD", "한국 text\n" * 9))
    assert "unknown to the model" not in in_process("eval", "few.txt", "--model", "model")[1]
    _, told = in_process("eval", "many.txt", "--model", "model")
    assert "19.6% of many.txt is unknown to the model and not scored ('Ω')" in told
    _, told = in_process("eval", "jamo.txt", "few.txt", "--model", "model")
    assert told.count("the model knows them in NFC: normalise the text") == 1


def test_a_sample_of_which_nothing_is_novel_but_empty_lines(trained: Trained, in_process: InProcess) -> None:
    trained("a\n")
    Path("a.txt").write_text("a")
    out, told = in_process(*SAMPLE, "--novel", "1", "--corpus", "a.txt")
    assert out.strip() == ""
    assert "--novel 1 left nothing to write but white space" in told
