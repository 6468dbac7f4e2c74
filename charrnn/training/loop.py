"""The training loop: a generator that yields events. Nothing in it prints, and nothing calls back."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.checkpoint.format import Checkpoint, Counters, to_bytes
from charrnn.checkpoint.store import Resumable, Run
from charrnn.config import RunConfig
from charrnn.errors import CheckpointError
from charrnn.evaluation.scoring import overlapping, score
from charrnn.events import Began, Event, Finished, Notice, Reported, Sampled, Saved, Skipped, Validated
from charrnn.model import CharacterModel, model_arrays, parameter_count
from charrnn.recurrent.stack import StackState
from charrnn.runtime import compute_with, describe_device, versions
from charrnn.text.batches import IGNORED, Batch
from charrnn.training.divergence import MOST_SKIPPED_IN_A_ROW, Watch, begin_anew_where_not_finite
from charrnn.training.excerpt import excerpt
from charrnn.training.pace import Pace
from charrnn.training.resume import capture, newest_that_passes, prepare_again, restore
from charrnn.training.schedule import extended, learning_rate, step_limit
from charrnn.training.setup import Setup, prepare

__all__ = ["default_name", "resume", "train", "train_prepared"]

Stop = Callable[[], bool]

# Validation reads the text in windows side by side, each from some way before it: within a few 1e-4 nats of the carried
# state that `charrnn eval` reports, in a fraction of the time.
_WINDOW, _CONTEXT = 2048, 256


def train(config: RunConfig, name: str | None = None, stop: Stop = lambda: False) -> Iterator[Event]:
    """Train a new model as `config` says, in a new run folder.

    `stop` is asked after every step; once it says so, the training saves and ends. With a recorded plan in `config`
    and an unchanged corpus the run is repeated: on a CPU with equal versions and threads, to the same weights.

    Raises:
        CharrnnError: of the kind and with the message that fits.
    """
    setup = prepare(config)
    yield from map(Notice, setup.notices)
    yield from train_prepared(setup, Run.create(name or default_name(config)), stop)


def train_prepared(setup: Setup, run: Run, stop: Stop = lambda: False) -> Iterator[Event]:
    """The same for a text that has been read, in a new run folder that has been made.

    Raises:
        CharrnnError: as `train` does.
    """
    with run.locked():
        run.write_config(setup.config.to_toml())
        yield from _loop(setup, run, None, stop)


def resume(
    resumable: Resumable, budget: Mapping[str, Any], stop: Stop = lambda: False, *, accept_new_corpus: bool = False
) -> Iterator[Event]:
    """Go on with a run to its recorded budget, or to a new one (`time`, `epochs`, `steps`).

    With `accept_new_corpus` it may go on with a changed text of the same characters, at the same step.

    Raises:
        DataError: the corpus is no longer the one that the run was trained on.
        CharrnnError: of the kind and with the message that fits.
    """
    run = resumable.run
    with run.locked():
        path, checkpoint, passed_over = newest_that_passes(resumable)
        yield from map(Notice, passed_over)
        setup = prepare_again(path, checkpoint, budget, accept_new_corpus)
        yield from map(Notice, setup.notices)
        run.truncate_metrics(checkpoint.counters.step)
        yield from _loop(setup, run, checkpoint, stop)


def _loop(setup: Setup, run: Run, resumed: Checkpoint | None, stop: Stop) -> Iterator[Event]:
    config, training, device = setup.config, setup.config.training, setup.device
    compute_with(device, training.precision, training.threads)
    torch.manual_seed(training.seed)
    model = CharacterModel(config.model, setup.vocabulary.size, setup.vocabulary.unknown).to(device)
    optimizer = _optimizer(model, training.weight_decay)
    state, counters = model.initial_state(1), Counters()
    if resumed:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in resumed.model.items()})
        state, counters = restore(resumed.training, model, optimizer), resumed.counters
    batches = setup.batches()
    pace = _pace(setup, batches.steps_per_epoch, resumed)
    watch = Watch(run, counters, batches.steps_per_epoch)
    yield _began(setup, run, model, counters.step)

    step, characters = counters.step, counters.characters
    reported_characters, loss_sum, gradient_norm = characters, 0.0, 0.0  # of steps that were taken
    finished: Literal["budget", "patience", "stopped"] | None = None
    if step >= pace.total(step):
        finished = "budget"
        yield Notice(f"the run is already at step {step:,} of {step:,}; a larger budget makes it go on")
    model.train()
    while not finished:
        rate = learning_rate(step, pace.total(step), training)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = batches.batch(step)
        inputs, targets = (
            torch.from_numpy(batch.inputs).to(device),
            torch.from_numpy(batch.targets).to(device),
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bf16"):
            logits, state = model(inputs, _enter(batch, state, model))
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        step, state = step + 1, _each(Tensor.detach, state)
        # Reading these costs nothing on a CPU, and on a GPU a wait at every step: the price of never taking a bad one.
        if skipped := watch.judge(step, loss.item(), norm.item(), rate, batch):
            state = begin_anew_where_not_finite(state)
            run.append_metrics(_metrics(skipped, "skipped"))
            yield skipped
            if skipped.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
                why = (
                    f"{skipped.skipped_in_a_row} steps in a row had a loss or a gradient that was not finite, "
                    f"the last a loss of {skipped.loss:g} and a gradient norm of {skipped.gradient_norm:g}"
                )
                raise watch.diverged(why, _settled(config, pace))
        else:
            optimizer.step()
            scored, gradient_norm = int(np.count_nonzero(batch.targets != IGNORED)), norm.item()
            loss_sum += loss.item() * scored
            characters += scored

        stopped, validation_is_due = stop(), pace.validation_is_due(step)
        if stopped or validation_is_due or step >= pace.total(step) or pace.report_is_due(step):
            read = characters - reported_characters
            lap_seconds = pace.lap(step)
            if read:  # else every step since the last report was skipped
                report = Reported(
                    step=step,
                    total_steps=pace.total(step),
                    epoch=step / batches.steps_per_epoch,
                    loss=loss_sum / read,
                    gradient_norm=gradient_norm,
                    learning_rate=rate,
                    characters_per_second=read / lap_seconds,
                    seconds=pace.seconds,
                    seconds_left=pace.seconds_left(step),
                )
                reported_characters, loss_sum = characters, 0.0
                run.append_metrics(_metrics(report, "training"))
                yield report
            finished = "stopped" if stopped else "budget" if step >= pace.total(step) else None

        if finished or validation_is_due:
            arrays = capture(model, optimizer, state)
            to_save = {**model_arrays(model), **arrays}
            if bad := [name for name, array in to_save.items() if not np.isfinite(array).all()]:
                why = f"the loss was {loss.item():g}, but {bad[0]} is no longer finite"
                raise watch.diverged(why, _settled(config, pace))
            counters = replace(
                counters,
                step=step,
                characters=characters,
                loss=None,
                skipped=watch.skipped,
                skipped_in_a_row=watch.skipped_in_a_row,
            )
            if validation_is_due or not stopped:
                if setup.validation:
                    validation = overlapping(setup.validation, _WINDOW, _CONTEXT)
                    result = score(model, setup.validation, validation, setup.vocabulary)
                    if not math.isfinite(result.nats_per_character):
                        why = f"the validation loss is {result.nats_per_character:g}"
                        raise watch.diverged(why, _settled(config, pace))
                    counters = _judged(counters, result.nats_per_character)
                    validated = Validated(step, result.nats_per_character, best=counters.best_step == step)
                    run.append_metrics(_metrics(validated, "validation"))
                    yield validated
                    if training.patience and counters.stale >= training.patience:
                        finished = finished or "patience"
                try:
                    written = excerpt(setup, model, step)
                except CheckpointError as error:  # which asks for another model, and this one is in the making
                    why = "its weights are so large that they overflow"
                    raise watch.diverged(why, _settled(config, pace)) from error
                yield Sampled(step, written)
            counters = replace(counters, seconds=pace.seconds)
            config = _settled(config, pace)
            run.write_config(config.to_toml())
            checkpoint = Checkpoint(config, setup.vocabulary, model_arrays(model), counters, arrays, versions())
            is_best = counters.loss is not None and counters.best_step == step
            yield Saved(step, run.save(to_bytes(checkpoint), step, best=is_best))
            pace.interrupted()
    losses = counters.loss, counters.best_loss, counters.best_step
    yield Finished(finished, run.path, step, pace.seconds, *losses, counters.skipped)


def _optimizer(model: CharacterModel, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only, embeddings aside, with a memory of squares short enough for varied text."""
    decayed = [p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("encoder.")]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or name.startswith("encoder.")]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
    for p in model.parameters():  # as it would do at its first step; a run may be saved before that is taken
        moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        optimizer.state[p] = {"step": torch.zeros((), device=p.device), **moments}
    return optimizer


def _pace(setup: Setup, steps_per_epoch: int, resumed: Checkpoint | None) -> Pace:
    training, plan = setup.config.training, setup.config.record.plan
    limit = step_limit(training, steps_per_epoch)
    counters = resumed.counters if resumed else Counters()
    if resumed and _budget(resumed.config) != _budget(setup.config):
        plan = extended(plan, counters.step, counters.seconds, training.time, limit)
    # Validating is reading without learning: about a third of the work of a step of as many characters.
    validated = setup.validation.targets if setup.validation else 0
    validation_steps = validated * steps_per_epoch / setup.training.targets / 3
    return Pace(
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


def _settled(config: RunConfig, pace: Pace) -> RunConfig:
    """The configuration with the plan so far and the intervals that were chosen: it repeats the run up to here."""
    settled = replace(config.training, report_every=pace.report_every, validate_every=pace.validate_every)
    return replace(config, training=settled, record=replace(config.record, plan=pace.plan))


def _each(function: Callable[[Tensor], Tensor], state: StackState) -> StackState:
    return tuple(type(layer)(*map(function, layer)) for layer in state)


def _enter(batch: Batch, state: StackState, model: CharacterModel) -> StackState:
    """The state from which a batch is read, given that after the batch before it."""
    if batch.state == "zero":
        return model.initial_state(len(batch.inputs))
    if batch.state == "shift":
        return _each(lambda part: torch.cat([torch.zeros_like(part[:1]), part[:-1]]), state)
    return state


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
