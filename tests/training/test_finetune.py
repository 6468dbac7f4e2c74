"""A model that is trained further: what it knew it knows still, and its run comes from where it says."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import Checkpoint, from_file, model_sha256, to_bytes
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import CharrnnError, CheckpointError, UsageError
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Event, Finished, Notice, Validated
from charrnn.model import CharacterModel, model_arrays, model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.finetune import begin_from
from charrnn.training.loop import resume, train
from tests.conftest import everything, random_checkpoint, tiny_run

OLD, NEW = Vocabulary("aceglor"), Vocabulary("\n abcdefghklorzé한")


def grown(start: Checkpoint, vocabulary: Vocabulary) -> CharacterModel:
    model = CharacterModel(start.config.model, vocabulary.size, vocabulary.unknown)
    begin_from(start, model, vocabulary)
    return model.eval()


@pytest.mark.parametrize("encoder", ["embedding", "one-hot"])
@pytest.mark.parametrize("cell", CORES)
def test_before_the_first_step_known_characters_have_their_old_logits(cell: str, encoder: str) -> None:
    shape = ModelConfig(cell, 2, 6, encoder, 5 if encoder == "embedding" else None, 0.0, zoneout=0.1)  # type: ignore[arg-type]
    start = random_checkpoint(shape, OLD)
    ids = OLD.translation(NEW).astype(np.int64)
    old, new = model_from_arrays(shape, OLD, start.model), grown(start, NEW)
    read = np.random.default_rng(1).integers(OLD.size, size=(3, 8))
    with torch.no_grad():
        wanted, _ = old(torch.from_numpy(read), old.initial_state(3))
        found, _ = new(torch.from_numpy(ids[read]), new.initial_state(3))
    # Products of other widths may round otherwise.
    torch.testing.assert_close(found[..., ids], wanted, rtol=1e-5, atol=2e-6)
    before, after = NumpyEngine(shape, start.model), NumpyEngine(shape, model_arrays(new))
    logits, _ = before.read(read, before.initial_state(3))
    grown_logits, _ = after.read(ids[read], after.initial_state(3))
    np.testing.assert_allclose(grown_logits[:, ids], logits, rtol=1e-5, atol=2e-6)


def test_weights_of_known_characters_are_the_old_ones_and_of_new_ones_those_of_a_new_model() -> None:
    shape = ModelConfig("gru", 1, 6, "embedding", 5, 0.0)
    start = random_checkpoint(shape, OLD)
    torch.manual_seed(3)
    fresh = model_arrays(CharacterModel(shape, NEW.size, NEW.unknown))
    torch.manual_seed(3)
    weights = model_arrays(grown(start, NEW))
    ids = OLD.translation(NEW).astype(np.int64)
    others = np.setdiff1d(np.arange(NEW.size), ids)
    for name in ("encoder.vectors.weight", "head.weight", "head.bias"):
        assert np.array_equal(weights[name][ids], start.model[name])
        assert np.array_equal(weights[name][others], fresh[name][others])
    recurrent = [name for name in weights if name.startswith("stack.")]
    assert recurrent
    assert all(np.array_equal(weights[name], start.model[name]) for name in recurrent)


@pytest.fixture
def first(small_text: Path) -> Path:
    """The folder of a run with the cell that is not the default one."""
    *_, event = train(tiny_run(small_text, cell="lstm"), "first")
    assert isinstance(event, Finished)
    return event.run


@pytest.fixture
def new_text(folder: Path) -> Path:
    path = folder / "new.txt"
    path.write_text("Тихо в лесу, the cat sat. " * 20)
    return path


def further(text: Path, first: Path, **changes: object) -> RunConfig:
    """What a user says who names the model and nothing of its network."""
    training = TrainingConfig(steps=6, batch_size=3, sequence_length=7, validate_every=2, report_every=2)
    return replace(RunConfig(training=training)).override({"corpus": (str(text),), "from_model": str(first), **changes})


def run_of(events: list[Event]) -> Path:
    assert isinstance(events[-1], Finished)
    return events[-1].run


def latest(run: Path) -> Checkpoint:
    path = Run(run).pointed("latest")
    assert path
    return from_file(path, training=True)


def recorded(run: Path) -> RunConfig:
    return RunConfig.from_mapping(tomllib.loads((run / "run.toml").read_text()), "run.toml")


def test_a_new_text_is_learned_by_the_network_of_the_model(first: Path, new_text: Path) -> None:
    start, path = latest(first), Run(first).pointed("best")
    assert path
    events = list(train(further(new_text, first)))
    told = [event.text for event in events if isinstance(event, Notice)]
    new = set(new_text.read_text()) - set(start.vocabulary.characters)
    assert f"training {path} further, lstm 2×8" in told[0]
    assert f"{len(new)} characters are new to the model" in told
    assert run_of(events) == Path("checkpoints/new-lstm")
    checkpoint = latest(run_of(events))
    assert checkpoint.config.model == start.config.model
    assert set(checkpoint.vocabulary.characters) == set(start.vocabulary.characters) | new
    assert (checkpoint.config.training.from_model, checkpoint.config.record.from_sha256) == (
        str(path),
        model_sha256(from_file(path)),
    )
    rate = checkpoint.config.training.learning_rate
    assert rate is not None
    assert rate < CORES["lstm"].learning_rate
    assert evaluate(checkpoint).score.unknown == 0
    losses = [event.loss for event in events if isinstance(event, Validated)]
    assert losses == sorted(losses, reverse=True)


def test_characters_that_the_new_text_lacks_are_still_known(first: Path, folder: Path) -> None:
    Path("aaa.txt").write_text("a cat " * 50)
    checkpoint = latest(run_of(list(train(further(Path("aaa.txt"), first)))))
    assert checkpoint.vocabulary == latest(first).vocabulary


def test_the_optimiser_begins_anew(first: Path, new_text: Path) -> None:
    assert latest(first).training["optimizer.head.bias.step"] == 12
    assert latest(run_of(list(train(further(new_text, first))))).training["optimizer.head.bias.step"] == 6


def test_regularisation_budget_and_learning_rate_may_differ(first: Path, new_text: Path) -> None:
    changes = {"dropout": 0.4, "zoneout": 0.1, "recurrent_dropout": 0.2, "learning_rate": 0.02, "steps": 4}
    config = latest(run_of(list(train(further(new_text, first, **changes))))).config
    assert {name: getattr(config.model, name, getattr(config.training, name, None)) for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        ({"cell": "rnn"}, (), "has cell='lstm', not rnn"),
        ({"cell": "gru"}, ("cell",), "has cell='lstm', not gru"),  # the default, but asked for
        ({"hidden_size": 9}, (), "has hidden_size=8, not 9"),
        ({"layers": 1}, (), "has layers=2, not 1"),
        ({"embedding_size": 6}, (), "has embedding_size=5, not 6"),
        ({"encoder": "one-hot"}, (), "has encoder='embedding', not one-hot"),
        ({"residual": True}, (), "has residual=False, not True"),
        ({"unit": "byte"}, (), "reads characters; train it further with unit='character'"),
        ({"normalize": "nfd"}, (), "has normalize='none', not nfd"),
    ],
)
def test_another_network_is_refused(
    first: Path, new_text: Path, changes: dict[str, object], given: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        list(train(further(new_text, first, **changes), given=given))
    assert not Path("checkpoints/new-lstm").exists()


def test_a_model_that_is_not_there_is_told(new_text: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint at none"):
        list(train(further(new_text, Path("none"))))


def test_the_text_is_normalised_as_that_of_the_model_was(small_text: Path, folder: Path) -> None:
    first = run_of(list(train(tiny_run(small_text, normalize="nfd"), "first")))
    Path("korean.txt").write_text("한국어 문장. " * 30)
    checkpoint = latest(run_of(list(train(further(Path("korean.txt"), first)))))
    assert checkpoint.config.text.normalize == "nfd"
    assert set(checkpoint.vocabulary.characters) - set(latest(first).vocabulary.characters) <= {"."}


def test_a_run_that_was_trained_further_is_repeated_to_the_bit_or_refused(first: Path, new_text: Path) -> None:
    run = run_of(list(train(further(new_text, first), "run")))
    again = run_of(list(train(recorded(run), "again")))
    assert everything(again) == everything(run)

    path = Run(first).pointed("best")
    assert path
    start = from_file(path)
    start.model["head.bias"][0] += 1
    path.write_bytes(to_bytes(start))
    with pytest.raises(CheckpointError, match=r"is not the model from which the recorded run began: its sha256 is "):
        list(train(recorded(run), "other"))
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        list(train(recorded(run), "other"))
    assert not Path("checkpoints/other").exists()


def test_a_run_that_was_trained_further_goes_on_without_the_model_that_it_came_from(
    first: Path, new_text: Path
) -> None:
    whole = everything(run_of(list(train(further(new_text, first), "whole"))))
    asked = iter(range(1, 100))
    run = run_of(list(train(further(new_text, first), "stopped", lambda: next(asked) >= 3)))
    path = Run(first).pointed("best")
    assert path
    path.unlink()
    list(resume(find_resumable(str(run)), {}))
    assert everything(run)[:2] == whole[:2]
    assert latest(run).config.record.from_sha256


def test_a_model_of_bytes_is_trained_further_on_bytes(small_text: Path, new_text: Path) -> None:
    first = run_of(list(train(tiny_run(small_text, unit="byte"), "first")))
    checkpoint = latest(run_of(list(train(further(new_text, first, unit="byte")))))
    assert checkpoint.vocabulary == latest(first).vocabulary
    with pytest.raises(CharrnnError, match="reads bytes; train it further with unit='byte'"):
        list(train(further(new_text, first)))
