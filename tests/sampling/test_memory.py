"""What a sample takes of memory does not depend on its length."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.config import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint


def peak_memory(length: int) -> int:
    """The largest resident size, in bytes, of a process that writes so many characters."""
    program = [sys.executable, "-m", "charrnn", "sample", "--model", "model.safetensors", "--seed", "1", "-q"]
    with Path("text").open("wb") as text:
        process = subprocess.Popen([*program, "--no-until-end", "-n", str(length), "-p", ""], stdout=text)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert Path("text").stat().st_size == length
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.usefixtures("folder")
def test_memory_does_not_grow_with_length() -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 6, "embedding", 5, 0.0), Vocabulary("abcdefgh"))
    Path("model.safetensors").write_bytes(to_bytes(checkpoint))
    assert peak_memory(60_000) - peak_memory(2_000) < 5e6
