"""A comparison is honest: its figures are those of `charrnn eval`, and its search never sees the text they are of."""

import math
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import DataError, DivergedError, UsageError
from charrnn.evaluation.compressors import PPMD_ORDERS, as_bytes, xz_size
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Event, Finished, Notice
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey, best_order
from charrnn.recurrent.registry import CORES
from charrnn.settings.run import RunConfig
from charrnn.settings.search import Search
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import comparison, loop
from charrnn.training.comparison import Compared, Planned, Started, Tried, compare, hold_out
from charrnn.training.setup import Setup, prepare
from tests.conftest import tiny_run

WITHOUT_NETWORK = ["kneser-ney", "xz", "ppmd"]
FAST = Search(("gru", "rnn"), learning_rates=(1e-6, 1e-2), trial_steps=4)


@pytest.fixture(autouse=True)
def trial_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trials are trained."""
    own = folder / "temporary"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    return own


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Setup]:
    """Every setup that is trained, in order."""
    setups: list[Setup] = []
    real = comparison.train_prepared

    def spy(setup: Setup, *others: Any) -> Iterator[Event]:
        setups.append(setup)
        return real(setup, *others)

    monkeypatch.setattr(comparison, "train_prepared", spy)
    return setups


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Setup], bool]], None]:
    """Make the trainings diverge of which something holds."""

    def make(diverges: Callable[[Setup], bool]) -> None:
        real = comparison.train_prepared

        def train(setup: Setup, *others: Any) -> Iterator[Event]:
            for event in real(setup, *others):
                if isinstance(event, Finished) and diverges(setup):
                    raise DivergedError("the training diverged at step 3: too much\nlower something")
                yield event

        monkeypatch.setattr(comparison, "train_prepared", train)

    return make


def of(kind: type[Any], events: Iterator[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def networks(events: Iterator[Any]) -> list[Compared]:
    """The rows of cells."""
    return [row for row in of(Compared, events) if row.kind == "network"]


def is_trial(setup: Setup) -> bool:
    return setup.config.training.steps == FAST.trial_steps


@pytest.mark.slow
@pytest.mark.parametrize("documents", ["none", "line"])
def test_the_figures_are_those_of_eval(small_text: Path, trial_folder: Path, documents: str) -> None:
    rows = networks(compare(tiny_run(small_text, documents=documents), FAST))
    assert [row.cell for row in rows] == ["gru", "rnn"]
    for row in rows:
        checkpoint = from_file(Path(row.checkpoint))
        carried, windowed = (evaluate(checkpoint, protocol=each).score for each in ("carried", "windowed"))
        assert row.nats_per_character == carried.nats_per_character
        assert row.bits_per_character == carried.bits_per_character
        assert row.windowed_bits_per_character == windowed.bits_per_character
        assert row.parameters == sum(array.size for array in checkpoint.model.values())
        assert (row.layers, row.hidden_size, row.steps) == (2, 8, 12)
        assert row.learning_rate == checkpoint.config.training.learning_rate
        assert Path(row.checkpoint) == Run(Path(row.run)).pointed("latest")
        assert row.trained_characters_per_second > 0
        assert row.sampled_characters_per_second > 0
    assert sorted(Path("checkpoints").iterdir()) == [Path("checkpoints/small-gru"), Path("checkpoints/small-rnn")]
    assert not list(trial_folder.glob("charrnn-*"))


@pytest.mark.parametrize("documents", ["none", "line"])
def test_trials_never_see_the_text_that_is_reported(folder: Path, trained: list[Setup], documents: str) -> None:
    path = folder / "text.txt"
    path.write_text("".join(f"line {k:02}\n" for k in range(100)))
    list(compare(tiny_run(path, documents=documents), FAST))
    trials, runs = [s for s in trained if is_trial(s)], [s for s in trained if not is_trial(s)]
    assert (len(trials), len(runs)) == (4, 2)

    def own(ids: np.ndarray[Any, Any]) -> set[str]:
        vocabulary = trained[0].vocabulary
        text = "".join(vocabulary.characters[k] for k in ids if k < vocabulary.start)
        return set(re.findall(r"line (\d\d)", text))  # a line of a running text may be cut in two, and is in no part

    for run in runs:
        assert run.validation is not None
        reported, learned = own(run.validation.ids), own(run.training.ids)
        assert 9 <= len(reported) <= 11
        assert not reported & learned
        for trial in trials:
            assert trial.validation is not None
            inside, judged = own(trial.training.ids), own(trial.validation.ids)
            assert inside | judged <= learned
            assert len(learned - inside - judged) <= (documents == "none")
            assert not inside & judged
            assert 8 <= len(judged) <= 10


def test_a_running_text_is_held_out_from_without_a_copy(small_text: Path) -> None:
    setup = prepare(tiny_run(small_text))
    learned, judged = hold_out(setup)
    assert np.array_equal(np.concatenate([learned.ids, judged.ids]), setup.training.ids)
    assert np.shares_memory(learned.ids, setup.training.ids)
    assert len(judged.ids) == pytest.approx(len(setup.training.ids) / 10, abs=1)


def test_documents_are_held_out_whole_by_the_seed(small_text: Path) -> None:
    def taken(seed: int) -> list[list[bytes]]:
        setup = prepare(tiny_run(small_text, documents="line", seed=seed))
        parts = [setup.training, *hold_out(setup)]
        pairs = [list(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)) for tokens in parts]
        return [
            [bytes(tokens.ids[a:b].astype(np.int64)) for a, b in own] for tokens, own in zip(parts, pairs, strict=True)
        ]

    everything, learned, judged = taken(1)
    assert sorted(learned + judged) == sorted(everything)
    assert len(judged) == round(len(everything) / 10)
    assert taken(1)[2] == judged
    assert any(taken(seed)[2] != taken(seed + 1)[2] for seed in range(3))


def test_a_run_is_the_one_that_train_would_make(small_text: Path, trained: list[Setup]) -> None:
    config = RunConfig().override({"corpus": (str(small_text),), "steps": 3})
    list(compare(config, Search(("lstm",), trial_steps=0)))
    (run,) = trained
    assert run.config == prepare(config.override({"cell": "lstm"})).config
    assert run.config.training.learning_rate == CORES["lstm"].learning_rate


def test_the_best_on_the_inner_text_is_trained(small_text: Path, trained: list[Setup]) -> None:
    search = Search(("gru",), learning_rates=(1e-6, 3e-2, 1e-5), hidden_sizes=(4, 9), trial_steps=6)
    events = list(compare(tiny_run(small_text), search))
    trials, (row,) = of(Tried, iter(events)), networks(iter(events))
    points = [(1e-6, 4), (3e-2, 4), (1e-5, 4), (1e-6, 9), (3e-2, 9), (1e-5, 9)]
    assert [(trial.learning_rate, trial.hidden_size) for trial in trials] == points
    best = min(trials, key=lambda trial: trial.loss)
    assert best.learning_rate == 3e-2
    assert (row.learning_rate, row.hidden_size) == (best.learning_rate, best.hidden_size)
    assert row.trials == tuple(trials)
    assert trained[-1].training.targets > trained[0].training.targets


def test_a_point_that_diverges_is_passed_over(small_text: Path, diverging: Any) -> None:
    diverging(lambda setup: is_trial(setup) and setup.config.training.learning_rate == 1e-2)
    rows = networks(compare(tiny_run(small_text), FAST))
    for row in rows:
        assert [trial.loss is None for trial in row.trials] == [False, True]
        assert row.learning_rate == 1e-6
        assert row.diverged is None


def test_a_cell_that_diverges_is_a_row_and_not_the_end(small_text: Path, trial_folder: Path, diverging: Any) -> None:
    diverging(lambda setup: setup.config.model.cell == "gru" and is_trial(setup))
    gru, rnn = networks(compare(tiny_run(small_text), FAST))
    assert gru.diverged == "every trial diverged"
    assert (gru.run, gru.learning_rate, gru.nats_per_character) == (None, None, None)
    assert rnn.diverged is None
    assert not list(trial_folder.glob("charrnn-*"))


def test_a_run_that_diverges_says_how(small_text: Path, diverging: Any) -> None:
    diverging(lambda setup: setup.config.model.cell == "gru" and not is_trial(setup))
    gru, rnn = networks(compare(tiny_run(small_text), FAST))
    assert gru.diverged == "the training diverged at step 3: too much"
    assert (gru.run, gru.learning_rate, gru.nats_per_character) == ("checkpoints/small-gru", 1e-2, None)
    assert rnn.nats_per_character > 0


def test_a_repeat_gives_the_same_losses(small_text: Path) -> None:
    first, second = (of(Compared, compare(tiny_run(small_text), FAST)) for _ in range(2))
    assert [row.cell for row in first] == [*WITHOUT_NETWORK, "gru", "rnn"]
    assert [row.nats_per_character for row in first] == [row.nats_per_character for row in second]
    assert [row.trials for row in first] == [row.trials for row in second]


@pytest.mark.parametrize("asked", [1, 3, 7])
def test_a_stop_in_a_trial_leaves_nothing(small_text: Path, trial_folder: Path, asked: int) -> None:
    calls = iter(range(1, 1000))
    assert not networks(compare(tiny_run(small_text), FAST, lambda: next(calls) >= asked))
    assert next(calls) == asked + 1
    assert not Path("checkpoints").exists()
    assert not list(trial_folder.glob("charrnn-*"))


def test_a_stop_in_a_run_saves_it(small_text: Path) -> None:
    calls = iter(range(1, 1000))
    events = list(compare(tiny_run(small_text), FAST, lambda: next(calls) >= 1 + 2 * 4 + 5))
    assert not networks(iter(events))
    assert events[-1].reason == "stopped"
    latest = Run(Path("checkpoints/small-gru")).pointed("latest")
    assert latest is not None
    assert from_file(latest, training=True).counters.step == 5
    assert of(Finished, loop.resume(find_resumable("newest"), {}))[0].step == 12


def test_what_is_planned_is_what_happens(small_text: Path) -> None:
    events = list(compare(tiny_run(small_text), Search(("gru", "rnn"), trial_steps=2)))
    (planned,) = of(Planned, iter(events))
    started = of(Started, iter(events))
    assert list(planned.grids) == ["gru", "rnn"]
    assert (planned.trials, planned.trial_seconds, planned.run_seconds, planned.seconds) == (6, None, None, None)
    assert [point for grid in planned.grids.values() for point in grid] == [
        (each.learning_rate, each.hidden_size) for each in started if each.trial
    ]
    assert [(each.cell, each.trial, each.trials) for each in started] == [
        (cell, *trial) for cell in ("gru", "rnn") for trial in ((1, 3), (2, 3), (3, 3), (None, None))
    ]
    own = CORES["gru"].learning_rate
    assert [each.learning_rate for each in started[:3]] == [own / 2, own, own * 2]


def test_learning_rates_are_around_that_of_the_optimizer(small_text: Path) -> None:
    config = tiny_run(small_text, optimizer="muon")
    for search, factors in [(Search(("gru",)), (0.5, 1.0, 2.0)), (Search(("gru",), trial_steps=0), (1.0,))]:
        usual = prepare(config.override({"cell": "gru"})).config.training.learning_rate
        assert usual is not None
        assert usual != CORES["gru"].learning_rate
        events = compare(config, search)
        planned = next(event for event in events if isinstance(event, Planned))
        events.close()
        assert [rate for rate, _ in planned.grids["gru"]] == [usual * factor for factor in factors]


def test_the_time_to_come_is_told(small_text: Path) -> None:
    config = tiny_run(small_text, steps=None, time=6.0)
    search = Search(("gru", "rnn"), learning_rates=(1e-3, 1e-2))
    events = compare(config, search)
    first = [next(event for event in events if isinstance(event, Planned | Started)) for _ in range(2)]
    events.close()
    assert (first[0].trial_seconds, first[0].run_seconds) == (1, 6)  # a trial has a sixth of a run's time
    assert first[0].seconds == 2 * 6 + 4 * 1
    assert first[1].seconds_after == 2 * 6 + 3 * 1


def test_a_search_is_checked() -> None:
    for wrong, message in [
        ({"cells": ("gru", "gur")}, "did you mean gru"),
        ({"cells": ("gru", "rnn", "gru")}, "cells has gru twice"),
        ({"cells": ()}, "cells needs at least one"),
        ({"learning_rates": ()}, "learning_rates needs"),
        ({"learning_rates": (1e-3, math.nan)}, "learning_rates must be"),
        ({"hidden_sizes": (8, 8)}, "hidden_sizes has 8 twice"),
        ({"hidden_sizes": (0,)}, "hidden_sizes must be at least 1"),
        ({"trial_time": 0.0, "hidden_sizes": (8, 9)}, "no choice between 2 hidden_sizes"),
    ]:
        with pytest.raises(UsageError, match=message):
            Search(**wrong)  # type: ignore[arg-type]


def test_without_a_text_to_report_or_to_judge_by_there_is_no_comparison(folder: Path) -> None:
    (folder / "one.txt").write_text("one line\n")
    with pytest.raises(DataError, match="held out, and there is none"):
        list(compare(tiny_run(folder / "one.txt", documents="line"), FAST))
    (folder / "two.txt").write_text("one line\nanother line\n")
    with pytest.raises(DataError, match="trial_time=0"):
        list(compare(tiny_run(folder / "two.txt", documents="line"), FAST))
    search = Search(("gru",), trial_steps=0)
    rows = of(Compared, compare(tiny_run(folder / "two.txt", documents="line"), search))
    assert [row.cell for row in rows] == ["xz", "gru"]  # the others have an order to be chosen


@pytest.mark.parametrize("documents", ["none", "line"])
def test_rows_without_a_network_are_of_the_text_of_the_others(small_text: Path, documents: str) -> None:
    config = tiny_run(small_text, documents=documents)
    setup = prepare(config)
    assert setup.validation is not None
    rows = {row.cell: row for row in of(Compared, compare(config, Search(("gru",), trial_steps=0)))}
    assert list(rows) == [*WITHOUT_NETWORK, "gru"]
    order = best_order(GramCounts(hold_out(setup)[0], setup.vocabulary), hold_out(setup)[1])
    nats = KneserNey(GramCounts(setup.training, setup.vocabulary), order).nats(setup.validation)
    assert (rows["kneser-ney"].order, rows["kneser-ney"].kind) == (order, "n-gram")
    assert rows["kneser-ney"].nats_per_character == pytest.approx(nats.mean())
    scored = evaluate(from_file(Path(rows["gru"].checkpoint or ""))).score
    assert scored.characters == len(nats)
    before, after = (as_bytes(part, setup.vocabulary) for part in (setup.training, setup.validation))
    assert after.decode().replace("\n", "") in small_text.read_text().replace("\n", "") or documents == "line"
    bits = 8 * (xz_size(before + after) - xz_size(before)) / scored.characters
    assert rows["xz"].bits_per_character == pytest.approx(bits)
    assert rows["xz"].kind == rows["ppmd"].kind == "compressor"
    assert rows["ppmd"].order in PPMD_ORDERS


@pytest.mark.parametrize(("documents", "differs"), [("none", False), ("line", True)])
def test_seeds_have_a_run_each_and_one_row_with_mean_and_spread(
    small_text: Path, trained: list[Setup], documents: str, differs: bool
) -> None:
    config = tiny_run(small_text, documents=documents, seed=5)
    rows = {row.cell: row for row in of(Compared, compare(config, Search(("gru",), trial_steps=0, seeds=3)))}
    row = rows["gru"]
    assert [setup.config.training.seed for setup in trained] == [each.seed for each in row.seeds] == [5, 6, 7]
    nats = []
    for each in row.seeds:
        checkpoint = from_file(Path(each.checkpoint or ""))
        assert checkpoint.config.training.seed == each.seed
        nats.append(evaluate(checkpoint).score.nats_per_character)
        assert each.nats_per_character == nats[-1]
    assert row.nats_per_character == pytest.approx(np.mean(nats))
    assert row.nats_per_character_spread == pytest.approx(np.std(nats, ddof=1))
    assert row.nats_per_character_spread > 0
    assert row.bits_per_character_spread == pytest.approx(row.nats_per_character_spread / math.log(2))
    assert (row.run, row.checkpoint) == (row.seeds[0].run, row.seeds[0].checkpoint)
    held_out = [setup.validation.ids.tolist() for setup in trained if setup.validation]
    assert (held_out[0] != held_out[1]) == differs
    for name in WITHOUT_NETWORK:  # each seed divides documents anew, and they are scored on what it holds out
        assert [each.seed for each in rows[name].seeds] == ([5, 6, 7] if differs else [5])
        assert (rows[name].nats_per_character_spread is not None) == differs


def test_a_seed_that_diverges_is_told_and_not_in_the_mean(small_text: Path, diverging: Any) -> None:
    diverging(lambda setup: setup.config.training.seed == 2)
    (row,) = networks(compare(tiny_run(small_text), Search(("gru",), trial_steps=0, seeds=3)))
    assert row.diverged is None
    assert [each.diverged is None for each in row.seeds] == [True, False, True]
    sound = [each.nats_per_character for each in row.seeds if each.nats_per_character is not None]
    assert row.nats_per_character == pytest.approx(np.mean(sound))
    assert len(sound) == 2


def test_a_stop_keeps_the_row_of_the_seeds_so_far(small_text: Path) -> None:
    calls = iter(range(1, 1000))
    search = Search(("gru", "rnn"), trial_steps=0, seeds=3)
    (row,) = networks(compare(tiny_run(small_text), search, lambda: next(calls) >= 1 + 12 + 12 + 5))
    assert (row.cell, [each.seed for each in row.seeds]) == ("gru", [1, 2])


def test_characters_that_only_the_held_out_text_has_are_in_no_row(folder: Path) -> None:
    path = folder / "text.txt"
    path.write_text("the cat sat on the mat. " * 40 + "a zebra sat. " * 7)
    events = list(compare(tiny_run(path), Search(("gru",), trial_steps=0)))
    told = [event.text for event in of(Notice, iter(events))]
    assert "no row counts 21 characters of the held-out text that the training text lacks" in told
    assert len(of(Compared, iter(events))) == 4


@pytest.mark.parametrize(("pace", "hidden_size"), [(1e3, 256), (1e9, 1024)])
def test_open_sizes_on_a_gpu_follow_the_pace_that_is_measured_there(
    monkeypatch: pytest.MonkeyPatch, pace: float, hidden_size: int
) -> None:
    text = Tokens(np.zeros(500_002, np.uint8), np.array([0, 500_002]))
    config = RunConfig().override({"time": 60.0, "cell": "lstm"})
    setup = Setup(config, Vocabulary("ab"), text, None, torch.device("cuda"), (), None, True)
    monkeypatch.setattr(comparison, "measured_pace", lambda *_, **__: pace)
    (chosen,) = comparison._grid(config, Search(learning_rates=(1e-3,)), setup)
    assert chosen.model.hidden_size == hidden_size
