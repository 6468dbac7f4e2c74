"""Text that comes in another way than the corpus did: what the program writes it reads, whatever the corpus was in."""

import codecs
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.cli.process.stdin import lines_of, pieces_of
from charrnn.errors import UsageError
from charrnn.evaluation.evaluate import open_reading
from charrnn.evaluation.novelty import novelty
from charrnn.sampling.fill import fill_gap
from charrnn.sampling.prime import encode_pieces, encode_prime
from charrnn.settings.lookup import FillConfig
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import EngineConfig
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary, check_label
from tests.conftest import InProcess, random_checkpoint
from tests.text.reading import documents_of, read

MODEL = ModelConfig("rnn", 1, 4, "one-hot", None, 0.0)
# An encoding, and letters that it has.
ENCODINGS = {
    "latin-1": "caféï ñ\n",
    "cp1252": "caf“”é\n",
    "utf-8": "aé한\n",
    "utf-16": "aé한\n",
    "utf-16-le": "aé한\n",
    "utf-32": "aé한\n",
    "cp949": "한국 a\n",
    "shift_jis": "日本ab\n",
    "gb18030": "中文ab\n",
    "koi8-r": "приab\n",
}
MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE}

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
cases = st.sampled_from(list(ENCODINGS)).flatmap(
    lambda name: st.tuples(st.just(name), st.text(ENCODINGS[name], min_size=2, max_size=40))
)


def trained(encoding: str, text: str) -> Checkpoint:
    Path("corpus.txt").write_bytes(text.encode(encoding))
    config = TextConfig(corpus=("corpus.txt",), encoding=encoding, validation=0)
    corpus = read_corpus(config, 1)
    return replace(random_checkpoint(MODEL, corpus.vocabulary), config=RunConfig(config, MODEL))


@in_a_folder
@given(case=cases, is_marked=st.booleans())
def test_what_is_written_can_be_scored_and_gone_on_from(folder: Path, case: tuple[str, str], is_marked: bool) -> None:
    encoding, text = case
    checkpoint = trained(encoding, text)
    Path("sample.txt").write_bytes(codecs.BOM_UTF8 * is_marked + text.encode())
    score = open_reading(checkpoint, ("sample.txt",)).score()
    assert (score.characters, score.unknown) == (len(text) + 1, 0)
    assert all(each.share in (None, 1.0) for each in novelty(checkpoint, ["sample.txt"], ["sample.txt"]).shares)
    primed = list(encode_pieces(pieces_of("sample.txt"), checkpoint.config.text, checkpoint.vocabulary))
    assert "".join(map(checkpoint.vocabulary.decode, primed)) == text
    lines = [line for _, line in lines_of("sample.txt")]
    assert lines == text.removesuffix("\n").split("\n")


@in_a_folder
@given(case=cases, cut=st.integers(1, 5))
def test_a_part_of_the_corpus_can_be_gone_on_from_with_its_encoding(
    folder: Path, case: tuple[str, str], cut: int
) -> None:
    encoding, text = case
    checkpoint, data = trained(encoding, text), text.encode(encoding)
    pieces = [data[k : k + cut] for k in range(0, len(data), cut)]
    if encoding in MARKS:
        pieces.insert(0, MARKS[encoding])
    primed = encode_pieces(pieces, checkpoint.config.text, checkpoint.vocabulary, "error", encoding)
    assert "".join(map(checkpoint.vocabulary.decode, primed)) == text
    Path("head.txt").write_bytes(data)
    assert [line for _, line in lines_of("head.txt", encoding)] == text.removesuffix("\n").split("\n")
    assert open_reading(checkpoint, ("head.txt",), encoding=encoding).score().unknown == 0


def test_a_text_in_utf8_that_is_read_as_another_is_noticed(folder: Path) -> None:
    (folder / "a.txt").write_bytes("café ".encode() * 9)
    (folder / "b.txt").write_bytes("café ".encode("latin-1") * 9)
    (folder / "c.txt").write_bytes(b"cafe ")

    def told(name: str, encoding: str) -> bool:
        notices = read_corpus(TextConfig(corpus=(name,), encoding=encoding)).notices
        return any("valid UTF-8" in notice for notice in notices)

    assert [told(name, "latin-1") for name in ("a.txt", "b.txt", "c.txt")] == [True, False, False]
    assert not told("a.txt", "utf-8")


def test_many_marks_are_one_notice(folder: Path) -> None:
    for number in range(9):
        (folder / f"{number}.txt").write_bytes(codecs.BOM_UTF8 + b"text\n")
    _, notice = read_corpus(TextConfig(corpus=("*.txt",))).notices
    assert notice == "left out the byte order mark at the start of 0.txt, 1.txt, 2.txt and 6 more"


def test_commands_take_an_encoding_for_what_they_read(folder: Path, in_process: InProcess) -> None:
    (folder / "model").write_bytes(to_bytes(trained("latin-1", "café naïve\n" * 9)))
    (folder / "head.txt").write_bytes("café".encode("latin-1"))
    _, told = in_process("sample", "--model", "model", "-n", "1", "--prime-file", "head.txt", code=3)
    assert "--encoding" in told
    out, _ = in_process(
        *("sample", "--model", "model", "-n", "1", "--seed", "1", "--prime-file", "head.txt", "--encoding", "latin-1")
    )
    assert out.startswith("café")
    in_process("next", "--model", "model", "--prime-file", "head.txt", "--encoding", "latin-1")
    in_process("eval", "head.txt", "--model", "model", "--encoding", "latin-1")


def test_a_model_of_bytes_takes_no_encoding_for_a_prime(folder: Path) -> None:
    vocabulary = Vocabulary.of("", "byte")
    with pytest.raises(UsageError, match="cannot go with encoding"):
        list(encode_pieces([b"caf\xe9"], TextConfig(unit="byte"), vocabulary, "error", "latin-1"))


def test_marks_elsewhere_are_left_out_or_told(folder: Path) -> None:
    vocabulary = Vocabulary.of("abc", "character", {"sea": 1})
    assert vocabulary.decode(encode_prime("\ufeffab", TextConfig(), vocabulary)) == "ab"
    assert check_label("\ufeffsea", vocabulary) == "sea"
    (folder / "a.tsv").write_bytes((codecs.BOM_UTF8 + b"sea\tab\n") * 2)  # as `cat` joins files
    assert read_corpus(TextConfig(corpus=("a.tsv",), labels=True)).vocabulary.label_counts == (2,)
    (folder / "a.txt").write_bytes((codecs.BOM_UTF8 + b"ab\n") * 2)
    assert any("are kept as characters" in notice for notice in read_corpus(TextConfig(corpus=("a.txt",))).notices)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_mark_is_left_out_whatever_the_encoding(folder: Path, encoding: str) -> None:
    (folder / "a.txt").write_bytes("\ufeffab".encode(encoding))
    corpus = read("a.txt", encoding=encoding)
    assert documents_of(corpus) == ("ab",)
    assert corpus.notices == ("left out the byte order mark at the start of a.txt",)


def test_settings_in_a_file_may_begin_with_a_mark(folder: Path, in_process: InProcess) -> None:
    (folder / "a.txt").write_text("some text " * 9)
    (folder / "a.toml").write_text('\ufeff[model]\ncell = "rnn"\nlayers = 1\nhidden_size = 4\n', "utf-8")
    in_process("train", "a.txt", "--config", "a.toml", "--steps", "1", "--validation", "0", "--name", "run")
    assert 'cell = "rnn"' in (folder / "checkpoints/run/run.toml").read_text()


@pytest.mark.parametrize("text", ["\ufeff_bc", "\ufeffa_c"])
def test_a_mark_before_a_text_with_a_gap_is_no_text(text: str) -> None:
    vocabulary = Vocabulary.of("abc", "character")
    filled = fill_gap(random_checkpoint(MODEL, vocabulary), text, FillConfig(top=1), EngineConfig())
    assert filled.before in ("", "a")
