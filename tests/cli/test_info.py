"""`charrnn info`: the facts about a model, quickly; and with --check, the damage in it, part by part."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file, model_sha256, to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import train
from tests.cli.terminal import on_terminal
from tests.cli.test_start import LIGHT
from tests.conftest import InProcess, random_checkpoint, tiny_run


@pytest.fixture
def run(folder: Path, small_text: Path) -> Path:
    """A run with several checkpoints."""
    list(train(tiny_run(Path("small.txt"), device="cpu"), "run"))
    return folder / "checkpoints" / "run"


def test_the_facts_are_those_of_the_checkpoint(run: Path, in_process: InProcess) -> None:
    told = json.loads(in_process("info", "run", "--json")[0])
    checkpoint = from_file(Path(told["model"]), training=True)
    assert told["parameters"] == sum(array.size for array in checkpoint.model.values())
    assert told["different_characters"] == len(checkpoint.vocabulary.characters)
    assert told["model_sha256"] == model_sha256(checkpoint)
    assert told["text"] == ["small.txt"]
    assert told["text_sha256"] == checkpoint.config.record.corpus_sha256
    assert told["best_validation_nats_per_character"] == checkpoint.counters.best_loss
    assert told["versions"] == checkpoint.versions
    assert (told["cell"], told["layers"], told["hidden_size"], told["can_resume"]) == ("gru", 2, 8, True)
    assert told["bytes"] == Path(told["model"]).stat().st_size
    assert "checked" not in told


def test_the_command_that_it_tells_samples_the_model(run: Path, in_process: InProcess) -> None:
    run.rename(run.with_name("a run"))
    command = json.loads(in_process("info", "a run", "--json")[0])["sample"]
    shell = ["bash", "-c", command.replace("charrnn", f"{sys.executable} -m charrnn", 1) + " -n 5 -q"]
    assert subprocess.run(shell, capture_output=True, check=True).stdout


def test_a_pipe_gets_lines_and_markdown_a_table_of_the_same(run: Path, in_process: InProcess) -> None:
    lines, told = in_process("info", "run")
    assert told == "charrnn: checkpoints/run/step-00000012.safetensors (as asked)\n"
    facts = dict(line.split(" ", 1) for line in lines.splitlines())
    assert facts["cell"] == "gru"
    assert facts["sample"] == "charrnn sample --model checkpoints/run/step-00000012.safetensors"
    table = in_process("info", "run", "--markdown", "-q")[0]
    assert table.startswith("# run\n\n| | |\n|---|---|\n| model | checkpoints/run/step-00000012.safetensors |\n")
    assert set(re.findall(r"^\| ([a-z].*?) \|", table, re.M)) == {name.replace("_", " ") for name in facts} - {"sample"}
    assert "ask for one" in in_process("info", "--json", "--markdown", code=2)[1]


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_a_table(run: Path, folder: Path) -> None:
    code, seen, _ = on_terminal(["info"], folder, streams=["stdout"])
    assert code == 0
    assert "│ different characters" in seen.decode()
    assert seen.decode().splitlines()[-1] == "charrnn sample --model checkpoints/run/step-00000012.safetensors"


def test_a_hostile_model_breaks_neither_line_nor_table(folder: Path, in_process: InProcess) -> None:
    vocabulary = Vocabulary.of("ab", "character", {"a|b": 1, "x": 2})
    made = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), vocabulary)
    text = TextConfig(corpus=("a\x1b]0;x\x07\nb|<script>.txt",), labels=True)
    Path("model").write_bytes(to_bytes(replace(made, config=RunConfig(text, made.config.model))))
    lines = in_process("info", "model", "-q")[0]
    assert all(re.match("[a-z0-9_]+ ", line) for line in lines.splitlines())
    table = in_process("info", "model", "--markdown", "-q")[0]
    assert "\x1b" not in table
    assert "b\\|\\<script\\>.txt" in table
    assert r"a\|b, x" in table


def test_what_is_not_known_is_left_out(folder: Path, in_process: InProcess) -> None:
    made = random_checkpoint(ModelConfig("lstm", 1, 4, "one-hot", None, 0.0), Vocabulary.of("ab", "character"))
    Path("model").write_bytes(to_bytes(made))
    told = json.loads(in_process("info", "model", "--json")[0])
    assert told.keys().isdisjoint({"text", "versions", "embedding_size", "best_step", "labels", "dropout"})
    assert told["can_resume"] is False


def test_check_verifies_every_checkpoint_of_a_run(run: Path, in_process: InProcess) -> None:
    told = json.loads(in_process("info", "run", "--check", "--json")[0])
    names = {path.name for path in run.glob("*.safetensors")}
    assert len(names) == 2
    assert told["checked"] == {name: {"model": "sound", "training": "sound"} for name in names}


def test_of_a_file_check_verifies_that_file(run: Path, in_process: InProcess) -> None:
    told = json.loads(in_process("info", "./checkpoints/run/step-00000008.safetensors", "--check", "--json")[0])
    assert list(told["checked"]) == ["step-00000008.safetensors"]


def spoil(path: Path, array: str) -> None:
    """Flip a bit of an array of a checkpoint."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    data[8 + length + header[array]["data_offsets"][0]] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("array", "parts"), [("model.head.bias", ["damaged", "sound"]), ("rng.cpu", ["sound", "damaged"])]
)
def test_damage_is_named_by_its_part(run: Path, in_process: InProcess, array: str, parts: list[str]) -> None:
    path = run / "step-00000012.safetensors"
    spoil(path, array)
    assert "damaged" not in in_process("info", "run")[0]  # its header is whole
    output, told = in_process("info", "run", "--check", "--json", code=4)
    found = list(json.loads(output)["checked"][path.name].values())
    assert [("sound", "damaged")["damaged" in each] for each in found] == parts
    part = "model" if parts[0] == "damaged" else "training"
    assert f"step-00000012.safetensors: its {part} part is damaged: the sha256 does not match" in told
    assert "step-00000008.safetensors: its" not in told


def test_a_file_that_was_cut_off_is_told_without_a_check(run: Path, in_process: InProcess) -> None:
    path = run / "step-00000008.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    in_process("info", "run")
    assert "bytes" in in_process("info", "run", "--check", code=4)[1]
    assert "is not a charrnn checkpoint" in in_process("info", str(path), code=4)[1]
    assert "there is no checkpoint at none" in in_process("info", "none", code=4)[1]


def test_neither_torch_nor_numpy_is_loaded(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, "info", "demo", "--json"], capture_output=True, cwd=folder)
    assert done.stderr.splitlines()[-1] == b""
    assert json.loads(done.stdout)["cell"] == "gru"
