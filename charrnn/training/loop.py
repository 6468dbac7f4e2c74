"""The training loop, a generator that yields events. It prints nothing and calls nobody back."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.checkpoint.format import Checkpoint, Counters, to_bytes
from charrnn.checkpoint.store import Resumable, Run, find_named
from charrnn.errors import OVERFLOW, CheckpointError
from charrnn.evaluation.scoring import score
from charrnn.evaluation.with_ngrams import ModelWithNgrams, ScoredModel
from charrnn.events import Event, Notice, Reported, Sampled, Saved, Validated
from charrnn.messages import named
from charrnn.ngrams.table import NgramTable
from charrnn.runtime import versions
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batch
from charrnn.text.places import record_change, record_text
from charrnn.training.loss_monitor import NotFiniteError
from charrnn.training.metrics import metrics_line, sample_line
from charrnn.training.ngrams import fitted
from charrnn.training.parallel import announce, follow_announced
from charrnn.training.preview import preview
from charrnn.training.resume import newest_that_passes, prepare_again
from charrnn.training.schedule import learning_rate
from charrnn.training.session import Session, Snapshot, open_session
from charrnn.training.setup import Setup, prepare
from charrnn.training.validation import validation_segments

__all__ = ["default_name", "follow", "resume", "train", "train_or_resume", "train_prepared"]

Stop = Callable[[], bool]


def train(
    config: RunConfig,
    name: str | None = None,
    stop: Stop = lambda: False,
    *,
    given: Collection[str] = (),
    keep_text: bool = False,
) -> Iterator[Event]:
    """Train a new model by `config` in a new run folder; `given` are the settings that were asked for.

    With `keep_text` the folder gets a copy of the text, by which every command finds it again.

    `stop` is asked after every step; once it is true, the training saves and ends. A recorded plan in `config` and an
    unchanged corpus repeat the run: on a CPU with equal versions and threads, to the same weights.

    Raises:
        CharrnnError: of the kind and with the message that fits.
    """
    setup = prepare(config, given, keep_text=keep_text)
    yield from map(Notice, setup.notices)
    yield from train_prepared(setup, Run.create(name or default_name(setup.config)), stop)


def train_prepared(setup: Setup, run: Run, stop: Stop = lambda: False) -> Iterator[Event]:
    """Train a new model on a prepared text, in a new run folder that has been made.

    Raises:
        CharrnnError: as `train` does.
    """
    with run.locked():
        announce(setup, run)
        run.write_config(setup.config.to_toml())
        record_text(run.path, setup.copy)
        run.truncate_records(0)  # of a run that ended before it had saved anything
        yield from _train(setup, run, None, stop)


def train_or_resume(
    config: RunConfig,
    name: str,
    given: Mapping[str, Any],
    stop: Stop = lambda: False,
    *,
    accept_new_corpus: bool = False,
    keep_text: bool = False,
) -> Iterator[Event]:
    """Go on with the run of this name, or begin it if there is none; the same call can be repeated until it is done.

    Raises:
        UsageError: the run has other settings than those `given`.
        CharrnnError: as `train` and `resume` do.
    """
    if resumable := find_named(name):
        yield from resume(resumable, given, stop, accept_new_corpus=accept_new_corpus)
        return
    setup = prepare(config, given, keep_text=keep_text)
    yield from map(Notice, setup.notices)
    yield from train_prepared(setup, Run.claim(name), stop)


def resume(
    resumable: Resumable, given: Mapping[str, Any], stop: Stop = lambda: False, *, accept_new_corpus: bool = False
) -> Iterator[Event]:
    """Go on with a run to its recorded budget, or to a `given` one (`time`, `epochs`, `steps`, `patience`).

    With `accept_new_corpus` it may go on with a changed text of the same characters, at the same step.

    Raises:
        UsageError: other settings were given that differ from the run's.
        DataError: the corpus is no longer the one that the run was trained on.
        CharrnnError: of the kind and with the message that fits.
    """
    run = resumable.run
    with run.locked():
        path, checkpoint, passed_over = newest_that_passes(resumable)
        yield from map(Notice, passed_over)
        setup = prepare_again(path, checkpoint, given, accept_new_corpus)
        yield from map(Notice, setup.notices)
        announce(setup, run, path)
        if setup.config.record.corpus_sha256 != checkpoint.config.record.corpus_sha256:
            record_change(run.path, checkpoint.counters.step, is_named="corpus" in given)
        run.truncate_records(checkpoint.counters.step)
        yield from _train(setup, run, checkpoint, stop)


def follow(stop: Stop = lambda: False) -> Iterator[Event]:
    """Take part, as another rank, in the training that rank 0 begins or goes on with; rank 0 reports and writes.

    Raises:
        CharrnnError: as `train` does, or another rank has ended.
    """
    setup, run, checkpoint = follow_announced()
    yield from _train(setup, run, checkpoint, stop)


def _train(setup: Setup, run: Run, resumed: Checkpoint | None, stop: Stop) -> Iterator[Event]:
    """Train to the end. Every NotFiniteError is turned into DivergedError here, and nowhere else."""
    session = open_session(setup, run, resumed)
    try:
        with session.aside:
            yield from _phases(session, stop)
    except NotFiniteError as error:
        raise session.monitor.diverged(str(error), session.config, versions(session.setup.device)) from error


def _phases(session: Session, stop: Stop) -> Iterator[Event]:
    """Take steps, and between them read the losses, report, validate, preview and save, each when it is due."""
    yield session.began()
    yield from _say_if_over(session)
    session.model.train()
    while not session.ended:
        batch, rate = _take_step(session)
        due = _due(session, stop)
        if due.report or session.monitor.is_due(session.setup.device.type):
            yield from _read_losses(session)
        if due.report:
            yield from session.aside.done()
            yield from _report(session, rate)
            session.ended = "budget" if session.step >= session.total_steps else "stopped" if due.stop else None
        if session.ended or due.validation:
            snapshot = session.snapshot(batch)
            if snapshot is None:
                session.ended = session.ranks.broadcast(None)  # as soon as rank 0 has validated and saved
                continue
            is_validated = due.validation or session.ended == "budget"
            if is_validated:
                yield from _validate(session)
            counters = replace(session.counters, seconds=session.clock.seconds)
            saving = _save(session, snapshot, session.config, counters, session.ngrams)
            yield from session.aside.do(
                chain(_preview(session, snapshot, session.ngrams), saving) if is_validated else saving
            )
            session.clock.interrupted()
            session.ranks.broadcast(session.ended)
    yield from session.aside.finish()
    yield session.finished()


def _say_if_over(session: Session) -> Iterator[Event]:
    """End a resumed training that has nothing left to do, with a notice about making it go on."""
    step = f"{session.step:,}"
    if session.step >= session.total_steps:
        session.ended = "budget"
        yield Notice(f"the run is already at step {step} of {step}; a larger budget makes it go on")
    elif session.is_out_of_patience:
        session.ended = "patience"
        patience = session.setup.config.training.patience
        yield Notice(f"the run ended at step {step} by {named('patience', patience)}; a larger one makes it go on")


def _take_step(session: Session) -> tuple[Batch, float]:
    """Learn from the next batch; return it and the learning rate. Nothing here waits for the device."""
    step, settings = session.step, session.setup.config.training
    batch, rate = session.batches.batch(step), learning_rate(step, session.total_steps, settings)
    numbers = session.learner.learn(batch, step, rate)
    session.step += 1
    session.monitor.add(session.step, rate, batch, numbers)
    return batch, rate


class _Due(NamedTuple):
    """The actions due after a step. If any is due, so is a report, which also decides if the training has ended."""

    stop: bool
    report: bool
    validation: bool


def _due(session: Session, stop: Stop) -> _Due:
    """The actions due, the same on all ranks: the clock and signals of any rank count for all."""
    stopped, report = session.ranks.any(stop(), session.clock.report_is_due(session.step))
    validation = session.clock.validation_is_due(session.step)
    return _Due(stopped, stopped or report or validation or session.step >= session.total_steps, validation)


def _read_losses(session: Session) -> Iterator[Event]:
    """Read the losses of the steps so far, and yield those that were skipped."""
    for skipped in session.monitor.read():
        session.run.append_metrics(metrics_line(skipped))
        yield skipped


def _report(session: Session, rate: float) -> Iterator[Event]:
    """Plan anew by the pace since the last report, and report, unless every step since was skipped."""
    clock, monitor = session.clock, session.monitor
    lap_seconds = clock.lap(session.step)
    clock.follow(session.ranks)
    characters, loss = monitor.lap()
    if characters:
        report = Reported(
            step=session.step,
            total_steps=session.total_steps,
            epoch=session.step / session.batches.steps_per_epoch,
            loss=loss,
            gradient_norm=monitor.gradient_norm,
            learning_rate=rate,
            characters_per_second=characters / lap_seconds,
            seconds=clock.seconds,
            seconds_left=clock.seconds_left(session.step),
        )
        session.run.append_metrics(metrics_line(report))
        yield report


def _validate(session: Session) -> Iterator[Event]:
    """Score the validation text, if there is one, and end the training if that exhausts its patience."""
    text, vocabulary = session.setup.validation, session.setup.vocabulary
    if text is None:
        return
    segments = validation_segments(session.model, text)
    model: ScoredModel = session.model
    if session.ngrams and session.along:
        session.ngrams = fitted(session.ngrams, session.model, text, session.along, vocabulary)
        model = ModelWithNgrams(session.model, session.ngrams)
    loss = score(model, text, segments, vocabulary, along=session.along).nats_per_character
    if not math.isfinite(loss):
        raise NotFiniteError(f"the validation loss is {loss:g}")
    session.judge(loss)
    validated = Validated(session.step, loss, best=session.counters.best_step == session.step)
    session.run.append_metrics(metrics_line(validated))
    yield validated
    if session.is_out_of_patience:
        session.ended = session.ended or "patience"


def _preview(session: Session, snapshot: Snapshot, ngrams: NgramTable | None) -> Iterator[Event]:
    """Write some text with the weights of the snapshot, and keep it in the run."""
    try:
        written = preview(session.setup, snapshot.model, snapshot.step, ngrams)
    except CheckpointError as error:  # its advice, another model, does not fit a training
        raise NotFiniteError(OVERFLOW) from error
    sampled = Sampled(snapshot.step, written)
    session.run.append_sample(sample_line(sampled, session.setup.vocabulary.unit))
    yield sampled


def _save(
    session: Session, snapshot: Snapshot, config: RunConfig, counters: Counters, ngrams: NgramTable | None
) -> Iterator[Event]:
    """Write the configuration and the checkpoint."""
    session.run.write_config(config.to_toml())
    arrays = snapshot.model, counters, snapshot.training
    made_with = versions(session.setup.device)
    checkpoint = Checkpoint(config, session.setup.vocabulary, *arrays, made_with, ngrams=ngrams)
    is_best = counters.loss is not None and counters.best_step == snapshot.step
    yield Saved(snapshot.step, session.run.save(to_bytes(checkpoint), snapshot.step, best=is_best))


def default_name(config: RunConfig) -> str:
    """The name for a run: corpus stem and cell, such as hamlet-gru."""
    first = config.text.corpus[0]
    stem = "stdin" if first == "-" else Path(first).resolve().name.partition(".")[0]
    stem = re.sub(r"[^\w+-]+", "-", stem).strip("-") or "text"
    return f"{stem}-{config.model.cell}"
