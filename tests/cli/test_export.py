"""`charrnn export`: a folder that says what the model is, that every command reads, and that needs no charrnn."""

import json
import math
import os
import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import charrnn
from charrnn.checkpoint.format import Counters, from_file, to_bytes
from charrnn.cli.commands.export import training_command
from charrnn.network import NumpyNetwork
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import train
from tests.cli.processes import TINY
from tests.conftest import Command, InProcess, random_checkpoint, tiny_run

FILES = {"model.safetensors", "config.json", "vocabulary.json", "run.toml", "README.md"}


@pytest.fixture
def run(folder: Path, small_text: Path) -> Path:
    """A run of texts that are named by absolute paths."""
    held_out = small_text.with_name("held-out.txt")
    held_out.write_text("a dog sat on the mat\n" * 4)
    list(train(tiny_run(small_text, device="cpu", validation_file=str(held_out)), "run"))
    return Path("checkpoints/run")


@pytest.fixture
def out(run: Path, in_process: InProcess) -> Path:
    in_process("export", "run", "out")
    return Path("out")


def front_matter(card: str) -> dict[str, Any]:
    """The front matter, whose values are JSON."""
    lines = card.split("---\n")[1].splitlines()
    return {key: json.loads(value) for key, _, value in (line.partition(": ") for line in lines)}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_one_step_is_computed_from_the_files_alone(out: Path) -> None:
    weights = load_file(out / "model.safetensors")
    vocabulary = json.loads((out / "vocabulary.json").read_text("utf-8"))
    settings = json.loads((out / "config.json").read_text("utf-8"))["configuration"]["model"]
    x = weights["model.encoder.vectors.weight"][vocabulary["start"][0]]
    for layer in range(settings["layers"]):
        W, U, b_W, b_U = (weights[f"model.stack.layers.{layer}.{name}"] for name in ("W", "U", "b_W", "b_U"))
        h = np.zeros(settings["hidden_size"])
        (W_r, W_z, W_n), (U_r, U_z, U_n) = np.split(W @ x + b_W, 3), np.split(U @ h + b_U, 3)
        r, z = sigmoid(W_r + U_r), sigmoid(W_z + U_z)
        x = (1 - z) * np.tanh(W_n + r * U_n) + z * h
    logits = weights["model.head.weight"] @ x + weights["model.head.bias"]

    checkpoint = from_file(out / "model.safetensors")
    network = NumpyNetwork(checkpoint.config.model, checkpoint.model)
    outputs, _ = network.step(np.array([checkpoint.vocabulary.start]), network.initial_state(1))
    assert logits == pytest.approx(network.logits(outputs)[0], abs=1e-5)
    tokens = [*vocabulary["characters"], *vocabulary["start"], vocabulary["end"], vocabulary["unknown"]]
    assert tokens[:-3] == list(checkpoint.vocabulary.characters)
    assert tokens[-3:] == list(range(len(tokens) - 3, len(tokens)))
    assert len(logits) == len(tokens)


def test_the_copy_writes_and_scores_as_the_original(out: Path, in_process: InProcess) -> None:
    Path("text.txt").write_text("the cat sat")
    commands = [
        ["sample", "the ", "-n", "200", "--seed", "3", "-q"],
        ["next", "the", "-q"],
        ["fill", "c_t", "-q"],
        ["eval", "text.txt", "--per-line", "-q"],
        ["inspect", "--embedding", "-q"],
    ]
    for command in commands:
        assert in_process(*command, "--model", "out")[0] == in_process(*command, "--model", "run")[0]
    memory = ["memory", "text.txt", "--targets", "2", "--json", "-q", "--model"]
    assert json.loads(in_process(*memory, "out")[0])["bits"] == json.loads(in_process(*memory, "run")[0])["bits"]
    assert charrnn.load("out").sample(seed=4, length=50) == charrnn.load("run").sample(seed=4, length=50)


def test_weights_are_all_that_is_left_of_the_arrays(out: Path, run: Path) -> None:
    assert {path.name for path in out.iterdir()} == FILES
    latest = run / (run / "latest").read_text().strip()
    assert all(name.startswith("model.") for name in load_file(out / "model.safetensors"))
    assert (out / "model.safetensors").stat().st_size < 0.5 * latest.stat().st_size


def test_no_path_of_the_disk_is_passed_on(out: Path, folder: Path) -> None:
    for path in out.iterdir():
        assert os.fsencode(folder) not in path.read_bytes(), path
    assert json.loads((out / "config.json").read_text())["configuration"]["text"]["corpus"] == ["small.txt"]
    # and the text, which is named from here now, is found
    assert from_file(out / "model.safetensors").config.record.corpus_sha256


def test_names_that_are_relative_make_the_same_model(folder: Path, small_text: Path, in_process: InProcess) -> None:
    list(train(tiny_run(Path("small.txt"), device="cpu"), "run"))
    in_process("export", "run", "out")
    digests = [json.loads(in_process("info", each, "--json")[0])["model_sha256"] for each in ("run", "out")]
    assert digests[0] == digests[1]
    in_process("compress", "small.txt", "--model", "run")
    in_process("decompress", "small.txt.crnn", "-o", "again", "--model", "out")
    assert Path("again").read_bytes() == small_text.read_bytes()
    for own in (["eval", "--json"], ["sample", "--novel", "9", "-n", "5"]):
        in_process(*own, "--model", "out")


def test_the_card_has_what_hubs_and_people_read(run: Path, in_process: InProcess) -> None:
    in_process("export", "run", "out", "--license", "mit", "--language", "en", "--language", "ko")
    card = Path("out/README.md").read_text("utf-8")
    front = front_matter(card)
    assert (front["license"], front["language"], front["library_name"]) == ("mit", ["en", "ko"], "charrnn")
    assert front["pipeline_tag"] == "text-generation"
    assert "gru" in front["tags"]
    (result,) = front["model-index"][0]["results"]
    best = from_file(run / (run / "best").read_text().strip(), training=True).counters.best_loss
    assert best is not None
    measured = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert measured == {"bits_per_character": best / math.log(2), "perplexity": math.exp(best)}
    assert result["dataset"]["name"] == "small.txt"
    assert f"| {best:.4f} | {best / math.log(2):.4f} |" in card
    commands = re.findall(r"^    (charrnn .*)$", card, re.MULTILINE)
    assert [shlex.split(each)[1] for each in commands] == ["sample", "train", "train", "sample"]
    sample = in_process(*shlex.split(commands[-1].replace("--model .", "--model out"))[1:], "-q")[0]
    assert f"```text\n{sample.rstrip()}\n```" in card


def test_without_a_licence_none_is_claimed(run: Path, in_process: InProcess) -> None:
    _, told = in_process("export", "run", "out")
    assert "the card names no licence; --license adds one" in told
    assert "license" not in front_matter(Path("out/README.md").read_text("utf-8"))


def test_the_settings_repeat_the_run(out: Path, run: Path, charrnn: Command) -> None:
    done = charrnn("train", "--config", "out/run.toml", "--name", "again")
    assert done.returncode == 0, done.stderr
    first, again = (charrnn("sample", "--model", each, "--seed", "1").stdout for each in ("run", "again"))
    assert first == again


@pytest.mark.slow
def test_the_command_of_the_card_trains_with_the_same_settings(folder: Path, charrnn: Command) -> None:
    Path("a b.txt").write_text("the cat sat on the mat\n" * 40)
    options = ("--documents", "line", "--residual", "--layers", "2", "--zoneout", "0.1", "--encoder", "one-hot")
    charrnn("train", "a b.txt", *TINY, *options, "--steps", "2", "--time", "90s", "--name", "first", "--layers", "2")
    tables = tomllib.loads(Path("checkpoints/first/run.toml").read_text())
    command = training_command(RunConfig.from_mapping(tables, "run.toml"))
    done = charrnn(*shlex.split(command)[1:], "--name", "again")
    assert done.returncode == 0, done.stderr
    again = tomllib.loads(Path("checkpoints/again/run.toml").read_text())
    assert {name: again[name] for name in ("text", "model", "training")} == {
        name: tables[name] for name in ("text", "model", "training")
    }


def test_a_time_is_written_in_seconds() -> None:
    config = RunConfig(TextConfig(corpus=("t",)), training=TrainingConfig(time=5400.5, from_model="m"))
    assert training_command(config) == "charrnn train t --time 5400.5 --from m"
    assert training_command(replace(config, training=TrainingConfig(time=180.0))) == "charrnn train t --time 180"


def test_nothing_is_overwritten_unless_asked_for(out: Path, in_process: InProcess) -> None:
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    told = in_process("export", "run", "out", "--license", "mit", code=2)[1]
    assert "out is not empty, and nothing is overwritten; name another folder, or use --force" in told
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    (out / "mine").write_text("")
    in_process("export", "run", "out", "--license", "mit", "--force")
    assert front_matter((out / "README.md").read_text("utf-8"))["license"] == "mit"
    assert (out / "mine").exists()
    Path("file").write_text("")
    assert "is no folder" in in_process("export", "run", "file", code=2)[1]
    assert "name a model and a folder" in in_process("export", "run", code=2)[1]
    Path("empty").mkdir()
    told = json.loads(in_process("export", "run", "empty", "--json")[0])
    assert told["files"] == {path.name: path.stat().st_size for path in Path("empty").iterdir()}


def test_it_cannot_be_resumed_and_can_be_trained_further(out: Path, in_process: InProcess, charrnn: Command) -> None:
    for name in ("out", "out/model.safetensors"):
        told = in_process("train", "--resume", name, code=4)[1]
        assert "was exported, without what resuming needs" in told
        assert "--from out" in told
    done = charrnn("train", "small.txt", "--from", "out", "--steps", "1")
    assert done.returncode == 0, done.stderr


def test_an_export_can_be_exported(out: Path, in_process: InProcess) -> None:
    in_process("export", "out", "second")
    for name in FILES - {"README.md", "model.safetensors"}:  # the folder's name, and metadata in any order, are there
        assert (out / name).read_bytes() == Path("second", name).read_bytes()


@pytest.mark.parametrize("name", ["config.json", "vocabulary.json"])
def test_a_file_that_disagrees_with_the_weights_is_found(out: Path, in_process: InProcess, name: str) -> None:
    in_process("info", "out", "--check")
    (out / name).write_text((out / name).read_text("utf-8").replace("0", "1"), "utf-8")
    if name == "vocabulary.json":
        (out / name).write_text("[]")
    assert f"out/{name}: it does not say what model.safetensors says" in in_process("info", "out", "--check", code=4)[1]


@pytest.mark.parametrize("cell", CORES)
def test_every_core_has_its_equations_in_its_card(folder: Path, in_process: InProcess, cell: str) -> None:
    made = random_checkpoint(
        ModelConfig(cell, 1, 8, "one-hot", None, 0.0, zoneout=0.1), Vocabulary.of("ab", "character")
    )
    Path("model").write_bytes(to_bytes(replace(made, counters=Counters(step=3))))
    in_process("export", "model", "out")
    card = Path("out/README.md").read_text("utf-8")
    assert re.search(r"^(h|h_t|c_t) +=|the LSTM's step", card, re.MULTILINE)
    assert "0.1 of the one before" in card
    assert "nothing was measured" in card


def test_a_hostile_model_stays_in_its_card(folder: Path, in_process: InProcess) -> None:
    text = TextConfig(corpus=("a\x1b[31m\n---\n# b`<script>",))
    made = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), Vocabulary.of("`~\n", "character"))
    counters = Counters(step=3, loss=800.0, best_loss=800.0, best_step=3)
    config = RunConfig(text, made.config.model)
    Path("model").write_bytes(to_bytes(replace(made, config=config, counters=counters)))
    in_process("export", "model", "out")
    card = Path("out/README.md").read_text("utf-8")
    assert "\x1b" not in card
    assert card.count("\n---\n") == 1
    assert "\n# b" not in card
    assert "\\<script\\>" in card
    assert front_matter(card)["model-index"][0]["results"][0]["metrics"][1]["value"] is None
    longest = max(map(len, re.findall("`+", card)))
    assert len(re.findall(f"^{'`' * longest}", card, re.MULTILINE)) >= 2
