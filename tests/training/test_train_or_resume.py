"""A run that is begun or gone on with, as the case may be: what it goes on with, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import BusyError, CharrnnError, DataError, UsageError
from charrnn.events import Began, Event, Finished, Notice, Reported
from charrnn.settings.run import RunConfig
from charrnn.training.loop import resume, train, train_or_resume
from tests.conftest import everything, tiny_run

RUN = Path("checkpoints/job")


def job(config: RunConfig, *stop: Any, **given: object) -> list[Event]:
    return list(train_or_resume(config.override(given), "job", given, *stop))


def finished(events: list[Event]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Reported)]


def told(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


def stops_after(step: int) -> Any:
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= step


@pytest.mark.parametrize("documents", ["none", "line"])
def test_the_same_call_again_goes_on_until_the_run_is_done(small_text: Path, documents: str) -> None:
    config = tiny_run(small_text, documents=documents)
    whole = everything(finished(list(train(config, "whole"))).run)
    assert finished(job(config, stops_after(5))).reason == "stopped"
    assert finished(job(config, stops_after(4))).step == 9
    assert steps(job(config)) == [10, 12]
    assert everything(RUN)[:2] == whole[:2]
    again = job(config)
    assert steps(again) == []
    assert (finished(again).reason, finished(again).step) == ("budget", 12)
    assert "already at step 12" in told(again)
    assert sorted(path.name for path in RUN.parent.iterdir()) == ["job", "whole"]


def test_a_larger_budget_extends_the_run(small_text: Path) -> None:
    config = tiny_run(small_text)
    job(config, steps=12)
    assert finished(job(config, steps=12)).step == 12
    assert finished(job(config, steps=20)).step == 20
    assert finished(job(config, steps=20, epochs=None)).step == 20
    assert finished(job(config, steps=9)).step == 20


def test_a_run_that_was_stopped_early_is_done_until_it_is_given_more_patience(small_text: Path) -> None:
    config = tiny_run(small_text, learning_rate=1e-30, patience=3, steps=400, validate_every=2)
    first = finished(job(config, patience=3))
    again = job(config, patience=3)
    assert (finished(again).reason, finished(again).step) == ("patience", first.step)
    assert f"ended at step {first.step} by patience=3; a larger one makes it go on" in told(again)
    assert steps(again) == []
    more = finished(job(config, patience=5))
    assert (more.reason, more.step) == ("patience", first.step + 4)


def test_a_stop_where_patience_ends_changes_nothing(small_text: Path) -> None:
    config = tiny_run(small_text, learning_rate=1e-30, patience=3, steps=400, validate_every=2)
    whole = finished(list(train(config, "whole")))
    run = finished(list(train(config, "stopped", stops_after(whole.step)))).run
    list(resume(find_resumable(str(run)), {}))
    assert everything(run) == everything(whole.run)


def test_a_run_that_ended_before_it_had_saved_begins_again(small_text: Path) -> None:
    config = tiny_run(small_text)
    events: Iterator[Event] = train_or_resume(config, "job", {})
    while not isinstance(next(events), Reported):
        pass
    events.close()  # type: ignore[attr-defined]
    assert not Run(RUN).checkpoints()
    assert (RUN / "metrics.jsonl").read_bytes()
    assert finished(job(config, hidden_size=9)).step == 12
    assert everything(RUN) == everything(finished(list(train(config.override({"hidden_size": 9}), "whole"))).run)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cell": "lstm"}, "has cell='gru', not lstm"),
        ({"dropout": 0.1, "seed": 5}, "has dropout=0.2, not 0.1, seed=1, not 5"),
        ({"documents": "line"}, "has documents='none', not line"),
        ({"encoder": "one-hot", "embedding_size": None}, "has encoder='embedding', not one-hot"),
        ({"batch_size": 2}, "has batch_size=3, not 2"),
        ({"sequence_length": 8}, "has sequence_length=7, not 8"),
        ({"from_model": "elsewhere"}, "has from_model=None, not elsewhere"),
    ],
)
def test_what_differs_from_the_run_is_refused_and_named(
    small_text: Path, given: dict[str, object], message: str
) -> None:
    config = tiny_run(small_text)
    job(config)
    before = everything(RUN)
    with pytest.raises(UsageError, match=message):
        list(train_or_resume(config, "job", {"steps": 20, **given}))
    assert everything(RUN) == before


def test_a_shape_that_was_too_large_for_the_text_is_still_the_same_one(small_text: Path) -> None:
    config = tiny_run(small_text)
    job(config, batch_size=5000, steps=2)
    assert from_file(Run(RUN).newest_first()[0]).config.training.batch_size != 5000
    assert finished(job(config, batch_size=5000, steps=4)).step == 4


def test_another_text_is_refused_and_the_same_under_another_name_is_not(small_text: Path) -> None:
    config = tiny_run(small_text)
    job(config)
    other = Path("other.txt")
    other.write_bytes(small_text.read_bytes())
    assert finished(job(config, corpus=("other.txt",), steps=14)).step == 14
    other.write_text("another text altogether, of which there is enough" * 9)
    with pytest.raises(UsageError, match=r"job has learned other\.txt, not another\.txt"):
        job(config, corpus=(str(other.rename("another.txt").name),))
    other.write_text("what was here before has changed" * 9)
    with pytest.raises(DataError, match=r"other\.txt has changed since the run began"):
        job(config, corpus=("other.txt",))


def test_a_run_of_a_model_is_the_same_run_by_its_folder_or_its_file(small_text: Path) -> None:
    list(train(tiny_run(small_text), "first"))
    config = tiny_run(small_text, embedding_size=5)
    path = str(Run(Path("checkpoints/first")).pointed("best"))
    for model, last in (("checkpoints/first", 4), (path, 8)):
        assert finished(job(config, from_model=model, steps=last)).step == last
    with pytest.raises(UsageError, match=r"has from_model=.*, not checkpoints/job"):
        job(config, from_model="checkpoints/job")


def test_a_folder_that_is_no_run_is_left_alone(small_text: Path) -> None:
    RUN.mkdir(parents=True)
    (RUN / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="checkpoints/job is there and is no run"):
        job(tiny_run(small_text))
    assert [path.name for path in RUN.iterdir()] == ["notes.txt"]
    with pytest.raises(UsageError, match="must be a plain folder name"):
        list(train_or_resume(tiny_run(small_text), "../job", {}))


def test_a_file_in_the_way_is_an_error(small_text: Path) -> None:
    Path("checkpoints").write_text("mine")
    with pytest.raises(CharrnnError, match="checkpoints"):
        job(tiny_run(small_text))


def test_two_cannot_begin_a_run_at_once(small_text: Path) -> None:
    config = tiny_run(small_text)
    first = train_or_resume(config, "job", {})
    while not isinstance(next(first), Began):
        pass
    with pytest.raises(BusyError, match="another training is writing checkpoints/job"):
        job(config)
    assert finished(list(first)).step == 12
    with pytest.raises(BusyError, match="another training has begun checkpoints/job meanwhile"):
        Run.claim("job")
