"""A checkpoint comes back as it was, or not at all."""

import json
import struct
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from charrnn.checkpoint.format import Checkpoint, Counters, from_file, to_bytes
from charrnn.errors import CheckpointError
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

MODEL = ModelConfig(cell="gru", layers=2, hidden_size=4, embedding_size=3, dropout=0.1)


def checkpoint() -> Checkpoint:
    made = random_checkpoint(MODEL, Vocabulary.of('a\0"é한\U0010ffff\x1b[', "character"))
    return replace(
        made,
        counters=Counters(7, 70, 1.5, best_loss=1.25, best_step=4, stale=1, skipped=3, skipped_in_a_row=2),
        training={"optimizer.head.bias.step": np.array(7.0, np.float32), "rng.cpu": np.arange(9, dtype=np.uint8)},
        versions={"torch": "2.13.0"},
    )


def written(folder: Path, data: bytes) -> Path:
    path = folder / "step-00000007.safetensors"
    path.write_bytes(data)
    return path


def header_of(data: bytes) -> tuple[dict[str, object], bytes]:
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: dict[str, object], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def assert_same_arrays(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        assert a[name].tobytes() == b[name].tobytes()


def test_everything_comes_back(folder: Path) -> None:
    saved = checkpoint()
    found = from_file(written(folder, to_bytes(saved)), training=True)
    assert found.config == saved.config
    assert found.vocabulary == saved.vocabulary
    assert found.counters == saved.counters
    assert found.versions == saved.versions
    assert_same_arrays(found.model, saved.model)
    assert_same_arrays(found.training, saved.training)


@pytest.mark.parametrize("counters", [Counters(), Counters(loss=0.0, best_loss=0.0, best_step=0), Counters(skipped=1)])
def test_counters_that_are_as_in_a_new_run_are_not_written(folder: Path, counters: Counters) -> None:
    """So that a charrnn from before a counter reads what it could have written; those that it lacks are as at first."""
    data = to_bytes(replace(checkpoint(), counters=counters))
    header, _ = header_of(data)
    about = json.loads(header["__metadata__"]["training"])  # type: ignore[index]
    assert about["counters"].items() <= asdict(counters).items()
    assert not about["counters"].items() & asdict(Counters()).items()
    assert from_file(written(folder, data), training=True).counters == counters


def test_a_sampler_reads_the_model_alone(folder: Path) -> None:
    found = from_file(written(folder, to_bytes(checkpoint())))
    assert_same_arrays(found.model, checkpoint().model)
    assert not found.training


def test_a_vocabulary_of_bytes_comes_back(folder: Path) -> None:
    saved = random_checkpoint(MODEL, Vocabulary.of("", "byte"))
    assert from_file(written(folder, to_bytes(saved))).vocabulary == saved.vocabulary


def test_a_vocabulary_of_every_character_comes_back(folder: Path) -> None:
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    saved = random_checkpoint(ModelConfig("rnn", 1, 1, "embedding", 1), Vocabulary(every))
    assert from_file(written(folder, to_bytes(saved))).vocabulary == saved.vocabulary


def test_the_file_is_plain_safetensors() -> None:
    arrays = load(to_bytes(checkpoint()))
    assert arrays["model.head.weight"].shape == (len(checkpoint().vocabulary.characters) + 3, 4)


def test_the_same_content_has_the_same_bytes_each_time() -> None:
    assert len({to_bytes(checkpoint()) for _ in range(8)}) == 1


def test_damage_in_the_training_part_does_not_keep_one_from_sampling(folder: Path) -> None:
    header, body = header_of(to_bytes(checkpoint()))
    start, _ = header["rng.cpu"]["data_offsets"]  # type: ignore[index]
    damaged = written(folder, with_header(header, body[:start] + b"\xee" + body[start + 1 :]))
    assert_same_arrays(from_file(damaged).model, checkpoint().model)
    with pytest.raises(CheckpointError, match="training part is damaged"):
        from_file(damaged, training=True)


def change(metadata_key: str, value: str | None) -> bytes:
    header, body = header_of(to_bytes(checkpoint()))
    metadata: dict[str, str] = header["__metadata__"]  # type: ignore[assignment]
    if value is None:
        del metadata[metadata_key]
    else:
        metadata[metadata_key] = value
    return with_header(header, body)


def change_configuration(section: str, key: str, value: object) -> bytes:
    header, _ = header_of(to_bytes(checkpoint()))
    about = json.loads(header["__metadata__"]["model"])  # type: ignore[index]
    about["configuration"][section][key] = value
    return change("model", json.dumps(about))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no safetensors"),
        (b"PK\3\4 a pickle in a zip", "no safetensors"),
        (b"First Citizen: Before we proceed any further, hear me speak.", "no safetensors"),
        (save({"weight": np.zeros(3)}), "not written by charrnn"),
        (change("format", "pt"), "not written by charrnn"),
        (change("version", "5"), "format version 5; a newer charrnn reads it, this charrnn reads the versions 1, 2, 4"),
        (change("version", "3"), "format version 3; no charrnn reads it any more"),
        (change("model", "{"), "no plain JSON"),
        (change("model", "[" * 100_000), "nested too deeply"),
        (change("model", "[]"), "not an object"),
        (change("model", "{}"), "does not have configuration and vocabulary"),
        (change("model_sha256", "0" * 64), "model part is damaged"),
        (change("model_sha256", None), "metadata is not that of a checkpoint"),
        (change_configuration("model", "hidden_size", 5), "should be F32"),
        (change_configuration("model", "hidden_size", 10**9), "does not hold together"),
        (change_configuration("model", "hidden_size", "4"), "does not hold together"),
        (change_configuration("model", "hidden_size", True), "does not hold together"),
        (change_configuration("model", "layers", 1), "arrays are not those"),
        (change_configuration("model", "cell", "transformer"), "does not hold together"),
        (change_configuration("model", "colour", "blue"), "does not hold together"),
        (change_configuration("text", "normalize", ["nfc"]), "does not hold together"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_line(folder: Path, data: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        from_file(written(folder, data), training=True)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_not_finite_are_refused_by_name(folder: Path) -> None:
    saved = checkpoint()
    saved.model["head.bias"][1] = np.nan
    with pytest.raises(CheckpointError, match=r"not all numbers in it are finite: model\.head\.bias"):
        from_file(written(folder, to_bytes(saved)))


def test_what_is_not_a_file_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint at none"):
        from_file(Path("none"))
    with pytest.raises(CheckpointError, match="is not a file"):
        from_file(folder)
