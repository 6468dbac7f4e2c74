"""What people type: primes as arguments, short names, new files, bare names of runs, and words of other programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.checkpoint.store import Run
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.processes import TINY
from tests.conftest import Command, InProcess, random_checkpoint


@pytest.fixture
def letters(folder: Path) -> Path:
    """A run with random weights, of which it has one checkpoint."""
    run = Run.create("letters")
    model = random_checkpoint(ModelConfig("gru", 1, 8, "embedding", 4, 0.0), Vocabulary("\n abcdefgh"))
    (run.path / "step-00000001.safetensors").write_bytes(to_bytes(model))
    for pointer in ("latest", "best"):
        (run.path / pointer).write_text("step-00000001.safetensors\n")
    return run.path


def test_a_prime_is_an_argument_or_an_option_of_several_names(letters: Path, in_process: InProcess) -> None:
    same = ("--seed", "1", "-q")
    written = in_process("sample", "abc", "-n", "9", *same)[0]
    for ways in (("--prime", "abc", "-l", "9"), ("-p", "abc", "--length", "9"), ("--prompt", "abc", "-n", "9")):
        assert in_process("sample", *ways, *same)[0] == written
    assert in_process("next", "abc", "-q") == in_process("next", "-p", "abc", "-q")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("abc", "--prime", "d"), "TEXT and --prime both give the prime; use one of them"),
        (("abc", "--prime-file", "d"), "TEXT and --prime-file both give the prime"),
        (("--prime-file", "d", "--prime-lines", "d"), "--prime-file and --prime-lines both give the prime"),
    ],
)
def test_a_prime_is_given_once(letters: Path, in_process: InProcess, arguments: tuple[str, ...], message: str) -> None:
    assert message in in_process("sample", *arguments, code=2)[1]


@pytest.mark.parametrize("form", [(), ("--json",), ("-0", "--num-samples", "2")])
def test_a_file_gets_what_stdout_would(letters: Path, in_process: InProcess, form: tuple[str, ...]) -> None:
    arguments = ("sample", "ab", "-n", "30", "--seed", "1", *form)
    written, told = in_process(*arguments)
    output, same = in_process(*arguments, "-o", "new.txt")
    assert output == ""
    assert same == told
    assert Path("new.txt").read_bytes().decode() == written


def test_nothing_is_overwritten_unless_it_is_forced(letters: Path, in_process: InProcess) -> None:
    for made in (
        ("sample", "ab", "-n", "3", "-o", "new"),
        ("sample", "ab", "-n", "3", "--save-state", "new"),
        ("eval", "text", "--html", "new"),
        ("compress", "text", "-o", "new"),
        ("inspect", "--embedding", "--plot", "new.svg"),
    ):
        path = Path(made[-1])
        Path("text").write_text("abc abc\n")
        path.write_bytes(b"old")
        message = f"{path} is there already, and nothing is overwritten; name another file"
        assert message in in_process(*made, code=2)[1]
        assert path.read_bytes() == b"old"
        in_process(*made, "--force")
        assert path.read_bytes() not in (b"old", b"")
        path.unlink()


def test_what_was_written_before_a_signal_is_in_the_file(letters: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "sample", "-n", "0", "--no-until-end", "-o", "new.txt"],
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    while not (Path("new.txt").exists() and Path("new.txt").stat().st_size > 1000):
        assert process.poll() is None
        os.sched_yield()
    process.terminate()
    assert process.wait(60) == 143 or process.returncode == -15
    assert Path("new.txt").stat().st_size > 1000


@pytest.mark.slow
def test_a_runs_bare_name_is_a_model(letters: Path, in_process: InProcess, folder: Path) -> None:
    (folder / "text").write_text("abc abc\n")
    for command in (
        ("sample", "-n", "3"),
        ("next",),
        ("fill", "a_c"),
        ("eval", "text"),
        ("memory", "text", "--targets", "2"),
        ("inspect", "--embedding"),
        ("compress", "text", "-o", "packed"),
        ("train", "text", "--dry-run", "--steps", "1"),
    ):
        option = "--from" if command[0] == "train" else "--model"
        assert "checkpoints/letters/step-00000001.safetensors" in in_process(*command, option, "letters")[1]
    assert "there is no checkpoint at nobody" in in_process("sample", "--model", "nobody", code=4)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate",), "there is no command generate; it is called charrnn sample"),
        (("chat", "-n", "3"), "there is no command chat; it is called charrnn sample"),
        (("evaluate", "x"), "there is no command evaluate; it is called charrnn eval"),
        (("sampel",), "Did you mean 'sample'?"),
        (("train", "a.txt", "--lr", "1"), "there is no option --lr; it is called --learning-rate"),
        (("sample", "--max-tokens", "1"), "there is no option --max-tokens; it is called --length"),
        (("eval", "--max-tokens", "1"), "No such option: --max-tokens"),  # and has no other name there
    ],
)
def test_words_of_other_programs_are_answered_with_ours(
    folder: Path, in_process: InProcess, arguments: tuple[str, ...], message: str
) -> None:
    assert message in in_process(*arguments, code=2)[1]


def test_a_variable_that_sets_nothing_is_refused(letters: Path, charrnn: Command) -> None:
    done = charrnn("sample", "-n", "3", CHARRNN_TEMPRATURE="1")
    assert done.returncode == 2
    assert b"CHARRNN_TEMPRATURE, which sets nothing; did you mean CHARRNN_TEMPERATURE?" in done.stderr
    # Those of other commands are set for them.
    assert charrnn("sample", "-n", "3", CHARRNN_TEMPERATURE="1", CHARRNN_HIDDEN_SIZE="3").returncode == 0


def test_events_of_a_training_are_lines_of_json(small_text: Path, charrnn: Command) -> None:
    done = charrnn("train", small_text.name, *TINY, "--steps", "4", "--validate-every", "2", "--json")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "finished"
    assert {"notice", "began", "reported", "validated", "sampled", "saved"} <= set(kinds)
    assert events[-1]["step"] == 4
    (run,) = {event["run"] for event in events if event["event"] == "began"}
    assert Path(run, "metrics.jsonl").exists()
    assert charrnn("train", small_text.name, *TINY, "--steps", "2").stdout == b""


def test_several_texts_have_a_row_each_and_a_sum(letters: Path, in_process: InProcess) -> None:
    Path("a.txt").write_text("abc\n" * 3)
    Path("b.txt").write_text("hgé fed\n")
    rows = [json.loads(line) for line in in_process("eval", "a.txt", "b.txt", "--json")[0].splitlines()]
    alone = [json.loads(in_process("eval", name, "--json")[0]) for name in ("a.txt", "b.txt")]
    assert [row["text"] for row in rows] == ["a.txt", "b.txt", "sum"]
    for row, one in zip(rows, alone, strict=False):
        assert one == {key: value for key, value in row.items() if key != "text"}
    for name in ("nats", "characters", "unknown"):
        assert rows[2][name] == sum(one[name] for one in alone)
    assert rows[2]["nats_per_character"] == rows[2]["nats"] / rows[2]["characters"]
    plain, told = in_process("eval", "a.txt", "b.txt")
    assert "columns: text, nats_per_character, bits_per_character" in told
    assert [line.split("\t")[0] for line in plain.splitlines()] == ["a.txt", "b.txt", "sum"]
