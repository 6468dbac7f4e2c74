"""`charrnn next`: the softmax of the logits, named, in every form."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.evaluation.evaluate import open_reading
from charrnn.recurrent.registry import CORES
from charrnn.sampling.distribution import candidates
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.terminal import on_terminal
from tests.conftest import Command, InProcess, random_checkpoint
from tests.doubles import unigram

PROBABILITIES = {" ": 1 / 2, "\n": 1 / 4, "\x1b": 1 / 8, None: 1 / 16, "\u0301": 1 / 32, "한": 1 / 32}
NAMES = ["space", "newline", "\\x1b", "end", "◌\u0301", "한"]


@pytest.fixture
def run(folder: Path, in_process: InProcess) -> InProcess:
    """The command in this process, with a model in which probabilities are known: its stdout and stderr."""
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))

    return partial(in_process, "next", "--model", "model")


def test_json_has_the_known_probabilities(run: InProcess) -> None:
    found = [json.loads(line) for line in run("--prime", " 한", "--json")[0].splitlines()]
    assert [each["rank"] for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each["character"] for each in found] == list(PROBABILITIES)
    assert [each["end"] for each in found] == [False, False, False, True, False, False]
    for each, probability in zip(found, PROBABILITIES.values(), strict=True):
        assert each["probability"] == pytest.approx(probability, rel=1e-6)
        assert each["nats"] == pytest.approx(-math.log(probability), rel=1e-6)
        assert each["bits"] == pytest.approx(-math.log2(probability), rel=1e-6)


def test_a_pipe_gets_columns_and_top_says_how_many(run: InProcess) -> None:
    output, told = run("--top", "4")
    rows = [line.split("\t") for line in output.splitlines()]
    assert "columns: rank, character, probability, nats, bits" in told
    assert [row[1] for row in rows] == NAMES[:4]
    assert [float(row[4]) for row in rows] == pytest.approx([1, 2, 3, 4], abs=1e-5)
    assert run("--top", "4", "-q") == (output, "")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_bars(folder: Path) -> None:
    (folder / "model").write_bytes(to_bytes(unigram(PROBABILITIES)))
    code, seen, _ = on_terminal(["next", "--model", "model"], folder, streams=["stdout"])
    assert code == 0
    lines = [line.rstrip() for line in seen.decode().splitlines()]
    assert lines[1] == "space        50.00% 1.00 " + "█" * 20
    assert lines[3] == "\\x1b         12.50% 3.00 " + "█" * 5
    assert lines[4] == "end           6.25% 4.00 " + "█" * 2 + "▌"
    assert [line.split()[0] for line in lines[1:]] == NAMES


@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize("prime", ["", "abba"])
def test_probabilities_are_those_of_eval_and_the_softmax_of_the_logits(folder: Path, cell: str, prime: str) -> None:
    vocabulary = Vocabulary.of("ab한\n", "character")
    checkpoint = random_checkpoint(ModelConfig(cell, 2, 6, "embedding", 5, 0.0), vocabulary)
    engine = NumpyEngine(checkpoint.config.model, checkpoint.model)
    ids = np.concatenate([[vocabulary.start], vocabulary.encode(prime).astype(np.int64)])
    logits = engine.read(ids[None], engine.initial_state(1))[0][0].astype(np.float64)
    found = candidates(logits.astype(np.float32), vocabulary, 100)
    assert {each.character for each in found} == {*"ab한\n", None}
    for each in found:
        token = vocabulary.end if each.character is None else vocabulary.characters.index(each.character)
        assert each.probability == pytest.approx(np.exp(logits[token]) / np.exp(logits).sum(), rel=1e-6)
        assert each.rank == 1 + (logits > logits[token]).sum()
        (folder / "t.txt").write_text(prime + (each.character or ""))
        if each.character or prime:
            scored = list(open_reading(checkpoint, ("t.txt",), device="cpu").characters())[len(prime)]
            assert (scored.character, scored.rank) == (each.character, each.rank)
            assert scored.nats == pytest.approx(each.nats, abs=1e-5)


def test_a_byte_is_a_number(folder: Path, run: InProcess) -> None:
    text = TextConfig(unit="byte")
    (folder / "bytes").write_bytes(to_bytes(unigram({"\xec": 0.5, "a": 0.5 - 1 / 64, None: 1 / 64}, text)))
    output, _ = run("--model", "bytes", "--prime-file", "model", "--top", "3")
    assert [line.split("\t")[1] for line in output.splitlines()] == ["0xec", "a", "end"]
    rows = [json.loads(line) for line in run("--model", "bytes", "--top", "3", "--json")[0].splitlines()]
    assert [each["byte"] for each in rows] == [0xEC, ord("a"), None]
    assert run("--model", "bytes", "--top", "4")[0].splitlines()[3].split("\t")[2:] == ["0.0", "-", "-"]


def test_mistakes_are_told_with_what_to_do(folder: Path, run: InProcess) -> None:
    assert "--top must be at least 1" in run("--top", "0", code=2)[1]
    assert "use one of them" in run("--prime", "a", "--prime-file", "b", code=2)[1]
    assert "cannot read the prime nowhere" in run("--prime-file", "nowhere", code=3)[1]
    assert "never saw: 'x'" in run("--prime", "x", code=3)[1]
    assert run("--prime", "x", "--unknown", "skip", "-q")[0] == run("-q")[0]
    assert "no labels" in run("--label", "a", code=2)[1]


def test_a_label_must_be_named_where_there_are_some(folder: Path, run: InProcess) -> None:
    model = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)
    vocabulary = Vocabulary.of("ab", "character", {"one": 3, "two": 5})
    checkpoint = random_checkpoint(model, vocabulary)
    labelled = replace(checkpoint, config=RunConfig(text=TextConfig(labels=True), model=model))
    (folder / "labelled").write_bytes(to_bytes(labelled))
    assert "one, two" in run("--model", "labelled", code=2)[1]
    first, second = (run("--model", "labelled", "--label", label, "-q")[0] for label in ("one", "two"))
    assert first != second
    engine = NumpyEngine(model, from_file(folder / "labelled").model)
    logits, _ = engine.read(np.array([[vocabulary.start_of("two")]]), engine.initial_state(1))
    expected = candidates(logits[0], vocabulary, 10)
    assert [float(line.split("\t")[2]) for line in second.splitlines()] == [each.probability for each in expected]


def test_a_pipe_is_the_prime(folder: Path, charrnn: Command) -> None:
    vocabulary = Vocabulary.of("ab\n", "character")
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), vocabulary)
    (folder / "random").write_bytes(to_bytes(checkpoint))
    (folder / "p.txt").write_text("abba\n")
    arguments = ("next", "--model", "random", "-q")
    expected = charrnn(*arguments, "--prime", "abba\n").stdout
    assert charrnn(*arguments, stdin=b"abba\n").stdout == expected
    assert charrnn(*arguments, "--prime-file", "p.txt").stdout == expected
    assert charrnn(*arguments, stdin=b"").stdout != expected


def test_no_torch_is_imported(folder: Path, run: InProcess) -> None:
    program = (
        "import sys; sys.argv = ['charrnn', 'next', '--model', 'model']\n"
        "from charrnn.cli.app import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=folder)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == b"False"
