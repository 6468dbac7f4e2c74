"""`charrnn train --from`: from one text to another, and what is refused."""

import json
from pathlib import Path

import pytest

from tests.conftest import Command

pytestmark = pytest.mark.slow

TINY = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9", "--steps", "5")


def test_a_model_learns_a_text_in_another_script(small_text: Path, charrnn: Command) -> None:
    Path("new.txt").write_text("Тихо в лесу, только не спит барсук. " * 9)
    assert charrnn("train", "small.txt", *TINY, "--cell", "lstm", "--name", "old").returncode == 0
    further = charrnn("train", "new.txt", "--steps", "5", CHARRNN_FROM="checkpoints/old")
    assert further.returncode == 0, further.stderr
    assert b"charrnn: training checkpoints/old/step-00000005.safetensors further, lstm 1\xc3\x978" in further.stderr
    assert b"characters are new to the model" in further.stderr

    sampled = charrnn("sample", "--prime", "Тихо the ", "-n", "20")
    assert sampled.returncode == 0, sampled.stderr
    assert sampled.stdout.decode().startswith("Тихо the ")
    assert json.loads(charrnn("eval", "--json").stdout)["unknown"] == 0

    asked = charrnn("train", "new.txt", "--from", "checkpoints/old", "--cell", "gru")  # which is the default
    assert asked.returncode == 2
    assert b"has --cell lstm, not gru; --from keeps the model as it is: leave --cell out" in asked.stderr
    nowhere = charrnn("train", "new.txt", "--from", "checkpoints/none")
    assert (nowhere.returncode, nowhere.stdout) == (4, b"")
    assert b"there is no checkpoint at checkpoints/none" in nowhere.stderr
