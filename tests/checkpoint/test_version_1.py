"""A checkpoint of format version 1, written once and never again, is what it was on that day.

But for the names of its parameters, which are the letters of the equations since version 2.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from charrnn.checkpoint.format import Counters, from_file, model_sha256, to_bytes
from charrnn.checkpoint.versions import from_version_1, to_version_1
from charrnn.layout import model_shapes
from charrnn.model import model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record, TrainingConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.optimizer import Optimizer
from charrnn.training.resume import capture, prepare_again, restore

FILE = Path(__file__).parents[1] / "fixtures" / "version-1.safetensors"

MODEL = {
    "stack.layers.0.W": [[2, -2, 0, 0.25, -0.25, 0.5], [0, 0, 2, 0.5, 0.25, -0.5]],
    "stack.layers.0.U": [[0.125, 0], [0, -0.125]],
    "stack.layers.0.b_W": [0, -0.5],
    "stack.layers.0.b_U": [0, -0.25],
    "head.weight": [[0, 3], [3, -2], [-3, -2], [0, 0], [0, 0], [0, 0]],
    "head.bias": [0, 0.5, 0.25, -1, -2, -3],
}
HALF_AND_QUARTER = {"exp_avg": 0.5, "exp_avg_sq": 0.25}


def test_what_it_says_of_itself_is_read() -> None:
    found = from_file(FILE, training=True)
    assert found.config == RunConfig(
        text=TextConfig(corpus=("triangle.txt",), normalize="nfc", documents="line", validation=0.25),
        model=ModelConfig("rnn", 1, 2, "one-hot", None, 0.5),
        training=TrainingConfig(
            steps=20,
            batch_size=3,
            sequence_length=7,
            learning_rate=0.01,
            weight_decay=0.2,
            warmup_steps=100,
            gradient_clip=1.0,
            validate_every=4,
            report_every=2,
            seed=5,
            device="cpu",
        ),
        record=Record(corpus_sha256="0" * 64, plan=((0, 20),)),
    )
    assert found.vocabulary == Vocabulary("ahé", "character")
    assert found.counters == Counters(12, 240, 3.5, 1.5, 1.25, 8, 1)
    assert found.versions == {"charrnn": "0.1.0", "torch": "2.13.0"}


def test_its_arrays_are_read() -> None:
    found = from_file(FILE, training=True)
    assert {name: array.tolist() for name, array in found.model.items()} == MODEL
    moments = {
        f"optimizer.{name}.{key}": (factor * np.array(value)).tolist()
        for name, value in MODEL.items()
        for key, factor in HALF_AND_QUARTER.items()
    }
    steps = {f"optimizer.{name}.step": 12 for name in MODEL}
    others = {"rng.cpu": [i % 251 for i in range(5056)], "state.0.h": [[0.5, -0.5], [0.25, 0], [0, 1]]}
    assert {name: array.tolist() for name, array in found.training.items()} == moments | steps | others


def test_it_writes_what_it_wrote() -> None:
    found = from_file(FILE)
    greedy = SamplingConfig(length=12, temperature=0, seed=1)
    prime = found.vocabulary.encode("a")
    assert (
        "".join(generate(NumpyEngine(found.config.model, found.model), found.vocabulary, greedy, prime))
        == "héahéahéahéa"
    )


def test_its_training_goes_on_with_the_optimiser_that_it_had(folder: Path) -> None:
    """Nothing says which; there was one only."""
    (folder / "triangle.txt").write_text("ahéahéahé\n" * 40, "utf-8")
    setup = prepare_again(FILE, from_file(FILE, training=True), {}, accept_new_corpus=True)
    assert setup.config.training.optimizer == "adamw"


def test_its_training_state_is_that_of_the_model_today() -> None:
    found = from_file(FILE, training=True)
    model = model_from_arrays(found.config.model, found.vocabulary, found.model)
    optimizer = Optimizer(model, found.config.override({"optimizer": "adamw"}).training)
    random_state = torch.get_rng_state().numpy()  # that of the file is none that torch takes
    state = restore(found.training | {"rng.cpu": random_state}, model, optimizer)
    captured = {name: array.tolist() for name, array in capture(optimizer, state, "cpu").items() if name != "rng.cpu"}
    assert captured == {name: array.tolist() for name, array in found.training.items() if name != "rng.cpu"}


def test_saved_again_it_is_the_same_model(folder: Path) -> None:
    found = from_file(FILE, training=True)
    (folder / "again").write_bytes(to_bytes(found))
    again = from_file(folder / "again", training=True)
    for before, after in ((found.model, again.model), (found.training, again.training)):
        assert {name: array.tolist() for name, array in before.items()} == {
            name: array.tolist() for name, array in after.items()
        }
    with safe_open(folder / "again", "numpy") as file:
        metadata, names = file.metadata(), set(file.keys())
    assert metadata["version"] == "2"
    assert {name.removeprefix("model.") for name in names if name.startswith("model.")} == MODEL.keys()
    old = {name: array for name, array in load_file(FILE).items() if name.startswith("model.")}
    digest = sha256(metadata["model"].encode())
    for name in sorted(old):
        digest.update(f"\0{name}\0<f4\0{old[name].shape}\0".encode() + old[name].tobytes())
    assert digest.hexdigest() == metadata["model_sha256"] == model_sha256(found) == model_sha256(again)


@pytest.mark.parametrize("cell", CORES)
def test_every_name_has_one_in_version_1_and_comes_back(cell: str) -> None:
    names = list(model_shapes(ModelConfig(cell, 12, 4, "embedding", 3, 0.0), 9))
    names += [f"optimizer.{name}.{key}" for name in names for key in ("exp_avg", "momentum")] + ["rng.cpu", "state.0.h"]
    old = [to_version_1(name, cell) for name in names]
    assert len(set(old)) == len(names)
    assert [from_version_1(name, cell) for name in old] == names
    assert any(".fused." in name for name in old) == (cell in ("rnn", "rnn-relu", "lstm", "gru"))
