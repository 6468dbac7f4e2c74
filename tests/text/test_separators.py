"""Documents that are divided by a text of their own: between them, or at the beginning of each."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import UsageError
from charrnn.evaluation.evaluate import open_reading
from charrnn.settings.text import TextConfig
from charrnn.text import sources
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.training.loop import resume, train
from tests.conftest import InProcess, everything, tiny_run
from tests.text.reading import documents_of, read

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)

PGN = '[Event "A"]\n[Site "x"]\n\n1. e4 e5\n\n\n[Event "B"]\n\n1. d4 [Event] d5\n'


def divided(text: str, **options: object) -> tuple[str, ...]:
    Path("a.txt").write_bytes(text.encode())
    return documents_of(read("a.txt", **options))


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("one\n%\ntwo\n%\n\nthree\n%\n", {"separator": "%"}, ("one", "two", "three")),
        ("one\n%\n%\ntwo 5%\r\n%\r\nthree\n%", {"separator": r"\n%\n"}, ("one", "two 5%", "three")),
        ("%\none\n%\n%x\n", {"separator": r"\n%\n"}, ("one", "%x")),
        ("<s>one<s>t\n\nwo<s><s>three", {"separator": "<s>"}, ("one", "t\n\nwo", "three")),
        ("one---two", {"separator": "--"}, ("one", "-two")),
        (r"one\two", {"separator": r"\\"}, ("one", "two")),
        ("one\ttwo", {"separator": r"\t"}, ("one", "two")),
        ("one\n\n\n\ntwo\n\nthree", {"separator": r"\n\n\n"}, ("one", "two\n\nthree")),
        ("one§two", {"separator": "§", "unit": "byte"}, ("one", "two")),
        ("one|two", {"separator": "|", "newlines": "lf", "normalize": "nfc"}, ("one", "two")),
        (PGN, {"starts_with": "[Event "}, tuple(PGN.rstrip().split("\n\n\n"))),
        (
            PGN.replace("\n", "\r\n"),
            {"starts_with": r"\n[Event ", "newlines": "lf"},
            tuple(PGN.rstrip().split("\n\n\n")),
        ),
        ("intro\nCHAPTER 1\na\nCHAPTER 2", {"starts_with": "CHAPTER"}, ("intro", "CHAPTER 1\na", "CHAPTER 2")),
        ("a\n\nb\nb", {"starts_with": r"\nb"}, ("a", "b\nb")),
    ],
)
def test_documents_are_told_apart(
    folder: Path, text: str, options: dict[str, object], expected: tuple[str, ...]
) -> None:
    found = divided(text, **options)
    if options.get("unit") == "byte":
        found = tuple(each.encode("latin-1").decode() for each in found)
    assert found == expected


def test_each_file_ends_a_document(folder: Path) -> None:
    for name, text in {"a": "one%two", "b": "three\n%\nfour"}.items():
        (folder / name).write_text(text)
    assert documents_of(read("a", "b", separator="%")) == ("one", "two", "three", "four")


@in_a_folder
@given(
    text=st.text("a%<\r\n\r\n", max_size=40),
    separator=st.sampled_from(["%", "%%", r"\n%\n", r"\n\n", r"%\n", r"\n", "a%<", r"\n\n%"]),
    starts=st.booleans(),
    size=st.integers(1, 7),
    newlines=st.sampled_from(["keep", "lf"]),
)
def test_pieces_make_the_whole(folder: Path, text: str, separator: str, starts: bool, size: int, newlines: str) -> None:
    options = {"starts_with" if starts else "separator": separator, "newlines": newlines}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "CHUNK", size)
        in_pieces = divided(text, **options)
    assert in_pieces == divided(text, **options)
    if not starts and "\\n" not in separator:
        made = re.sub("\r\n?", "\n", text) if newlines == "lf" else text
        assert in_pieces == tuple(part for each in made.split(separator) if (part := each.strip("\r\n")))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator must be some text"),
        ({"separator": "x", "documents": "line"}, "separator divides the text into documents; it cannot go with doc"),
        ({"separator": "x", "starts_with": "y"}, "starts_with divides the text .* cannot go with another setting"),
        ({"documents": "separator"}, "documents='separator' needs separator"),
        ({"documents": "start"}, "documents='start' needs starts_with"),
        ({"documents": "row"}, "documents='row' needs column"),
        ({"separator": r"\x"}, r"separator takes \\n, \\t and \\\\ after a backslash, got \\x"),
        ({"separator": "x\\"}, "after a backslash"),
    ],
)
def test_what_cannot_divide(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TextConfig(**options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_model_takes_its_separator_along(folder: Path) -> None:
    Path("a.txt").write_text("\n%\n".join(f"fortune {k % 7}" for k in range(40)))
    config = tiny_run(Path("a.txt").absolute(), separator=r"\n%\n", documents="separator")
    list(train(config, "run"))
    list(train(config, "halved", iter([False] * 7 + [True]).__next__))
    list(resume(find_resumable("checkpoints/halved"), {}))
    assert everything(Path("checkpoints/halved")) == everything(Path("checkpoints/run"))
    latest = Run(Path("checkpoints/run")).pointed("latest")
    assert latest is not None
    checkpoint = from_file(latest)
    Path("b.txt").write_text("fortune 1\n%\nfortune 2\n")
    assert len(open_reading(checkpoint, ("b.txt",)).tokens.lengths) == 2
    assert open_reading(checkpoint, text="fortune 1").tokens.lengths.tolist() == [10]
    assert len(open_reading(checkpoint).tokens.lengths) == 4


def test_the_separator_is_part_of_what_a_large_text_is_kept_by(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.text.corpus.SMALL", 10)
    monkeypatch.setenv("CHARRNN_CACHE", "cache")
    Path("a.txt").write_text("one%two|three%four")

    def kept(**options: object) -> Corpus:
        first = read_corpus(TextConfig(corpus=("a.txt",), **options), 1)  # type: ignore[arg-type]
        again = read_corpus(TextConfig(corpus=("a.txt",), **options), 1)  # type: ignore[arg-type]
        assert first.tokens.ids.tolist() == again.tokens.ids.tolist()
        return first

    assert [len(kept(separator=each).tokens.lengths) for each in "%|"] == [2, 1]
    assert len(list(Path("cache").iterdir())) == 2


def test_a_run_from_its_record_reads_the_same(folder: Path, in_process: InProcess) -> None:
    Path("a.txt").write_text("\n%\n".join(f"fortune {k % 7}" for k in range(40)))
    small = ("--hidden-size", "8", "--layers", "1", "--steps", "9")
    in_process("train", "a.txt", "--separator", r"\n%\n", *small, "--name", "one")
    in_process("train", "--config", "checkpoints/one/run.toml", "--name", "two")
    assert everything(Path("checkpoints/one"))[:4] == everything(Path("checkpoints/two"))[:4]
