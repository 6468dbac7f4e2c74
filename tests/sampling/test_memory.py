"""What a sample takes of memory does not depend on its length."""

from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.benchmarks.peak_memory import COMMAND, run_measured
from tests.conftest import random_checkpoint


def peak_memory(length: int) -> int:
    """The largest resident size, in bytes, of a process that writes so many characters."""
    sample = ("sample", "--model", "model.safetensors", "--seed", "1", "-q", "--no-until-end", "-p", "")
    done, peak = run_measured(COMMAND, *sample, "-n", str(length), capture_output=True)
    assert len(done.stdout) == length
    return peak


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_memory_does_not_grow_with_length() -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 6, "embedding", 5, 0.0), Vocabulary("abcdefgh"))
    Path("model.safetensors").write_bytes(to_bytes(checkpoint))
    assert peak_memory(60_000) - peak_memory(2_000) < 5e6
