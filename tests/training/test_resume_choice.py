"""What a training goes on from: the newest checkpoint that can be read, and the text that it learned."""

from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import CheckpointError, DataError
from charrnn.events import Event, Finished, Notice
from charrnn.training.loop import resume, train
from tests.conftest import tiny_run


def trained(text: Path) -> Run:
    events = list(train(tiny_run(text), "run"))
    assert isinstance(events[-1], Finished)
    return Run(events[-1].run)


def told(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_passed_over_and_named(small_text: Path) -> None:
    run = trained(small_text)
    newest, before = run.newest_first()[:2]
    good = from_file(newest).model
    flip_a_bit(newest)
    events = list(resume(find_resumable("newest"), {}))
    assert f"passed over a checkpoint: cannot use the checkpoint {newest}" in told(events)
    assert from_file(newest, training=True).counters.step == 12
    assert all((from_file(newest).model[name] == good[name]).all() for name in good)
    assert before.exists()


def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(small_text: Path) -> None:
    run = trained(small_text)
    newest = run.newest_first()[0]
    flip_a_bit(newest)
    with pytest.raises(CheckpointError, match="damaged"):
        list(resume(find_resumable(str(newest)), {}))


def test_a_run_with_nothing_left_to_read(small_text: Path) -> None:
    run = trained(small_text)
    for path in run.checkpoints():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint to go on from"):
        list(resume(find_resumable("newest"), {}))


def test_an_earlier_checkpoint_can_be_gone_on_from_and_is_the_course_from_then_on(small_text: Path) -> None:
    run = trained(small_text)
    first = run.checkpoints()[0]
    assert first.name == "step-00000008.safetensors"
    list(resume(find_resumable(str(first)), {"steps": 10}))
    latest = run.pointed("latest")
    assert latest is not None
    assert latest.name == "step-00000010.safetensors"
    assert from_file(latest, training=True).counters.step == 10
    assert run.newest_first()[0] == latest
    list(resume(find_resumable("newest"), {"steps": 11}))
    assert [path.name for path in run.newest_first()[:2]] == ["step-00000011.safetensors", "step-00000010.safetensors"]


def test_a_changed_text_of_the_same_characters_can_be_accepted(small_text: Path) -> None:
    run = trained(small_text)
    old = from_file(run.newest_first()[0]).config.record
    small_text.write_text(small_text.read_text().replace("the cat", "tha cet"))
    with pytest.raises(DataError, match=rf"its sha256 was {old.corpus_sha256}, is .*\n.*accept_new_corpus"):
        list(resume(find_resumable("newest"), {"steps": 16}))
    list(resume(find_resumable("newest"), {"steps": 16}, accept_new_corpus=True))
    new = from_file(run.newest_first()[0], training=True)
    assert new.counters.step == 16
    assert new.config.record.corpus_sha256 != old.corpus_sha256
    assert new.config.record.plan == ((0, 12), (12, 16))


def test_a_run_whose_pointer_is_garbage_is_gone_on_with_from_its_newest(small_text: Path) -> None:
    run = trained(small_text)
    (run.path / "latest").write_bytes(b"\xff")
    list(resume(find_resumable(str(run.path)), {"steps": 14}))
    assert run.pointed("latest") == run.path / "step-00000014.safetensors"


def test_a_checkpoint_with_another_vocabulary_than_its_text_is_refused(small_text: Path) -> None:
    run = trained(small_text)
    path = run.newest_first()[0]
    whole = from_file(path, training=True)
    other = replace(whole.vocabulary, characters=whole.vocabulary.characters.replace("a", "A"))
    assert other.characters == "".join(sorted(other.characters))
    path.write_bytes(to_bytes(replace(whole, vocabulary=other)))
    with pytest.raises(CheckpointError, match="its vocabulary is not that of its text"):
        list(resume(find_resumable("newest"), {"steps": 16}))


@pytest.mark.parametrize("change", [lambda text: text.replace("c", "Q"), lambda text: text[:20]])
def test_a_text_of_other_characters_or_too_short_a_one_cannot(small_text: Path, change: object) -> None:
    trained(small_text)
    assert callable(change)
    small_text.write_text(change(small_text.read_text()))
    with pytest.raises(DataError, match="train a new run on it"):
        list(resume(find_resumable("newest"), {"steps": 16}, accept_new_corpus=True))


def test_a_finished_run_is_left_as_it_is(small_text: Path) -> None:
    run = trained(small_text)

    def files() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.iterdir()}

    before = files()
    events = list(resume(find_resumable("newest"), {}))
    assert "already at step 12" in told(events)
    after = files()
    assert before.pop("train.lock") != after.pop("train.lock")
    assert after == before
