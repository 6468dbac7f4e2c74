"""Compare cells on one text at equal cost: a small search for each, then ordinary runs, scored. A generator.

The text for the scores is held out from the search, too: trials learn from the first nine tenths of the training text
(of documents, from a seeded random nine tenths) and are judged by the rest of it. What needs no network is scored on
the same text, its settings chosen by the same trial.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run
from charrnn.errors import CheckpointError, DataError, DivergedError
from charrnn.evaluation.baselines import Baseline, baselines
from charrnn.evaluation.scoring import carried, score, windowed
from charrnn.evaluation.with_ngrams import model_of
from charrnn.events import Began, Event, Finished, Notice, Reported
from charrnn.messages import named
from charrnn.runtime import multiply_exactly
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.scoring import WINDOW
from charrnn.settings.search import Search
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids
from charrnn.training.loop import default_name, train_prepared
from charrnn.training.pace import measured_pace
from charrnn.training.preset import LONG, choose
from charrnn.training.schedule import NEVER
from charrnn.training.setup import Setup, prepare

__all__ = ["Compared", "ComparisonEvent", "Planned", "SeedScore", "Started", "Tried", "compare", "hold_out"]

_SAMPLED = 2_000  # characters, to tell how fast they come

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Planned:
    """The plan: the (learning rate, hidden size) of each cell's trials, or a single one, which needs no trial.

    `runs` are those that are scored: one for each cell and seed. The seconds are those of a trial, of a run, and of all
    without reading and scoring; None if steps are counted.
    """

    grids: Mapping[str, tuple[tuple[float, int], ...]]
    trials: int
    runs: int
    trial_seconds: float | None
    run_seconds: float | None
    seconds: float | None


@dataclass(frozen=True)
class Started:
    """The beginning of a training: trial `trial` of `trials`, or, if both are None, a run that is scored.

    `seconds_after` are the seconds of all trainings after it.
    """

    cell: str
    layers: int | None
    learning_rate: float
    hidden_size: int
    seed: int
    trial: int | None
    trials: int | None
    seconds_after: float | None


@dataclass(frozen=True)
class Tried:
    """The result of a trial: nats/character on the text that judges it, None if it diverged."""

    cell: str
    learning_rate: float
    hidden_size: int
    loss: float | None


@dataclass(frozen=True)
class SeedScore:
    """The figures of the run of one seed, as in `Compared`."""

    seed: int
    nats_per_character: float | None
    bits_per_character: float | None
    windowed_bits_per_character: float | None
    run: str | None
    checkpoint: str | None
    diverged: str | None


@dataclass(frozen=True)
class Compared:
    """A row of the table: a cell, or a model without a network. Fields that are unknown, or that it has not, are None.

    Losses are of the last checkpoint on the whole validation text. Trained characters per second leave out validations
    and checkpoints; sampled ones are those of the numpy engine in a single stream.

    With several seeds, figures are means over the runs that did not diverge, a spread is the standard deviation of a
    single run (by n - 1), and `run` and `checkpoint` are the first of these runs'. `diverged` says how, if all did.
    `order` is that of a model without a network.
    """

    cell: str
    trials: tuple[Tried, ...] = ()
    learning_rate: float | None = None
    layers: int | None = None
    hidden_size: int | None = None
    parameters: int | None = None
    nats_per_character: float | None = None
    bits_per_character: float | None = None
    windowed_bits_per_character: float | None = None
    trained_characters_per_second: float | None = None
    sampled_characters_per_second: float | None = None
    steps: float | None = None
    seconds: float | None = None
    run: str | None = None
    checkpoint: str | None = None
    diverged: str | None = None
    kind: Literal["network", "n-gram", "compressor"] = "network"
    order: int | None = None
    nats_per_character_spread: float | None = None
    bits_per_character_spread: float | None = None
    windowed_bits_per_character_spread: float | None = None
    seeds: tuple[SeedScore, ...] = ()


ComparisonEvent = Event | Planned | Started | Tried | Compared


def compare(config: RunConfig, search: Search, stop: Stop = lambda: False) -> Generator[ComparisonEvent, None, None]:
    """Train every cell of `search`, with all else as in `config`, and score it; the trainings' events come between.

    `stop` is asked after every step; once it is true, the training under way ends (a run is saved first).

    Raises:
        DataError: no text is held out, or too little is left for trials.
        CharrnnError: any other error of a training.
    """
    search = search.within(config.training)
    setup = prepare(config.override({"cell": search.cells[0], "ngrams": 0}))  # n-grams have a row of their own
    yield from map(Notice, setup.notices)
    if setup.validation is None:
        raise DataError("the cells are compared on text that is held out, and there is none; give more documents")
    base = replace(_with_one_optimizer(config, setup.training.targets), record=setup.config.record)
    grids = {cell: list(_grid(base.override({"cell": cell}), search, setup)) for cell in search.cells}

    trials = sum(len(grid) for grid in grids.values() if len(grid) > 1)
    clock = _Clock(config.training.time, search.trial_time, len(grids) * search.seeds, trials)
    plan = {cell: tuple(map(_point, grid)) for cell, grid in grids.items()}
    yield Planned(plan, trials, clock.runs, clock.trial_time, clock.time, clock.seconds())
    if trials:
        learned, judged = hold_out(setup)
        inner = replace(setup, training=learned, validation=judged)

    setups = list(_seeded(setup, base, search.seeds))
    yield from _without_network(setups)
    if stop():
        return
    for cell, grid in grids.items():
        tried: list[Tried] = []
        for number, point in enumerate(grid, 1) if len(grid) > 1 else ():
            clock.trials -= 1
            yield _started(point, clock, number, len(grid))
            trial = yield from _try(inner, point, search, stop)
            if trial is None:
                return
            tried.append(trial)
            yield trial
        losses = [math.inf if trial.loss is None else trial.loss for trial in tried]
        if tried and min(losses) == math.inf:
            clock.runs -= len(setups)
            yield Compared(cell, tuple(tried), diverged="every trial diverged")
            continue
        chosen = grid[losses.index(min(losses))] if tried else grid[0]
        rows = yield from _train_all(setups, chosen, tuple(tried), clock, stop)
        if rows:
            yield _together(rows)
        if len(rows) < len(setups):
            return


def _with_one_optimizer(config: RunConfig, characters: int) -> RunConfig:
    """The configuration with an optimiser for all cells, as an LSTM alone learns by Muon from short texts, too."""
    if config.training.optimizer != "auto":
        return config
    return config.override({"optimizer": "muon" if characters >= LONG else "adamw"})


def _seeded(setup: Setup, base: RunConfig, seeds: int) -> Iterator[Setup]:
    """The text as each seed divides it."""
    first = base.training.seed
    yield setup
    for seed in range(first + 1, first + seeds):
        if _is_alike(setup):
            yield replace(setup, config=setup.config.override({"seed": seed}))
        else:
            yield prepare(setup.config.override({"seed": seed, "ngrams": 0}))


def _is_alike(setup: Setup) -> bool:
    """True if all seeds hold out the same text: the end of a running text, or a file."""
    return setup.config.text.documents == "none" or setup.config.text.validation_file is not None


def _for_seed(chosen: RunConfig, setup: Setup) -> RunConfig:
    """The chosen point with a setup's seed; nothing is left to choose but a shape that its text can fill."""
    return choose(chosen.override({"seed": setup.config.training.seed}), setup.training, setup.device.type)[0]


def _train_all(
    setups: Sequence[Setup], chosen: RunConfig, trials: tuple[Tried, ...], clock: "_Clock", stop: Stop
) -> Generator[ComparisonEvent, None, list[Compared]]:
    """Train and score the chosen point with each seed; fewer rows than seeds if it was stopped."""
    rows: list[Compared] = []
    for setup in setups:
        config = chosen if setup is setups[0] else _for_seed(chosen, setup)
        clock.runs -= 1
        yield _started(config, clock, None, None)
        row = yield from _train(replace(setup, config=config), trials, stop)
        if row is None:
            break
        rows.append(row)
    return rows


def _without_network(setups: Sequence[Setup]) -> Iterator[Notice | Compared]:
    """The rows of models without a network, on the text of each seed where these differ."""
    some = setups[:1] if _is_alike(setups[0]) else setups
    rows: dict[str, list[Compared]] = {}
    told: set[str] = set()
    for setup in some:
        assert setup.validation is not None
        try:
            inner = hold_out(setup)
        except DataError:
            inner = None
        for found in baselines(setup.training, inner, setup.validation, setup.vocabulary):
            if isinstance(found, Baseline):
                own = rows.setdefault(found.name, [])
                own.append(_row_of(found, setup))
                if len(own) == len(some):
                    yield _together(own)
            elif found.message not in told:
                told.add(found.message)
                yield found


def _row_of(found: Baseline, setup: Setup) -> Compared:
    nats = found.nats_per_character
    kind: Literal["n-gram", "compressor"] = "n-gram" if found.name == "kneser-ney" else "compressor"
    row = Compared(found.name, nats_per_character=nats, bits_per_character=nats / math.log(2))
    return replace(row, kind=kind, order=found.order, seeds=(_seed_score(row, setup.config.training.seed),))


def _seed_score(row: Compared, seed: int) -> SeedScore:
    return SeedScore(seed, **{each.name: getattr(row, each.name) for each in fields(SeedScore) if each.name != "seed"})


_FIGURES = ("nats_per_character", "bits_per_character", "windowed_bits_per_character")
_MEANS = (*_FIGURES, "trained_characters_per_second", "sampled_characters_per_second", "steps", "seconds")


def _together(rows: Sequence[Compared]) -> Compared:
    """One row for the runs of several seeds."""
    seeds = tuple(seed for row in rows for seed in row.seeds)
    sound = [row for row in rows if row.diverged is None]
    if len(rows) == 1 or not sound:
        return replace(rows[0], seeds=seeds)
    found: dict[str, Any] = {}
    for name in _MEANS:
        values = [value for row in sound if (value := getattr(row, name)) is not None]
        found[name] = statistics.fmean(values) if values else None
        if name in _FIGURES and len(values) > 1:
            found[f"{name}_spread"] = statistics.stdev(values)
    return replace(sound[0], **found, seeds=seeds)


def hold_out(setup: Setup) -> tuple[Tokens, Tokens]:
    """Divide a training text in two: the part that trials learn from, and the tenth that judges them.

    Parts of a running text are views, without a copy: the first ends where the second begins, and characters stand in
    the place of the end token and the start token. Of documents, a seeded random tenth is taken out.

    Raises:
        DataError: it is too short for that.
    """
    tokens = setup.training
    if setup.config.text.documents == "none":
        cut = min(max(int(len(tokens.ids) * 0.9), 2), len(tokens.ids) - 2)
        if cut < 2:
            raise DataError(f"the training text is too short for trials; {_NO_SEARCH}")
        return _one(tokens.ids[:cut]), _one(tokens.ids[cut:])
    count = len(tokens.offsets) - 1
    if count < 2:
        raise DataError(f"there is only one document to learn from, and none to judge trials by; {_NO_SEARCH}")
    order = np.random.default_rng(setup.config.training.seed).permutation(count)
    is_judged = np.isin(np.arange(count), order[: max(round(count / 10), 1)])
    return _chosen(tokens, ~is_judged), _chosen(tokens, is_judged)


_NO_SEARCH = f"go without: {named('trial_time', 0)}"


def _one(ids: Ids) -> Tokens:
    return Tokens(ids, np.array([0, len(ids)]))


def _chosen(tokens: Tokens, documents: NDArray[np.bool_]) -> Tokens:
    sizes = np.diff(tokens.offsets)
    ids = tokens.ids[np.repeat(documents, sizes)]
    return Tokens(ids, np.concatenate([[0], np.cumsum(sizes[documents])]))


@dataclass
class _Clock:
    """The time left in all, by the budgets of the trials and runs still to come."""

    time: float | None
    trial_time: float | None
    runs: int
    trials: int

    def seconds(self) -> float | None:
        """Seconds left; None if a budget is not a time."""
        budgets = [(self.runs, self.time), (self.trials, self.trial_time)]
        if any(count and budget is None for count, budget in budgets):
            return None
        return sum(count * (budget or 0.0) for count, budget in budgets)


def _grid(config: RunConfig, search: Search, setup: Setup) -> Iterator[RunConfig]:
    """The configurations to try of a cell, in order; open settings are chosen as `charrnn train` would."""
    pace = partial(measured_pace, vocabulary_size=setup.vocabulary.size, device=setup.device)
    for hidden_size in search.hidden_sizes or (config.model.hidden_size,):
        sized = config.override({"hidden_size": hidden_size})
        chosen, _ = choose(sized, setup.training, setup.device.type, pace=pace)
        assert chosen.training.learning_rate is not None
        for learning_rate in search.rates(chosen.training.learning_rate):
            yield chosen.override({"learning_rate": learning_rate})


def _point(config: RunConfig) -> tuple[float, int]:
    return config.training.learning_rate, config.model.hidden_size  # type: ignore[return-value]  # both are chosen


def _started(config: RunConfig, clock: _Clock, trial: int | None, trials: int | None) -> Started:
    model = config.model
    seed = config.training.seed
    return Started(model.cell, model.layers, *_point(config), seed, trial, trials, clock.seconds())


def _try(setup: Setup, config: RunConfig, search: Search, stop: Stop) -> Generator[Event, None, Tried | None]:
    """Train a point of the grid in a temporary folder; None if it was stopped."""
    budget = replace(config.training, time=search.trial_time, steps=search.trial_steps, validate_every=NEVER)
    # Nothing is left to choose but a shape that the shorter text can fill.
    config, _ = choose(replace(config, training=budget), setup.training, setup.device.type)
    loss = None
    with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:
        try:
            for event in train_prepared(replace(setup, config=config), Run.create("trial", Path(folder)), stop):
                yield event
                if isinstance(event, Finished):
                    if event.reason == "stopped":
                        return None
                    loss = event.loss
        except DivergedError:
            pass
    return Tried(config.model.cell, *_point(config), loss)


def _train(setup: Setup, trials: tuple[Tried, ...], stop: Stop) -> Generator[Event, None, Compared | None]:
    """Train the chosen point as an ordinary run, and score it; None if it was stopped."""
    model, training = setup.config.model, setup.config.training
    run = Run.create(default_name(setup.config))
    row = Compared(model.cell, trials, training.learning_rate, model.layers, model.hidden_size, run=str(run.path))
    laps: list[tuple[int, float]] = [(0, math.inf)]  # the step at which each ends, and its characters a second
    try:
        for event in train_prepared(setup, run, stop):
            yield event
            if isinstance(event, Began):
                row = replace(row, parameters=event.parameters)
            elif isinstance(event, Reported):
                laps.append((event.step, event.characters_per_second))
            elif isinstance(event, Finished):
                if event.reason == "stopped":
                    return None
                row = replace(row, steps=event.step, seconds=event.seconds)
        # All steps read equally many characters, except the last of an epoch and those of short documents.
        inverse = sum((last - first) / rate for (first, _), (last, rate) in pairwise(laps))
        pace = laps[-1][0] / inverse if inverse else None
        row = _scored(replace(row, trained_characters_per_second=pace), setup, run)
    except DivergedError as error:
        row = replace(row, diverged=str(error).partition("\n")[0])
    return replace(row, seeds=(_seed_score(row, training.seed),))


def _scored(row: Compared, setup: Setup, run: Run) -> Compared:
    """The row with the scores of the last checkpoint, as `charrnn eval` has them, and its speed of sampling.

    Raises:
        DivergedError: a loss is not finite, which can happen on a long text.
    """
    path, tokens = run.pointed("latest"), setup.validation
    assert path is not None
    assert tokens is not None
    checkpoint = from_file(path)
    multiply_exactly(setup.device.type)
    model = model_of(checkpoint, setup.device)
    scores = [score(model, tokens, each, setup.vocabulary) for each in (carried(tokens), windowed(tokens, WINDOW))]
    if not all(math.isfinite(each.nats) for each in scores):
        raise DivergedError(f"the loss of {path} on the validation text is not finite")
    return replace(
        row,
        nats_per_character=scores[0].nats_per_character,
        bits_per_character=scores[0].bits_per_character,
        windowed_bits_per_character=scores[1].bits_per_character,
        sampled_characters_per_second=_sampling_pace(checkpoint, setup.config.training.seed),
        checkpoint=str(path),
    )


def _sampling_pace(checkpoint: Checkpoint, seed: int) -> float | None:
    """Characters sampled per second, without making the engine; None if the network overflows meanwhile."""
    engine, vocabulary = NumpyEngine(checkpoint.config.model, checkpoint.model), checkpoint.vocabulary
    config = SamplingConfig(length=_SAMPLED, seed=seed)
    start = time.perf_counter()
    try:
        written = sum(1 for _ in generate(engine, vocabulary, config, np.empty(0, vocabulary.dtype)))
    except CheckpointError:
        return None
    return written / (time.perf_counter() - start)
