"""Labels on the command line, in real processes: learned, written in the manner of, and found again."""

import json
import math
import unicodedata
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file, to_bytes
from tests.cli.terminal import on_terminal
from tests.conftest import Command, random_checkpoint
from tests.doubles import labelled_unigram

TINY = ("--hidden-size", "8", "--embedding-size", "4", "--batch-size", "4", "--validate-every", "3")


@pytest.fixture
def model(folder: Path) -> str:
    """A model for which hill is b only, sea mostly a, and the third label, which is wide, anything."""
    known: dict[str, dict[str | None, float]] = {
        "hill": {"b": 0.75, None: 0.25},
        "sea": {"a": 0.5, "b": 0.25, None: 0.25},
        "하늘": {"a": 0.125, "b": 0.125, None: 0.75},
    }
    checkpoint = labelled_unigram(known, {"hill": 2, "sea": 1, "하늘": 1})
    (folder / "model.safetensors").write_bytes(to_bytes(checkpoint))
    return "model.safetensors"


@pytest.fixture
def plain_model(folder: Path) -> str:
    """A model without labels."""
    checkpoint = random_checkpoint(from_file(TALES).config.model, from_file(TALES).vocabulary)
    (folder / "plain.safetensors").write_bytes(to_bytes(checkpoint))
    return "plain.safetensors"


TALES = Path(__file__).parents[1] / "fixtures" / "version-1.safetensors"


@pytest.fixture
def names(folder: Path) -> Path:
    path = folder / "names.tsv"
    path.write_text("".join(f"{'hill' if k % 3 else 'sea'}\t{'krok' if k % 3 else 'luma'}\n" for k in range(40)))
    return path


@pytest.mark.slow
def test_labels_are_learned_and_written(names: Path, charrnn: Command) -> None:
    done = charrnn("train", "--labels", str(names), "--name", "run", "--steps", "6", *TINY)
    assert done.returncode == 0, done.stderr.decode()
    assert b"labels: hill (26), sea (14)" in done.stderr
    recorded = Path("checkpoints/run/run.toml").read_text()
    assert "labels = true" in recorded
    assert 'documents = "line"' in recorded
    sampled = charrnn("sample", "--label", "sea", "--seed", "1", "-n", "9")
    assert sampled.returncode == 0
    assert set(sampled.stdout.decode()) <= set("kroluma")
    assert charrnn("eval", "--classify").stderr.endswith(b"of 4 documents\n")
    assert json.loads(charrnn("eval", "--label", "sea", "--json").stdout)["label"] == "sea"


def test_a_label_says_in_whose_manner(model: str, charrnn: Command) -> None:
    written = charrnn("sample", "--model", model, "--label", "hill", "--num-samples", "9", "--seed", "1", "-q")
    assert set(written.stdout) == set(b"b\n")
    wide = charrnn("sample", "--model", model, "--label", "하늘", "--num-samples", "99", "--seed", "1", "-t", "1", "-q")
    assert 0.6 < wide.stdout.split(b"\n")[:-1].count(b"") / 99 < 0.9  # they end at once by 3 in 4
    decomposed = unicodedata.normalize("NFD", "하늘")
    again = charrnn("sample", "--model", model, "--label", decomposed, "--num-samples", "99", "--seed", "1", "-t", "1")
    assert again.stdout == wide.stdout


def test_without_one_labels_are_drawn_by_their_shares(model: str, charrnn: Command) -> None:
    arguments = ("sample", "--model", model, "--num-samples", "400", "-t", "1", "--min-length", "8", "--seed")
    first, second = charrnn(*arguments, "1"), charrnn(*arguments, "1", "-q")
    assert first.stdout == second.stdout
    assert b"labels drawn by their share of hill, sea, \xed\x95\x98\xeb\x8a\x98; --label says which" in first.stderr
    samples = first.stdout.decode().split("\n")[:-1]
    assert len(samples) == 400
    # Half are hill's, which has no a; 8 characters of the others have one, but for 1 sample in some 60.
    assert abs(sum("a" not in each for each in samples) / 400 - 0.51) < 0.08
    assert charrnn(*arguments, "2").stdout != first.stdout


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("seaa", "--label 'seaa': the model knows hill, sea, 하늘; did you mean sea?"),
        ("", "--label '': the model knows hill, sea, 하늘"),
        ("\x1b[2J", r"--label '\x1b[2J': the model knows"),
    ],
)
def test_an_unknown_label_is_refused(model: str, charrnn: Command, label: str, message: str) -> None:
    done = charrnn("sample", "--model", model, "--label", label)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()


def test_a_model_without_labels_says_so(plain_model: str, charrnn: Command) -> None:
    for arguments in (("sample", "--label", "sea"), ("eval", "-", "--classify"), ("eval", "-", "--label", "sea")):
        done = charrnn(*arguments, "--model", plain_model, stdin=b"ah\n")
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"the model has no labels" in done.stderr
        assert b"train one with --labels" in done.stderr


def test_lines_are_classified_by_bayes_rule(model: str, charrnn: Command) -> None:
    done = charrnn("eval", "-", "--model", model, "--classify", stdin=b"bb\nsea\tbb\nhill\tab\nhill\tb\n")
    assert done.returncode == 0
    # Of bb hill's share is 2·(3/4)²·(1/4) = 18/64, sea's (1/4)²·(1/4) = 1/64, the third's (1/8)²·(3/4) = 3/256.
    share = 18 / (18 + 1 + 3 / 4)
    # Of ab hill has none; sea has 1/2·1/4·1/4 = 8/256, the third 3/256. Of b they have 24, 4 and 6 of 64.
    rows = [f"hill\t{share:.4f}\t-\tbb", f"hill\t{share:.4f}\tsea\tbb", f"sea\t{8 / 11:.4f}\thill\tab"]
    assert done.stdout.decode() == "\n".join([*rows, f"hill\t{24 / 34:.4f}\thill\tb", ""])
    table = [
        "columns: label, probability, own label, text",
        "own label  hill  sea  하늘",
        "     hill     1    1     0",
        "      sea     1    0     0",
        "     하늘     0    0     0",
        "accuracy 0.3333: 1 of 3 documents; without a label: 1",
    ]
    assert done.stderr.decode().splitlines()[1:] == [f"charrnn: {line}" for line in table]


def test_json_has_every_probability(model: str, charrnn: Command) -> None:
    done = charrnn("eval", "-", "--model", model, "--classify", "--json", stdin=b"sea\tab\\\nbb\tb\n")
    first, second = map(json.loads, done.stdout.splitlines())
    assert list(first) == ["label", "probability", "own_label", "probabilities", "text"]
    assert (first["label"], first["own_label"], first["text"]) == ("sea", "sea", "ab\\")
    assert first["probabilities"] == pytest.approx({"hill": 0, "sea": 8 / 11, "하늘": 3 / 11})
    assert first["probability"] == first["probabilities"]["sea"]
    assert (second["own_label"], second["text"]) == (None, "bb\tb")
    assert b"columns" not in done.stderr


def test_a_text_without_labels_has_no_accuracy_and_cannot_drive_the_terminal(model: str, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"b\x1b[2Jb\n\x1b[31m\tb\n")
    code, shown, _ = on_terminal(("eval", "a.txt", "--model", model, "--classify"), folder)
    assert code == 0
    assert b"\x1b[2J" not in shown
    assert b"\x1b[31m" not in shown
    assert b"b\\x1b[2Jb" in shown
    assert b"no document has a label of its own (2 read)" in shown


def test_a_text_to_score_must_have_labels(model: str, charrnn: Command) -> None:
    done = charrnn("eval", "-", "--model", model, stdin=b"bb\n")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"document 1 does not begin with one and a tab" in done.stderr
    assert b"where it has none, --label says as which to read it, and --classify finds the likeliest" in done.stderr
    assert len(done.stderr.splitlines()) == 3  # the model is the first


def test_a_text_is_scored_with_a_given_label(model: str, charrnn: Command) -> None:
    def scored(text: str, *arguments: str) -> dict[str, object]:
        done = charrnn("eval", "-", "--model", model, "--json", *arguments, stdin=text.encode())
        assert done.returncode == 0, done.stderr.decode()
        found: dict[str, object] = json.loads(done.stdout)
        return found

    assert scored("b\nbb\n", "--label", "hill")["nats"] == pytest.approx(-math.log(0.75**3 * 0.25**2))
    assert scored("b\nbb\n", "--label", "sea")["nats"] == pytest.approx(-math.log(0.25**3 * 0.25**2))
    labelled, read_so = scored("sea\tab\nsea\tb\n"), scored("ab\nb\n", "--label", "sea")
    assert {**labelled, "label": "sea"} == read_so
    # A label of the text's own gives way, and one that the model does not know is text, as in --classify.
    assert scored("hill\tab\n하늘\tb\n", "--label", "sea") == read_so
    assert scored("what\tb\n", "--label", "sea")["unknown"] == len("wht\t")
    assert scored("b\n", "--label", unicodedata.normalize("NFD", "하늘"))["label"] == "하늘"


def test_every_view_reads_with_the_given_label(model: str, charrnn: Command) -> None:
    arguments = ("eval", "-", "--model", model, "--label", "sea", "-q")
    rows = charrnn(*arguments, "--per-character", stdin=b"ab\n").stdout.decode().splitlines()
    assert [float(row.split("\t")[5]) for row in rows] == pytest.approx([0.5, 0.25, 0.25])
    (line,) = charrnn(*arguments, "--per-line", stdin=b"ab\n").stdout.decode().splitlines()
    assert float(line.split("\t")[7]) == pytest.approx(0.5 * 0.25 * 0.25)
    dynamic = json.loads(charrnn(*arguments, "--dynamic", "--dynamic-rate", "0", "--json", stdin=b"ab\n").stdout)
    assert dynamic["dynamic_nats_per_character"] == pytest.approx(dynamic["nats_per_character"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "seaa"), "--label 'seaa': the model knows hill, sea, 하늘; did you mean sea?"),
        (("--label", "sea", "--classify"), "--classify finds labels out; it cannot go with --label"),
        (("--label", "sea", "--novelty"), "--novelty compares texts and scores nothing; it cannot go with --label"),
    ],
)
def test_a_label_that_cannot_be_given(model: str, charrnn: Command, arguments: tuple[str, ...], message: str) -> None:
    done = charrnn("eval", "-", "--model", model, *arguments, stdin=b"b\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()


def test_classification_is_one_view_of_whole_documents(model: str, charrnn: Command) -> None:
    for other in (("--per-line",), ("--protocol", "windowed")):
        done = charrnn("eval", "-", "--model", model, "--classify", *other)
        assert done.returncode == 2
        assert b"--classify" in done.stderr
