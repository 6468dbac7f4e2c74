"""A state that was saved is the state that was there; a file that is anything else is refused."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CheckpointError, UsageError
from charrnn.model import model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.sampling.batched import write_batched
from charrnn.sampling.generate import Engine
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.prefill import after_prime, read_prime, started
from charrnn.sampling.prompt_cache import Primed, load_state, save_state
from charrnn.sampling.torch_engine import TorchEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary
from tests.conftest import random_checkpoint

VOCABULARY = Vocabulary("abcdefgh")
PRIME = VOCABULARY.encode("abacadafgh" * 3)


def opened(cell: str, kind: str = "numpy", seed: int = 0) -> tuple[Engine, Checkpoint]:
    checkpoint = random_checkpoint(ModelConfig(cell, 2, 6, "embedding", 5, 0.0), VOCABULARY, seed)
    if kind == "numpy":
        return NumpyEngine(checkpoint.config.model, checkpoint.model), checkpoint
    return TorchEngine(model_from_arrays(checkpoint.config.model, VOCABULARY, checkpoint.model)), checkpoint


def primed(engine: Engine, *pieces: Ids) -> Primed:
    return read_prime(engine, started(engine, VOCABULARY.start), pieces)


def texts(engine: Engine, begun: Primed) -> list[str]:
    """With a penalty that reaches back into the prime."""
    config = SamplingConfig(seed=1, length=20, until_end=False, repetition_penalty=3, repetition_window=40)
    begin = after_prime(engine, VOCABULARY, config, PRIME, begun)
    found = [""] * 20
    for index, text, _ in write_batched(engine, VOCABULARY, config, begin, 20):
        found[index] += text
    return found


@pytest.mark.slow
@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_saved_state_is_as_good_as_the_prime(folder: Path, cell: str, kind: str) -> None:
    engine, checkpoint = opened(cell, kind)
    whole = primed(engine, PRIME[:9], PRIME[9:])
    save_state(folder / "state", primed(engine, PRIME[:9]), engine, checkpoint)
    loaded = load_state(folder / "state", engine, checkpoint).after(engine, PRIME[9:].astype(np.int64))
    np.testing.assert_array_equal(loaded.logits, whole.logits)
    np.testing.assert_array_equal(loaded.recent, whole.recent)
    assert texts(engine, loaded) == texts(engine, whole)


@pytest.mark.parametrize("pieces", [[PRIME[:1], PRIME[1:]], [PRIME[:0], PRIME], np.array_split(PRIME, 7)], ids=len)
def test_a_prime_in_pieces_is_the_prime(pieces: list[Ids]) -> None:
    engine, _ = opened("lstm")
    assert texts(engine, primed(engine, *pieces)) == texts(engine, primed(engine, PRIME))


def test_it_is_not_written_over_a_file(folder: Path) -> None:
    engine, checkpoint = opened("gru")
    (folder / "state").write_bytes(b"mine")
    with pytest.raises(UsageError, match="nothing is overwritten"):
        save_state(folder / "state", primed(engine, PRIME), engine, checkpoint)
    assert (folder / "state").read_bytes() == b"mine"


def test_it_belongs_to_its_model(folder: Path) -> None:
    engine, checkpoint = opened("gru")
    save_state(folder / "state", primed(engine, PRIME), engine, checkpoint)
    other, other_checkpoint = opened("gru", seed=1)
    with pytest.raises(CheckpointError, match="saved with another model"):
        load_state(folder / "state", other, other_checkpoint)


def test_every_damaged_byte_is_noticed(folder: Path) -> None:
    engine, checkpoint = opened("gru")
    save_state(folder / "state", primed(engine, PRIME), engine, checkpoint)
    whole = (folder / "state").read_bytes()
    for place in [*range(0, len(whole), 7), len(whole) - 1]:
        (folder / "bad").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError):
            load_state(folder / "bad", engine, checkpoint)
    for length in (0, 7, 8, len(whole) // 2, len(whole) - 1):
        (folder / "bad").write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_state(folder / "bad", engine, checkpoint)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("logits"),
        lambda arrays: arrays.update(logits=arrays["logits"][:, :-1]),
        lambda arrays: arrays.update(more=arrays["logits"]),
        lambda arrays: arrays.update({"layers.0.h": np.zeros((2, 6), np.float32)}),
        lambda arrays: arrays.update(recent=np.zeros(5, np.uint8)),
        lambda arrays: arrays.update(recent=np.full(4, 255, np.uint8)),
        lambda arrays: arrays["logits"].fill(np.nan),
    ],
    ids=["missing", "shape", "more", "rows", "recent", "token", "nan"],
)
def test_what_is_no_state_of_the_model_is_refused(folder: Path, change: Any) -> None:
    """Even with a digest that fits."""
    from charrnn.sampling import prompt_cache

    engine, checkpoint = opened("gru")
    save_state(folder / "state", primed(engine, PRIME), engine, checkpoint)
    arrays = load_file(folder / "state")
    change(arrays)
    digest = hashlib.sha256(b"".join(f"{name}\0".encode() + arrays[name].tobytes() for name in sorted(arrays)))
    metadata = {"format": "charrnn-state", "version": "1", "sha256": digest.hexdigest()}
    metadata["model_sha256"] = prompt_cache.model_sha256(checkpoint)
    save_file(arrays, folder / "bad", metadata)
    with pytest.raises(CheckpointError, match="cannot use the state"):
        load_state(folder / "bad", engine, checkpoint)


def test_a_checkpoint_is_no_state_and_nothing_is_not_one_either(folder: Path) -> None:
    engine, checkpoint = opened("gru")
    save_file({"a": np.zeros(1, np.float32)}, folder / "other", {"format": "charrnn"})
    with pytest.raises(CheckpointError, match="no state that charrnn has saved"):
        load_state(folder / "other", engine, checkpoint)
    with pytest.raises(CheckpointError, match="there is no state"):
        load_state(folder / "nothing", engine, checkpoint)
    with pytest.raises(CheckpointError, match="not a file"):
        load_state(folder, engine, checkpoint)
