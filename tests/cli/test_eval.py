"""`charrnn eval` in real processes."""

import json
import math
import os
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.terminal import on_terminal
from tests.conftest import Command, random_checkpoint

KEYS = [
    "nats_per_character",
    "bits_per_character",
    "bits_per_byte",
    "perplexity",
    "accuracy",
    "nats",
    "characters",
    "unknown",
    "protocol",
    "model",
]


@pytest.fixture
def uniform_model(folder: Path) -> Path:
    """A model that finds every token equally likely: 5 characters and 3 special tokens, so 3 bits each."""
    checkpoint = random_checkpoint(
        ModelConfig("lstm", 1, 6, "embedding", 4, 0.0), Vocabulary.of("abc한\n", "character")
    )
    for name in ("head.weight", "head.bias"):
        checkpoint.model[name][:] = 0
    path = folder / "model.safetensors"
    path.write_bytes(to_bytes(checkpoint))
    (folder / "text.txt").write_text("abc한\nabX\n")
    return path


def test_json_is_one_object_with_numbers_that_are_right(uniform_model: Path, charrnn: Command) -> None:
    done = charrnn("eval", "text.txt", "--model", str(uniform_model), "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    assert found["characters"] == 9  # 9 characters, less one unknown, and the end token
    assert found["unknown"] == 1
    assert found["bits_per_character"] == pytest.approx(3)
    assert found["nats_per_character"] == pytest.approx(3 * math.log(2))
    assert found["bits_per_byte"] == pytest.approx(3 * 9 / 11)
    assert found["perplexity"] == pytest.approx(8)
    assert found["protocol"] == "carried"
    assert found["model"] == str(uniform_model)


def test_windows_and_standard_input(uniform_model: Path, charrnn: Command) -> None:
    arguments = ("--model", str(uniform_model), "--json", "--protocol", "windowed", "--window", "3")
    found = json.loads(charrnn("eval", "-", *arguments, stdin=b"abcabc").stdout)
    assert (found["protocol"], found["characters"]) == ("windowed 3", 7)
    both = charrnn("eval", "text.txt", "text.txt", *arguments).stdout.splitlines()
    assert [json.loads(row)["protocol"] for row in both] == ["windowed 3"] * 3


def test_without_json_a_pipe_gets_plain_lines(uniform_model: Path, charrnn: Command) -> None:
    done = charrnn("eval", "text.txt", "--model", str(uniform_model), "-q")
    lines = dict(line.split(" ", 1) for line in done.stdout.decode().splitlines())
    assert list(lines) == KEYS
    assert float(lines["bits_per_character"]) == pytest.approx(3)
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_a_table(uniform_model: Path, folder: Path) -> None:
    code, seen, _ = on_terminal(["eval", "text.txt", "--model", "model.safetensors"], folder, streams=["stdout"])
    assert code == 0
    assert "bits per character │ 3.0000".encode() in seen


def test_another_encoding_can_be_named(uniform_model: Path, folder: Path, charrnn: Command) -> None:
    (folder / "cp949.txt").write_bytes("abc한".encode("cp949"))
    arguments = ("eval", "cp949.txt", "--model", str(uniform_model), "--json")
    assert charrnn(*arguments).returncode == 3
    assert json.loads(charrnn(*arguments, "--encoding", "cp949").stdout)["unknown"] == 0


def test_a_byte_order_mark_is_reported_on_stderr(uniform_model: Path, folder: Path, charrnn: Command) -> None:
    (folder / "marked.txt").write_bytes(b"\xef\xbb\xbfabc")
    done = charrnn("eval", "marked.txt", "--model", str(uniform_model), "--json")
    assert b"byte order mark" in done.stderr
    assert json.loads(done.stdout)["characters"] == 4


def test_a_page_of_standard_input_says_so(uniform_model: Path, charrnn: Command) -> None:
    done = charrnn("eval", "-", "--html", "-", "-q", "--model", str(uniform_model), stdin=b"abc")
    assert b"<title>standard input</title>" in done.stdout
    assert b"<h1>standard input</h1>" in done.stdout
