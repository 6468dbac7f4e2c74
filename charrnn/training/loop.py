"""The training loop: a generator that yields events. Nothing in it prints, and nothing calls back."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from charrnn.checkpoint.format import Checkpoint, Counters, to_bytes
from charrnn.checkpoint.store import Resumable, Run, find_named
from charrnn.distributed import own_ranks
from charrnn.errors import CheckpointError
from charrnn.evaluation.scoring import overlapping, score
from charrnn.events import Began, Event, Finished, Notice, Reported, Sampled, Saved, Skipped, Validated
from charrnn.messages import named
from charrnn.model import CharacterModel, model_arrays, parameter_count
from charrnn.runtime import compute_with, describe_device, versions
from charrnn.settings.run import RunConfig
from charrnn.training.clock import Clock
from charrnn.training.finetune import begin_from
from charrnn.training.learner import Learner
from charrnn.training.loss_monitor import MOST_SKIPPED_IN_A_ROW, LossMonitor
from charrnn.training.parallel import announce, follow_announced, own_state
from charrnn.training.preview import preview
from charrnn.training.resume import capture, newest_that_passes, prepare_again, restore
from charrnn.training.schedule import extended, learning_rate, step_limit
from charrnn.training.setup import Setup, prepare

__all__ = ["default_name", "follow", "resume", "train", "train_or_resume", "train_prepared"]

Stop = Callable[[], bool]

# Validation reads the text in windows side by side, each from some way before it: within a few 1e-4 nats of the carried
# state that `charrnn eval` reports, in a fraction of the time.
_WINDOW, _CONTEXT = 2048, 256


def train(
    config: RunConfig, name: str | None = None, stop: Stop = lambda: False, *, given: Collection[str] = ()
) -> Iterator[Event]:
    """Train a new model as `config` says, in a new run folder; `given` are the settings that were asked for.

    `stop` is asked after every step; once it says so, the training saves and ends. With a recorded plan in `config`
    and an unchanged corpus the run is repeated: on a CPU with equal versions and threads, to the same weights.

    Raises:
        CharrnnError: of the kind and with the message that fits.
    """
    setup = prepare(config, given)
    yield from map(Notice, setup.notices)
    yield from train_prepared(setup, Run.create(name or default_name(setup.config)), stop)


def train_prepared(setup: Setup, run: Run, stop: Stop = lambda: False) -> Iterator[Event]:
    """The same for a text that has been read, in a new run folder that has been made.

    Raises:
        CharrnnError: as `train` does.
    """
    with run.locked():
        announce(setup, run)
        run.write_config(setup.config.to_toml())
        run.truncate_metrics(0)  # of a run that ended before it had saved anything
        yield from _loop(setup, run, None, stop)


def train_or_resume(
    config: RunConfig,
    name: str,
    given: Mapping[str, Any],
    stop: Stop = lambda: False,
    *,
    accept_new_corpus: bool = False,
) -> Iterator[Event]:
    """Go on with the run of that name, or begin it where there is none yet: the same call again, until it is done.

    Raises:
        UsageError: the run has other settings than were asked for, `given`.
        CharrnnError: as `train` and `resume` do.
    """
    if resumable := find_named(name):
        yield from resume(resumable, given, stop, accept_new_corpus=accept_new_corpus)
        return
    setup = prepare(config, given)
    yield from map(Notice, setup.notices)
    yield from train_prepared(setup, Run.claim(name), stop)


def resume(
    resumable: Resumable, given: Mapping[str, Any], stop: Stop = lambda: False, *, accept_new_corpus: bool = False
) -> Iterator[Event]:
    """Go on with a run to its recorded budget, or to a `given` one (`time`, `epochs`, `steps`, `patience`).

    With `accept_new_corpus` it may go on with a changed text of the same characters, at the same step.

    Raises:
        UsageError: other settings are given that are not those of the run.
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
        run.truncate_metrics(checkpoint.counters.step)
        yield from _loop(setup, run, checkpoint, stop)


def follow(stop: Stop = lambda: False) -> Iterator[Event]:
    """Take part in the training that rank 0 begins or goes on with, as another rank; rank 0 reports and writes.

    Raises:
        CharrnnError: as `train` does, or since another rank has ended.
    """
    setup, run, checkpoint = follow_announced()
    yield from _loop(setup, run, checkpoint, stop)


def _loop(setup: Setup, run: Run, resumed: Checkpoint | None, stop: Stop) -> Iterator[Event]:
    config, training, device = setup.config, setup.config.training, setup.device
    ranks = own_ranks()
    compute_with(device, training.precision, training.threads)
    torch.manual_seed(training.seed)
    model = CharacterModel(config.model, setup.vocabulary.size, setup.vocabulary.unknown).to(device)
    counters = Counters()
    learner = Learner(model, training, setup.training.ids, ranks)
    if setup.start:
        begin_from(setup.start, model, setup.vocabulary)
    if resumed:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in resumed.model.items()})
        learner.state = own_state(restore(resumed.training, model, learner.optimizer), ranks)
        counters = resumed.counters
    batches = setup.batches()
    clock = _clock(setup, batches.steps_per_epoch, resumed)
    monitor = LossMonitor(run, counters, batches.steps_per_epoch)
    yield _began(setup, run, model, counters.step)

    step = counters.step
    finished: Literal["budget", "patience", "stopped"] | None = None
    if step >= clock.total(step):
        finished = "budget"
        yield Notice(f"the run is already at step {step:,} of {step:,}; a larger budget makes it go on")
    elif training.patience and counters.stale >= training.patience:
        finished = "patience"
        yield Notice(
            f"the run ended at step {step:,} by {named('patience', training.patience)}; a larger one makes it go on"
        )
    model.train()
    while not finished:
        batch, rate = batches.batch(step), learning_rate(step, clock.total(step), training)
        numbers = learner.learn(batch, step, rate)
        step += 1
        monitor.add(step, rate, batch, numbers)
        stopped, report_is_due = ranks.any(stop(), clock.report_is_due(step))
        validation_is_due = clock.validation_is_due(step)
        interrupted = stopped or validation_is_due or step >= clock.total(step) or report_is_due
        if interrupted or monitor.is_due(device.type):
            for skipped in monitor.read():
                run.append_metrics(_metrics(skipped, "skipped"))
                yield skipped
                if skipped.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
                    why = (
                        f"{skipped.skipped_in_a_row} steps in a row had a loss or a gradient that was not finite, "
                        f"the last a loss of {skipped.loss:g} and a gradient norm of {skipped.gradient_norm:g}"
                    )
                    raise monitor.diverged(why, _settled(config, clock))

        if interrupted:
            lap_seconds = clock.lap(step)
            clock.follow(ranks)
            read, loss = monitor.lap()
            if read:  # else every step since the last report was skipped
                report = Reported(
                    step=step,
                    total_steps=clock.total(step),
                    epoch=step / batches.steps_per_epoch,
                    loss=loss,
                    gradient_norm=monitor.gradient_norm,
                    learning_rate=rate,
                    characters_per_second=read / lap_seconds,
                    seconds=clock.seconds,
                    seconds_left=clock.seconds_left(step),
                )
                run.append_metrics(_metrics(report, "training"))
                yield report
            finished = "budget" if step >= clock.total(step) else "stopped" if stopped else None

        if finished or validation_is_due:
            state_of_all = learner.state_of_all(batch)
            if ranks.rank:
                finished = ranks.broadcast(None)  # as soon as rank 0 has validated and saved
                continue
            arrays = capture(learner.optimizer, state_of_all)
            to_save = {**model_arrays(model), **arrays}
            if bad := [name for name, array in to_save.items() if not np.isfinite(array).all()]:
                why = f"the loss was {monitor.last_loss:g}, but {bad[0]} is no longer finite"
                raise monitor.diverged(why, _settled(config, clock))
            counters = replace(
                counters,
                step=step,
                characters=monitor.characters,
                loss=None,
                skipped=monitor.skipped,
                skipped_in_a_row=monitor.skipped_in_a_row,
            )
            if validation_is_due or finished == "budget":
                if setup.validation:
                    validation = overlapping(setup.validation, _WINDOW, _CONTEXT)
                    result = score(model, setup.validation, validation, setup.vocabulary)
                    if not math.isfinite(result.nats_per_character):
                        why = f"the validation loss is {result.nats_per_character:g}"
                        raise monitor.diverged(why, _settled(config, clock))
                    counters = _judged(counters, result.nats_per_character)
                    validated = Validated(step, result.nats_per_character, best=counters.best_step == step)
                    run.append_metrics(_metrics(validated, "validation"))
                    yield validated
                    if training.patience and counters.stale >= training.patience:
                        finished = finished or "patience"
                try:
                    written = preview(setup, model, step)
                except CheckpointError as error:  # which asks for another model, and this one is in the making
                    why = "its weights are so large that they overflow"
                    raise monitor.diverged(why, _settled(config, clock)) from error
                yield Sampled(step, written)
            counters = replace(counters, seconds=clock.seconds)
            config = _settled(config, clock)
            run.write_config(config.to_toml())
            checkpoint = Checkpoint(config, setup.vocabulary, model_arrays(model), counters, arrays, versions())
            is_best = counters.loss is not None and counters.best_step == step
            yield Saved(step, run.save(to_bytes(checkpoint), step, best=is_best))
            clock.interrupted()
            ranks.broadcast(finished)
    losses = counters.loss, counters.best_loss, counters.best_step
    yield Finished(finished, run.path, step, clock.seconds, *losses, counters.skipped)


def _clock(setup: Setup, steps_per_epoch: int, resumed: Checkpoint | None) -> Clock:
    training, plan = setup.config.training, setup.config.record.plan
    limit = step_limit(training, steps_per_epoch)
    counters = resumed.counters if resumed else Counters()
    if resumed and _budget(resumed.config) != _budget(setup.config):
        plan = extended(plan, counters.step, counters.seconds, training.time, limit)
    # Validating is reading without learning: about a third of the work of a step of as many characters.
    validated = setup.validation.targets if setup.validation else 0
    validation_steps = validated * steps_per_epoch / setup.training.targets / 3
    return Clock(
        training,
        plan,
        limit,
        step=counters.step,
        spent=counters.seconds,
        validation_steps=validation_steps,
        repeats=bool(plan) and not resumed,
    )


def _budget(config: RunConfig) -> tuple[float | None, ...]:
    return config.training.time, config.training.epochs, config.training.steps


def _settled(config: RunConfig, clock: Clock) -> RunConfig:
    """The configuration with the plan so far and the intervals that were chosen: it repeats the run up to here."""
    settled = replace(config.training, report_every=clock.report_every, validate_every=clock.validate_every)
    return replace(config, training=settled, record=replace(config.record, plan=clock.plan))


def _judged(counters: Counters, loss: float) -> Counters:
    """The counters after a validation."""
    if counters.best_loss is None or loss < counters.best_loss:
        return replace(counters, loss=loss, best_loss=loss, best_step=counters.step, stale=0)
    return replace(counters, loss=loss, stale=counters.stale + 1)


def _metrics(event: Reported | Skipped | Validated, split: str) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    values = {key: value for key, value in asdict(event).items() if key not in ("total_steps", "seconds_left", "best")}
    bits = event.loss / math.log(2)
    return values | {"split": split, "bits_per_character": bits, "time": datetime.now(UTC).isoformat()}


def _began(setup: Setup, run: Run, model: CharacterModel, step: int) -> Began:
    shape = setup.config.model
    encoder = "one-hot" if shape.encoder == "one-hot" else f"embedding {shape.embedding_size}"
    return Began(
        run=run.path,
        step=step,
        model=f"{shape.cell} {shape.layers}×{shape.hidden_size}, {encoder}, dropout {shape.dropout:g}",
        parameters=parameter_count(model),
        training_characters=setup.training.targets,
        validation_characters=setup.validation.targets if setup.validation else 0,
        vocabulary_size=setup.vocabulary.size,
        device=f"{describe_device(setup.device)}, {setup.config.training.precision}",
    )


def default_name(config: RunConfig) -> str:
    """Corpus stem and cell, such as hamlet-gru."""
    first = config.text.corpus[0]
    stem = "stdin" if first == "-" else Path(first).resolve().name.partition(".")[0]
    stem = re.sub(r"[^\w+-]+", "-", stem).strip("-") or "text"
    return f"{stem}-{config.model.cell}"
