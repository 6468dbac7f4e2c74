"""The loss that chooses the best checkpoint is the one that `charrnn eval` reports, for every core."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.evaluation.evaluate import evaluate
from charrnn.evaluation.scoring import carried, overlapping, score
from charrnn.events import Validated
from charrnn.model import CharacterModel, model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import train
from charrnn.training.validation import validation_segments
from tests.conftest import random_checkpoint, tiny_run

TOLERANCE = 1e-3  # nats per character
# The gate of each scan core, and the bias with which it forgets a ten thousandth of its state a step.
SLOW = {"min-gru": {"b_z": -9.0}, "min-lstm": {"b_i": -9.0, "b_f": 9.0}, "rg-lru": {"Lambda": -11.0}}


def sentences(count: int) -> str:
    """Words in random order, some of which depend on words long before them."""
    random = np.random.default_rng(0)
    words = ["the", "cat", "tea", "and", "ran", "on", "of", "a", "mill"]
    return "".join(f"{' '.join(random.choice(words, 6))}.\n" for _ in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("hidden_size", [8, 32])
@pytest.mark.parametrize("cell", CORES)
def test_validation_is_within_a_thousandth_of_what_eval_reports(folder: Path, cell: str, hidden_size: int) -> None:
    (folder / "text.txt").write_text(sentences(2000))
    changes = {"hidden_size": hidden_size, "batch_size": 16, "sequence_length": 32}
    # A younger rnn-relu blows up on a long text: its state grows from step to step, and its score means nothing.
    changes |= dict.fromkeys(("steps", "validate_every"), 120 if cell == "rnn-relu" else 30)
    events = list(train(tiny_run(folder / "text.txt", cell=cell, **changes)))
    (validated,) = (event for event in events if isinstance(event, Validated))
    path = Run(Path(f"checkpoints/text-{cell}")).pointed("latest")
    assert path is not None
    found = evaluate(from_file(path)).score
    assert found.characters > 2 * 2048  # several windows
    assert found.nats_per_character == pytest.approx(validated.loss, abs=TOLERANCE)


def slow_model(cell: str, vocabulary: Vocabulary) -> CharacterModel:
    """A network whose gates hardly forget."""
    config = ModelConfig(cell, 2, 8, "embedding", 5, 0.0)
    model = model_from_arrays(config, vocabulary, random_checkpoint(config, vocabulary).model)
    with torch.no_grad():
        for layer in model.stack.layers:
            for name, value in SLOW[cell].items():
                layer.weights()[name].fill_(value)
    return model


@pytest.mark.parametrize("cell", SLOW)
def test_a_scan_that_hardly_forgets_is_validated_exactly(cell: str) -> None:
    text = sentences(400)
    vocabulary = Vocabulary.of(text, "character")
    tokens, model = tokenize([text], vocabulary), slow_model(cell, vocabulary)

    def loss(segments: object) -> float:
        return score(model, tokens, segments, vocabulary).nats_per_character  # type: ignore[arg-type]

    exact = loss(carried(tokens))
    assert loss(validation_segments(model, tokens)) == pytest.approx(exact, abs=TOLERANCE)
    assert abs(loss(overlapping(tokens, 2048, 256)) - exact) > TOLERANCE  # a warm-up would not do


def test_other_cores_read_windows_side_by_side() -> None:
    vocabulary = Vocabulary.of("ab", "character")
    config = ModelConfig("gru", 1, 4, "one-hot", None, 0.0)
    model = model_from_arrays(config, vocabulary, random_checkpoint(config, vocabulary).model)
    tokens: Tokens = tokenize(["ab" * 4000], vocabulary)
    segments = validation_segments(model, tokens)
    assert len(segments.first) == 4
    assert int((segments.last - segments.first).sum()) <= 1.125 * tokens.targets  # characters read for each one scored
