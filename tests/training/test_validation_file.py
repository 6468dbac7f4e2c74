"""A run with a file for validation: it is recorded, and resuming, scoring and repeating use it."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import DataError, UsageError
from charrnn.evaluation.evaluate import evaluate, open_reading
from charrnn.evaluation.memory import memory
from charrnn.evaluation.novelty import novelty
from charrnn.events import Began, Finished, Validated
from charrnn.settings.search import Search
from charrnn.training.comparison import Compared, compare
from charrnn.training.loop import resume, train, train_or_resume
from tests.conftest import Command, InProcess, everything, tiny_run

HELD_OUT = "a cat sat on a mat and the rat sat on the cat"


@pytest.fixture
def config(folder: Path) -> object:
    (folder / "a.txt").write_text("the cat sat on the mat. a rat sat and sat. " * 12)
    (folder / "held.txt").write_text(HELD_OUT)
    return tiny_run(Path("a.txt"), validation_file="held.txt")


def latest(run: str = "run") -> Checkpoint:
    path = Run(Path("checkpoints") / run).pointed("latest")
    assert path is not None
    return from_file(path, training=True)


def test_all_of_the_text_is_learned_and_the_file_validates(config: object) -> None:
    events = list(train(config, "run"))  # type: ignore[arg-type]
    (began,) = [event for event in events if isinstance(event, Began)]
    assert began.training_characters == len("the cat sat on the mat. a rat sat and sat. ") * 12 + 1
    assert began.validation_characters == len(HELD_OUT) + 1
    checkpoint = latest()
    validated = [event.loss for event in events if isinstance(event, Validated)]
    found = evaluate(checkpoint)
    assert found.text == "held.txt"
    assert found.score.nats_per_character == pytest.approx(validated[-1], rel=1e-5)
    assert found.score == evaluate(checkpoint, ("held.txt",)).score
    record = checkpoint.config.record
    assert None not in (record.corpus_sha256, record.validation_sha256)
    assert novelty(checkpoint).text == "held.txt"
    assert memory(open_reading(checkpoint), 10).targets == 10


def test_its_own_text_is_scored_without_the_corpus_and_not_if_it_has_changed(config: object, folder: Path) -> None:
    list(train(config, "run"))  # type: ignore[arg-type]
    (folder / "a.txt").unlink()
    before = evaluate(latest()).score
    (folder / "held.txt").write_text(HELD_OUT.replace("rat", "cat"))
    with pytest.raises(DataError, match=r"held.txt has changed since the model was trained on it"):
        evaluate(latest())
    (folder / "held.txt").unlink()
    with pytest.raises(DataError, match="the text of the model's own run cannot be read again"):
        evaluate(latest())
    (folder / "held.txt").write_text(HELD_OUT)
    assert evaluate(latest()).score == before


@pytest.mark.slow
def test_a_run_from_standard_input_has_it_too(folder: Path, charrnn: Command) -> None:
    (folder / "held.txt").write_text(HELD_OUT)
    sizes = ("--cell", "rnn", "--hidden-size", "8", "--steps", "3", "--batch-size", "2", "--sequence-length", "5")
    done = charrnn("train", "-", "--validation-file", "held.txt", "--name", "run", *sizes, stdin=b"the cat sat " * 20)
    assert done.returncode == 0, done.stderr
    said = charrnn("eval", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["characters"] + json.loads(said.stdout)["unknown"] == len(HELD_OUT) + 1
    assert 'validation_file = "held.txt"' in (folder / "checkpoints" / "run" / "run.toml").read_text()


def test_it_is_repeated_and_resumed_bit_for_bit(config: object) -> None:
    list(train(config, "run"))  # type: ignore[arg-type]
    list(train(config, "halved", iter([False] * 5 + [True]).__next__))  # type: ignore[arg-type]
    list(resume(find_resumable("checkpoints/halved"), {}))
    assert everything(Path("checkpoints/halved")) == everything(Path("checkpoints/run"))
    list(train(latest().config, "again"))
    assert everything(Path("checkpoints/again")) == everything(Path("checkpoints/run"))


def test_a_changed_file_is_told_where_it_counts(config: object, folder: Path) -> None:
    list(train(config, "run", iter([False] * 5 + [True]).__next__))  # type: ignore[arg-type]
    (folder / "held.txt").write_text(HELD_OUT + " and the mat")
    with pytest.raises(DataError, match=r"held.txt has changed since the run began"):
        list(resume(find_resumable("checkpoints/run"), {}))
    with pytest.raises(UsageError, match=r"validation_file='held.txt', not other.txt"):
        list(train_or_resume(config, "run", {"validation_file": "other.txt"}))  # type: ignore[arg-type]
    events = list(resume(find_resumable("checkpoints/run"), {}, accept_new_corpus=True))
    assert isinstance(events[-1], Finished)
    assert evaluate(latest()).score.characters == len(HELD_OUT + " and the mat") + 1


@pytest.mark.parametrize("documents", ["none", "line"])
def test_a_comparison_scores_it_with_every_seed(folder: Path, documents: str) -> None:
    (folder / "a.txt").write_text("the cat sat\non the mat.\na rat sat\nand sat.\n" * 12)
    (folder / "held.txt").write_text("a cat sat\non a rat\n")
    config = tiny_run(Path("a.txt"), validation_file="held.txt", documents=documents)
    rows = {
        row.cell: row for row in compare(config, Search(("gru",), trial_steps=0, seeds=2)) if isinstance(row, Compared)
    }
    assert len(rows["gru"].seeds) == 2
    assert len(rows["xz"].seeds) == 1
    for each in rows["gru"].seeds:
        assert each.checkpoint
        scored = evaluate(from_file(Path(each.checkpoint)))
        assert (scored.text, scored.score.nats_per_character) == ("held.txt", each.nats_per_character)


def test_a_model_is_trained_further_with_one(config: object, folder: Path) -> None:
    list(train(config, "run"))  # type: ignore[arg-type]
    shutil.copy("a.txt", "b.txt")
    more = tiny_run(Path("b.txt"), validation_file="held.txt", from_model="checkpoints/run")
    list(train(more, "more"))
    assert evaluate(latest("more")).text == "held.txt"


def test_mistakes_are_told_on_the_command_line(folder: Path, in_process: InProcess) -> None:
    (folder / "a.txt").write_text("the cat sat on the mat")
    assert (
        "--validation-file is all that is held out; it cannot go with --validation"
        in (in_process("train", "a.txt", "--validation-file", "b.txt", "--validation", "0.2", code=2)[1])
    )
    assert "cannot read the text 'b.txt'" in in_process("train", "a.txt", "--validation-file", "b.txt", code=3)[1]
    assert not (folder / "checkpoints").exists()
