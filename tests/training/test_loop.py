"""The loop, on runs of a second: what it yields, what it saves, and that it can be repeated and resumed bit for bit."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import Arrays, from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import CheckpointError, DataError, DivergedError
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Began, Event, Finished, Notice, Reported, Sampled, Saved, Validated
from charrnn.settings.run import RunConfig
from charrnn.training.loop import resume, train
from tests.conftest import everything, tiny_run


def run_through(events: Iterator[Event]) -> list[Event]:
    return list(events)


def of(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def finished(events: Sequence[Event]) -> Finished:
    (event,) = of(Finished, events)
    return event


def latest(run: Path) -> Path:
    path = Run(run).pointed("latest")
    assert path is not None
    return path


def stop_after(steps: int) -> object:
    """A `stop` that says so when it is asked for the `steps`-th time."""
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= steps


def test_events_come_in_their_order(small_text: Path) -> None:
    events = run_through(train(tiny_run(small_text)))
    kinds = [type(event) for event in events if not isinstance(event, Notice)]
    assert kinds[0] is Began
    assert kinds[-1] is Finished
    assert [event.step for event in of(Reported, events)] == [2, 4, 6, 8, 10, 12]
    assert [event.step for event in of(Validated, events)] == [4, 8, 12]
    assert [event.step for event in of(Sampled, events)] == [4, 8, 12]
    assert [event.step for event in of(Saved, events)] == [4, 8, 12]
    assert finished(events).reason == "budget"
    assert finished(events).step == 12


def test_a_run_leaves_its_files(small_text: Path) -> None:
    events = run_through(train(tiny_run(small_text)))
    run = finished(events).run
    assert run == Path("checkpoints/small-gru")
    checkpoint = from_file(latest(run), training=True)
    assert checkpoint.counters.step == 12
    assert checkpoint.counters.best_loss == min(event.loss for event in of(Validated, events))
    best = Run(run).pointed("best")
    assert best is not None
    assert int(best.stem.removeprefix("step-")) == finished(events).best_step
    config = RunConfig.from_mapping(tomllib.loads((run / "run.toml").read_text()), "run.toml")
    assert config == checkpoint.config
    assert config.record.plan == ((0, 12),)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["split"]) for line in lines if line["split"] == "validation"] == [
        (4, "validation"),
        (8, "validation"),
        (12, "validation"),
    ]
    assert all(line["bits_per_character"] == pytest.approx(line["loss"] / np.log(2)) for line in lines)
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert [(line["step"], line["text"]) for line in samples] == [(s.step, s.text) for s in of(Sampled, events)]
    assert all(line.keys() == {"step", "text", "time"} and line["text"] for line in samples)


def test_samples_of_a_model_of_bytes_are_kept_as_text(small_text: Path) -> None:
    small_text.write_text("한국어 문장\n" * 60)
    events = run_through(train(tiny_run(small_text, unit="byte", steps=4)))
    (line,) = (finished(events).run / "samples.jsonl").read_text().splitlines()
    (sampled,) = of(Sampled, events)
    assert json.loads(line)["text"] == sampled.text.encode("latin-1").decode("utf-8", "replace")


@pytest.mark.slow
def test_the_network_learns(small_text: Path) -> None:
    events = run_through(train(tiny_run(small_text, steps=200, hidden_size=32, dropout=0.0, report_every=20)))
    losses = [event.loss for event in of(Reported, events)]
    assert losses[-1] < 0.5 * losses[0]


def test_validation_is_what_eval_reports(small_text: Path) -> None:
    events = run_through(train(tiny_run(small_text)))
    found = evaluate(from_file(latest(finished(events).run)))
    assert found.score.nats_per_character == pytest.approx(of(Validated, events)[-1].loss, rel=1e-6)


SETTINGS = {
    "tapes": {"documents": "none"},
    "documents": {"documents": "line", "batch_size": 4},
    "long documents": {"documents": "line", "batch_size": 4, "sequence_length": 9},
    "one-hot lstm": {"cell": "lstm", "encoder": "one-hot", "embedding_size": None},
    "no validation": {"validation": 0.0},
}
every_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


@every_setting
def test_a_recorded_run_is_repeated_to_the_bit(small_text: Path, setting: dict[str, object]) -> None:
    first = finished(run_through(train(tiny_run(small_text, **setting)))).run
    config = RunConfig.from_mapping(tomllib.loads((first / "run.toml").read_text()), "run.toml")
    torch.rand(7)  # the state of the process does not matter
    second = finished(run_through(train(config))).run
    assert second != first
    assert everything(second) == everything(first)


@pytest.mark.slow
@every_setting
def test_a_run_that_is_stopped_anywhere_and_resumed_is_the_uninterrupted_one(
    small_text: Path, setting: dict[str, object]
) -> None:
    config = tiny_run(small_text, **setting)
    whole = everything(finished(run_through(train(config, "whole"))).run)
    for step in range(1, 12):
        events = run_through(train(config, f"stopped-{step}", stop_after(step)))  # type: ignore[arg-type]
        assert finished(events).reason == "stopped"
        assert finished(events).step == step
        run = finished(events).run
        torch.rand(step)
        run_through(resume(find_resumable(str(run)), {}))
        *bits, lines = everything(run)
        *whole_bits, whole_lines = whole
        assert bits == whole_bits
        # A stop adds a report of its own, and the next one then covers fewer steps; validations are the same.
        assert [line for line in lines if line["split"] == "validation"] == [  # type: ignore[attr-defined]
            line
            for line in whole_lines
            if line["split"] == "validation"  # type: ignore[attr-defined]
        ]


@pytest.mark.parametrize("lost", ["rng.cpu", "state.0.h"])
def test_what_is_lost_would_be_noticed(small_text: Path, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    """The test above can fail: without the random or the carried state a resumed run is another one."""
    config = tiny_run(small_text)
    whole = everything(finished(run_through(train(config, "whole"))).run)
    run = finished(run_through(train(config, "stopped", stop_after(5)))).run  # type: ignore[arg-type]
    import charrnn.training.session as session

    real = session.restore

    def forgetful(arrays: Arrays, *others: object) -> object:
        other = torch.get_rng_state().numpy() if lost == "rng.cpu" else np.zeros_like(arrays[lost])
        return real({**arrays, lost: other}, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "restore", forgetful)
    run_through(resume(find_resumable(str(run)), {}))
    assert everything(run)[0] != whole[0]


@pytest.mark.slow
def test_a_resumed_run_can_be_given_more(small_text: Path) -> None:
    run = finished(run_through(train(tiny_run(small_text)))).run
    already = run_through(resume(find_resumable(str(run)), {}))
    assert "already at step 12" in of(Notice, already)[-1].text
    assert not of(Saved, already)
    more = run_through(resume(find_resumable(str(run)), {"steps": 20}))
    assert finished(more).step == 20
    config = from_file(latest(run)).config
    assert config.training.steps == 20
    assert config.record.plan == ((0, 12), (12, 20))
    time = finished(more).seconds + 1
    longer = finished(run_through(resume(find_resumable(str(run)), {"time": time})))
    assert longer.step > 20
    assert longer.seconds < time + 1.5  # generous: machines stutter


def test_a_text_that_has_changed_is_not_gone_on_with(small_text: Path) -> None:
    run = finished(run_through(train(tiny_run(small_text)))).run
    small_text.write_text(small_text.read_text().replace("cat", "cow"))
    with pytest.raises(DataError, match=r"small\.txt has changed since"):
        run_through(resume(find_resumable(str(run)), {"steps": 20}))
    with pytest.raises(DataError, match="has changed since the model was trained"):
        evaluate(from_file(latest(run)))
    config = RunConfig.from_mapping(tomllib.loads((run / "run.toml").read_text()), "run.toml")
    events = run_through(train(config))
    assert any("not the one of the recorded run" in event.text for event in of(Notice, events))


def test_a_model_without_training_state_cannot_be_gone_on_with(small_text: Path) -> None:
    from charrnn.checkpoint.format import Checkpoint, to_bytes

    run = finished(run_through(train(tiny_run(small_text)))).run
    whole = from_file(latest(run))
    latest(run).write_bytes(to_bytes(Checkpoint(whole.config, whole.vocabulary, whole.model)))
    with pytest.raises(CheckpointError, match="only what a sampler needs"):
        run_through(resume(find_resumable(str(run)), {}))


@pytest.mark.slow
def test_a_time_budget_is_kept_and_its_plan_repeats_it(small_text: Path) -> None:
    config = tiny_run(small_text, steps=None, time=2.5, report_every=None, validate_every=None)
    events = run_through(train(config))
    assert finished(events).seconds < 4  # generous: machines stutter
    run = finished(events).run
    recorded = RunConfig.from_mapping(tomllib.loads((run / "run.toml").read_text()), "run.toml")
    assert recorded.record.plan[-1][1] == finished(events).step
    assert recorded.training.validate_every
    again = finished(run_through(train(recorded)))
    assert again.step == finished(events).step
    assert everything(again.run)[:2] == everything(run)[:2]


def test_patience_ends_a_run_that_gets_no_better(small_text: Path) -> None:
    config = tiny_run(small_text, learning_rate=1e-30, patience=3, steps=400, validate_every=2)
    events = run_through(train(config))
    assert finished(events).reason == "patience"
    judged = [event.best for event in of(Validated, events)]
    assert judged[-3:] == [False] * 3
    assert from_file(latest(finished(events).run), training=True).counters.stale == 3


def test_a_run_that_diverges_says_so_and_saves_nothing_of_it(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import charrnn.training.loop as loop

    rates = iter([1e-3] * 9 + [float("nan")] * 9)
    monkeypatch.setattr(loop, "learning_rate", lambda *_: next(rates))
    with pytest.raises(DivergedError, match="lower learning_rate"):
        run_through(train(tiny_run(small_text)))
    checkpoint = from_file(latest(Path("checkpoints/small-gru")))
    assert all(np.isfinite(array).all() for array in checkpoint.model.values())


def test_validation_does_not_disturb_the_training(small_text: Path) -> None:
    often = run_through(train(tiny_run(small_text, validate_every=1)))
    seldom = run_through(train(tiny_run(small_text, validate_every=12)))
    assert everything(finished(often).run)[:2] == everything(finished(seldom).run)[:2]


@pytest.mark.parametrize("documents", ["none", "line"])
def test_samples_are_of_the_kind_of_the_text(small_text: Path, documents: str) -> None:
    first = run_through(train(tiny_run(small_text, documents=documents)))
    for event in of(Sampled, first):
        assert 0 < len(event.text) <= 240
        if documents == "line":  # which the newline between lines is not a character of
            assert len(event.text.split("\n")) <= 8
    again = run_through(train(tiny_run(small_text, documents=documents)))
    assert of(Sampled, again) == of(Sampled, first)


def test_bytes_can_be_learned(small_text: Path) -> None:
    run = finished(run_through(train(tiny_run(small_text, unit="byte")))).run
    assert from_file(latest(run)).vocabulary.size == 259


def test_a_one_symbol_text_is_learned(folder: Path) -> None:
    Path("a.txt").write_text("a" * 100)
    events = run_through(train(tiny_run(Path("a.txt"), steps=150, hidden_size=16, dropout=0.0, learning_rate=0.03)))
    assert of(Reported, events)[-1].loss < 0.2
