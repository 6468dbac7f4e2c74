"""Characters that stand only in what is held out: the model does not know them, and all else goes on as ever."""

from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.evaluation.evaluate import open_reading
from charrnn.evaluation.novelty import novelty
from charrnn.training.loop import resume, train
from tests.conftest import everything, tiny_run


@pytest.fixture
def run(folder: Path) -> Path:
    (folder / "a.txt").write_text("the cat sat. " * 30 + "Ωx" * 8)
    list(train(tiny_run(folder / "a.txt", validation=0.1), "run"))
    return Path("checkpoints/run")


def test_they_are_unknown_and_still_shown(run: Path) -> None:
    latest = Run(run).pointed("latest")
    assert latest is not None
    checkpoint = from_file(latest)
    assert "".join(sorted(set("the cat sat. "))) == checkpoint.vocabulary.characters
    reading = open_reading(checkpoint)
    assert reading.score().unknown == 16
    shown = "".join(each.character or "" for each in reading.characters())
    assert shown.endswith("sat. " + "Ωx" * 8)
    assert [each.nats for each in reading.characters()][-17:-1] == [None] * 16
    assert next(novelty(checkpoint).shares).grams == 41 - 5 + 1


def test_a_run_with_them_goes_on_bit_for_bit(run: Path) -> None:
    config = tiny_run(Path("a.txt").absolute(), validation=0.1)
    list(train(config, "halved", iter([False] * 7 + [True]).__next__))
    list(resume(find_resumable("checkpoints/halved"), {}))
    assert everything(Path("checkpoints/halved")) == everything(run)
