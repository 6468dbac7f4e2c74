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

from charrnn.checkpoint.format import Checkpoint, Counters, from_file, to_bytes
from charrnn.checkpoint.store import Resumable, Run
from charrnn.config import RunConfig
from charrnn.errors import CheckpointError, DataError, DivergedError
from charrnn.evaluation.scoring import overlapping, score
from charrnn.events import Began, Event, Finished, Notice, Reported, Sampled, Saved, Validated
from charrnn.model import CharacterModel, model_arrays, parameter_count
from charrnn.recurrent.stack import StackState
from charrnn.runtime import describe_device, versions
from charrnn.text.batches import IGNORED, Batch
from charrnn.training.excerpt import excerpt
from charrnn.training.pace import Pace
from charrnn.training.resume import capture, restore
from charrnn.training.schedule import extended, learning_rate, step_limit
from charrnn.training.setup import Setup, prepare

__all__ = ["resume", "train"]

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
    run = Run.create(name or _default_name(config))
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
        path, checkpoint, passed_over = _newest_that_passes(resumable)
        yield from map(Notice, passed_over)
        if not checkpoint.training:
            raise CheckpointError(f"{path} has only what a sampler needs; there is no training to go on with")
        config = checkpoint.config
        if budget:
            config = config.override({"time": None, "epochs": None, "steps": None} | dict(budget))
        setup = prepare(config)
        if setup.config.record.corpus_sha256 != config.record.corpus_sha256:
            setup = _with_new_corpus(setup, checkpoint, accept_new_corpus)
        yield from map(Notice, setup.notices)
        run.truncate_metrics(checkpoint.counters.step)
        yield from _loop(setup, run, checkpoint, stop)


def _with_new_corpus(setup: Setup, checkpoint: Checkpoint, accepted: bool) -> Setup:
    """What a run whose text has changed goes on with."""
    config, old = setup.config, checkpoint.config
    name = ", ".join(config.text.corpus)
    if not accepted:
        raise DataError(
            f"the text {name} has changed since the run began: its sha256 was {old.record.corpus_sha256}, "
            f"is {config.record.corpus_sha256}\n"
            "put the old text back, go on with the new one by --accept-new-corpus, or train a new run on it"
        )
    if setup.vocabulary != checkpoint.vocabulary or _shape(config) != _shape(old):
        raise DataError(
            f"the changed text {name} has other characters than the run has learned, or is too short for it; "
            "train a new run on it"
        )
    return replace(setup, config=replace(config, record=replace(config.record, plan=old.record.plan)))


def _shape(config: RunConfig) -> tuple[int | None, ...]:
    return config.training.batch_size, config.training.sequence_length


def _newest_that_passes(resumable: Resumable) -> tuple[Path, Checkpoint, list[str]]:
    """The checkpoint asked for, or the run's newest that can be read; and what is wrong with those passed over."""
    if resumable.checkpoint:
        return resumable.checkpoint, from_file(resumable.checkpoint, training=True), []
    passed_over: list[str] = []
    for path in resumable.run.newest_first():
        try:
            return path, from_file(path, training=True), passed_over
        except CheckpointError as error:
            passed_over.append(f"passed over a checkpoint: {error}")
    raise CheckpointError("\n".join([f"{resumable.run.path} has no checkpoint to go on from", *passed_over[:2]]))


def _loop(setup: Setup, run: Run, resumed: Checkpoint | None, stop: Stop) -> Iterator[Event]:
    config, training, device = setup.config, setup.config.training, setup.device
    torch.manual_seed(training.seed)
    model = CharacterModel(config.model, setup.vocabulary.size, setup.vocabulary.unknown).to(device)
    optimizer = _optimizer(model, training.weight_decay)
    state, counters = model.initial_state(1), Counters()
    if resumed:
        model.load_state_dict({name: torch.from_numpy(array) for name, array in resumed.model.items()})
        state, counters = restore(resumed.training, model, optimizer), resumed.counters
    batches = setup.batches()
    pace = _pace(setup, batches.steps_per_epoch, resumed)
    yield _began(setup, run, model, counters.step)

    step, characters = counters.step, counters.characters
    reported_characters, loss_sum = characters, torch.zeros((), device=device)
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
        logits, state = model(inputs, _enter(batch, state, model))
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
        optimizer.step()
        state = _each(Tensor.detach, state)
        scored = int(np.count_nonzero(batch.targets != IGNORED))
        loss_sum += loss.detach() * scored
        step, characters = step + 1, characters + scored

        stopped, validation_is_due = stop(), pace.validation_is_due(step)
        if stopped or validation_is_due or step >= pace.total(step) or pace.report_is_due(step):
            read = characters - reported_characters
            lap_seconds = pace.lap(step)
            report = Reported(
                step=step,
                total_steps=pace.total(step),
                epoch=step / batches.steps_per_epoch,
                loss=loss_sum.item() / read,
                gradient_norm=norm.item(),
                learning_rate=rate,
                characters_per_second=read / lap_seconds,
                seconds=pace.seconds,
                seconds_left=pace.seconds_left(step),
            )
            if not math.isfinite(report.loss):
                raise DivergedError(
                    f"the loss is {report.loss} at step {step}: the training diverged; checkpoints in {run.path} are "
                    f"from before\nlower --learning-rate (now {training.learning_rate}) or --gradient-clip"
                )
            reported_characters, loss_sum = characters, torch.zeros((), device=device)
            run.append_metrics(_metrics(report, "training"))
            yield report
            finished = "stopped" if stopped else "budget" if step >= pace.total(step) else None

        if finished or validation_is_due:
            counters = replace(counters, step=step, characters=characters, loss=None)
            if validation_is_due or not stopped:
                if setup.validation:
                    validation = overlapping(setup.validation, _WINDOW, _CONTEXT)
                    result = score(model, setup.validation, validation, setup.vocabulary)
                    counters = _judged(counters, result.nats_per_character)
                    validated = Validated(step, result.nats_per_character, best=counters.best_step == step)
                    run.append_metrics(_metrics(validated, "validation"))
                    yield validated
                    if training.patience and counters.stale >= training.patience:
                        finished = finished or "patience"
                yield Sampled(step, excerpt(setup, model, step))
            counters = replace(counters, seconds=pace.seconds)
            settled = replace(training, report_every=pace.report_every, validate_every=pace.validate_every)
            config = replace(config, training=settled, record=replace(config.record, plan=pace.plan))
            run.write_config(config.to_toml())
            arrays = capture(model, optimizer, state)
            checkpoint = Checkpoint(config, setup.vocabulary, model_arrays(model), counters, arrays, versions())
            is_best = counters.loss is not None and counters.best_step == step
            yield Saved(step, run.save(to_bytes(checkpoint), step, best=is_best))
            pace.interrupted()
    yield Finished(finished, run.path, step, pace.seconds, counters.loss, counters.best_loss, counters.best_step)


def _optimizer(model: CharacterModel, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that decays matrices only, embeddings aside, with a memory of squares short enough for varied text."""
    decayed = [p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("encoder.")]
    others = [p for name, p in model.named_parameters() if p.ndim == 1 or name.startswith("encoder.")]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)


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


def _metrics(event: Reported | Validated, split: str) -> dict[str, Any]:
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
        device=describe_device(setup.device),
    )


def _default_name(config: RunConfig) -> str:
    """Corpus stem and cell, such as hamlet-gru."""
    first = config.text.corpus[0]
    stem = "stdin" if first == "-" else Path(first).resolve().name.partition(".")[0]
    stem = re.sub(r"[^\w+-]+", "-", stem).strip("-") or "text"
    return f"{stem}-{config.model.cell}"
