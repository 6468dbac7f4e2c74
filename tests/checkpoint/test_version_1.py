"""A checkpoint of format version 1, written once and never again, is what it was on that day."""

from pathlib import Path

import numpy as np

from charrnn.checkpoint.format import Counters, from_file
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record, TrainingConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.resume import prepare_again

FILE = Path(__file__).parents[1] / "fixtures" / "version-1.safetensors"

MODEL = {
    "stack.layers.0.fused.weight_ih_l0": [[2, -2, 0, 0.25, -0.25, 0.5], [0, 0, 2, 0.5, 0.25, -0.5]],
    "stack.layers.0.fused.weight_hh_l0": [[0.125, 0], [0, -0.125]],
    "stack.layers.0.fused.bias_ih_l0": [0, -0.5],
    "stack.layers.0.fused.bias_hh_l0": [0, -0.25],
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
