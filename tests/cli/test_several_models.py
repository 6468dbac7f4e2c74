"""`sample` and `eval` with several models, as a person sees them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Checkpoint, to_bytes
from tests.cli.terminal import on_terminal
from tests.cli.test_start import LIGHT
from tests.conftest import InProcess
from tests.doubles import unigram


def saved(path: Path, checkpoint: Checkpoint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(checkpoint))


@pytest.fixture
def models(folder: Path) -> Path:
    """Models of one alphabet: a mostly writes a, b mostly b; other has another alphabet."""
    saved(folder / "a", unigram({"a": 0.7, "b": 0.2, None: 0.1}))
    saved(folder / "b", unigram({"a": 0.1, "b": 0.8, None: 0.1}))
    saved(folder / "other", unigram({"a": 0.5, "c": 0.4, None: 0.1}))
    (folder / "text").write_text("abba")
    return folder


SAMPLE = ("sample", "-n", "40", "--seed", "1", "--no-until-end")
BOTH = ("--model", "a", "--model", "b")


def test_sample_says_which_models_write_and_with_what_share(models: Path, in_process: InProcess) -> None:
    written, told = in_process(*SAMPLE, "--model", "a", "--model", "b:0.3")
    assert (set(written), len(written)) == ({"a", "b"}, 40)
    assert told.splitlines() == [
        "charrnn: a (as asked), 70.0% of the mixture",
        "charrnn: b (as asked), 30.0% of the mixture, numpy on the CPU, seed 1",
    ]
    product, told = in_process(*SAMPLE, *BOTH, "--blend", "product", "-q")
    assert (len(product), told) == (40, "")
    assert product != in_process(*SAMPLE, *BOTH, "-q")[0]


def test_json_has_the_models(models: Path, in_process: InProcess) -> None:
    record = json.loads(in_process(*SAMPLE, "--model", "a:3", "--model", "b:1", "--json", "-q")[0])
    assert record["blend"] == "mixture"
    assert record["models"] == [{"model": "a", "share": 0.75}, {"model": "b", "share": 0.25}]
    assert record["nats"] > 0
    assert "models" not in json.loads(in_process(*SAMPLE, "--model", "a", "--json", "-q")[0])


@pytest.mark.skipif(os.name != "posix", reason="names with a colon")
def test_a_path_with_a_colon_is_a_path(models: Path, in_process: InProcess) -> None:
    (models / "a").rename(models / "a:0.5")
    alone = in_process(*SAMPLE, "--model", "a:0.5", "-q")[0]
    told = in_process(*SAMPLE, "--model", "a:0.5", "--model", "b")[1]
    assert "a:0.5 (as asked), 50.0% of the mixture" in told
    told = in_process(*SAMPLE, "--model", "a:0.5:0.9", "--model", "b")[1]
    assert "a:0.5 (as asked), 90.0% of the mixture" in told
    saved(models / "checkpoints" / "run:2" / "step-00000001.safetensors", unigram({"a": 0.7, "b": 0.2, None: 0.1}))
    (models / "checkpoints" / "run:2" / "latest").write_text("step-00000001.safetensors\n")
    assert in_process(*SAMPLE, "--model", "run:2", "-q")[0] == alone


def test_a_single_model_may_have_a_weight(models: Path, in_process: InProcess) -> None:
    assert in_process(*SAMPLE, "--model", "a:0.5", "-q")[0] == in_process(*SAMPLE, "--model", "a", "-q")[0]


MISTAKES = {
    "another alphabet": (["--model", "a", "--model", "other"], 2, "only a knows 'b', and only other knows 'c'"),
    "no weight": (["--model", "a", "--model", "b:0"], 2, "the weight of b must be a number greater than 0, got 0"),
    "not a number": (["--model", "a", "--model", "b:nan"], 2, "the weight of b must be a number greater than 0"),
    "not a weight": (["--model", "a", "--model", "b:x"], 4, "there is no checkpoint at b:x"),
    "nothing left": (["--model", "a", "--model", "b:2"], 2, "which leaves nothing for a --model without one"),
    "one to blend": (["--model", "a", "--blend", "product"], 2, "--blend mixes several models"),
    "a state": ([*BOTH, "--save-state", "c"], 2, "--save-state is for the state of one model"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_of_sample(models: Path, in_process: InProcess, arguments: list[str], code: int, message: str) -> None:
    written, told = in_process(*SAMPLE, *arguments, code=code)
    assert message in told
    assert not written


def test_eval_has_a_row_for_each_and_the_mixture(models: Path, in_process: InProcess) -> None:
    written, told = in_process("eval", "text", *BOTH)
    rows = [line.split("\t") for line in written.splitlines()]
    assert [row[0] for row in rows] == ["a", "b", "mixture"]
    chances = [0.7 * 0.2 * 0.2 * 0.7 * 0.1, 0.1 * 0.8 * 0.8 * 0.1 * 0.1]
    assert [float(row[-1]) for row in rows[:2]] == pytest.approx([each / sum(chances) for each in chances], rel=1e-4)
    assert rows[2][-1] == "-"
    names = told.partition("columns: ")[2].splitlines()[0].split(", ")
    assert len(names) == len(rows[0]) == len(rows[2])
    assert "of 1.0000 at most" in told
    lines = [json.loads(line) for line in in_process("eval", "text", *BOTH, "--json", "-q")[0].splitlines()]
    assert [line["model"] for line in lines] == ["a", "b", "mixture"]
    assert 2 ** -(lines[2]["bits_per_character"] * 5) == pytest.approx(sum(chances) / 2, rel=1e-4)
    assert (lines[2]["accuracy"], lines[2]["weight"], lines[2]["protocol"]) == (None, None, "carried")
    assert sum(line["weight"] for line in lines[:2]) == pytest.approx(1)


MISTAKES_OF_EVAL = {
    "a view": (["--heat", *BOTH], 2, "--heat is for one model; it cannot go with several"),
    "dynamic": (["--dynamic", *BOTH], 2, "--dynamic is for one model"),
    "a weight": (["--model", "a", "--model", "b:0.3"], 2, "leave the weight out: --model b"),
    "another alphabet": (["--model", "a", "--model", "other"], 2, "only a knows 'b', and only other knows 'c'"),
    "no model": (["--model", "a", "--model", "none"], 4, "there is no checkpoint at none"),
}


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES_OF_EVAL.values(), ids=MISTAKES_OF_EVAL.keys())
def test_mistakes_of_eval(models: Path, in_process: InProcess, arguments: list[str], code: int, message: str) -> None:
    written, told = in_process("eval", "text", *arguments, code=code)
    assert message in told
    assert not written


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_on_a_terminal_there_is_a_table(models: Path) -> None:
    code, seen, _ = on_terminal(("eval", "text", *BOTH), models)
    assert code == 0
    lines = [line.split() for line in seen.decode().replace("\r", "").splitlines() if line.split()]
    assert [line[-1] for line in lines[-4:-1]] == ["a", "b", "mixture"]
    assert "of 1.0000 at most" in seen.decode()


@pytest.mark.slow
def test_torch_is_not_loaded(models: Path) -> None:
    arguments = [*SAMPLE, *BOTH, "--temperature", "0.5", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", LIGHT, *arguments], capture_output=True, cwd=models)
    assert done.returncode == 0
    assert done.stderr.split()[-2:] in ([b"numpy", b"safetensors"], [b"safetensors", b"numpy"])
