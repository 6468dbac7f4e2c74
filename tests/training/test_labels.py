"""Trainings on documents with labels: repeated and resumed bit for bit, and only on what they began with."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import DataError
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.training.loop import resume, train
from tests.conftest import everything, tiny_run


@pytest.fixture
def config(folder: Path) -> RunConfig:
    for label, text in {"sea": "luma\nvelune\nmaro\n", "hill": "krok\ngrund\nbrask\n"}.items():
        (folder / "texts" / label).mkdir(parents=True)
        (folder / "texts" / label / "a.txt").write_text(text * 9)
    return tiny_run(folder / "texts", labels=True, sequence_length=5)


@pytest.mark.slow
def test_a_run_is_repeated_and_resumed_bit_for_bit(config: RunConfig) -> None:
    list(train(config, "whole"))
    list(train(config, "again"))
    assert everything(Path("checkpoints/again")) == everything(Path("checkpoints/whole"))
    list(train(config.override({"steps": 24}), "longer"))
    list(train(config.override({"steps": 24}), "halved", iter([False] * 7 + [True]).__next__))
    list(resume(find_resumable("checkpoints/halved"), {}))
    assert everything(Path("checkpoints/halved")) == everything(Path("checkpoints/longer"))
    latest = Run(Path("checkpoints/halved")).pointed("latest")
    assert latest is not None
    vocabulary = from_file(latest).vocabulary
    assert (vocabulary.labels, vocabulary.label_counts) == (("hill", "sea"), (24, 25))  # of what is learned


def test_a_run_does_not_go_on_when_a_folder_was_renamed(config: RunConfig) -> None:
    list(train(config, "run"))
    Path("texts/sea").rename("texts/lake")
    with pytest.raises(DataError, match="texts has changed since the run began"):
        list(resume(find_resumable("checkpoints/run"), {"steps": 24}))


def test_a_model_is_trained_further_with_more_labels(config: RunConfig) -> None:
    list(train(config, "run"))
    Path("more.tsv").write_text("city\tbellory\nsea\tluma\n" * 9)
    further = tiny_run(Path("more.tsv"), labels=True, from_model="checkpoints/run", sequence_length=5)
    further = replace(further, model=ModelConfig())  # the network is the model's
    list(train(further, "further"))
    latest = Run(Path("checkpoints/further")).pointed("latest")
    assert latest is not None
    vocabulary = from_file(latest).vocabulary
    assert (vocabulary.labels, vocabulary.label_counts) == (("city", "hill", "sea"), (8, 24, 8))  # of what is learned
    list(resume(find_resumable("checkpoints/further"), {"steps": 24}))
    assert from_file(latest.with_name("step-00000024.safetensors")).vocabulary.label_counts == (8, 24, 8)
