"""A training under way: its parts and counters, and its opening, anew or from a checkpoint."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch

from charrnn.checkpoint.format import Arrays, Checkpoint, Counters
from charrnn.checkpoint.store import Run
from charrnn.distributed import Ranks, own_ranks
from charrnn.events import Began, Finished
from charrnn.model import CharacterModel, model_arrays, parameter_count, put_arrays
from charrnn.ngrams.along import Along
from charrnn.ngrams.table import NgramTable
from charrnn.runtime import compute_with, describe_device
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batch, Batches
from charrnn.training.aside import Aside
from charrnn.training.clock import Clock, RecordedClock
from charrnn.training.finetune import begin_from
from charrnn.training.learner import Learner
from charrnn.training.loss_monitor import LossMonitor, NotFiniteError
from charrnn.training.ngrams import known_along
from charrnn.training.parallel import own_state
from charrnn.training.resume import capture, restore
from charrnn.training.schedule import extended, step_limit
from charrnn.training.setup import Setup

__all__ = ["Session", "Snapshot", "open_session"]


class Snapshot(NamedTuple):
    """The arrays of a checkpoint, all finite: those of the model, and those for going on with its training."""

    step: int
    model: Arrays
    training: Arrays


@dataclass
class Session:
    """One training under way. The loop changes `step`, `counters`, `ngrams` and `ended`; all else stays.

    `counters` are those of the last snapshot; `ended` is the reason why there is no further step, None while there is.
    """

    setup: Setup
    run: Run
    ranks: Ranks
    model: CharacterModel
    learner: Learner
    batches: Batches
    clock: Clock
    monitor: LossMonitor
    aside: Aside
    counters: Counters
    step: int
    ngrams: NgramTable | None
    along: Along | None
    ended: Literal["budget", "patience", "stopped"] | None = None

    @property
    def total_steps(self) -> int:
        """The number of steps that the training is planned to have, as of now."""
        return self.clock.total(self.step)

    @property
    def config(self) -> RunConfig:
        """The configuration with the plan so far and the chosen intervals, which repeats the run up to here."""
        config, clock = self.setup.config, self.clock
        chosen = replace(config.training, report_every=clock.report_every, validate_every=clock.validate_every)
        return replace(config, training=chosen, record=replace(config.record, plan=clock.plan))

    @property
    def is_out_of_patience(self) -> bool:
        """True if the validation loss has not become better for `patience` validations."""
        patience = self.setup.config.training.patience
        return bool(patience and self.counters.stale >= patience)

    def snapshot(self, batch: Batch) -> Snapshot | None:
        """The arrays after a batch, gathered from all ranks, on rank 0; None on the others.

        Raises:
            NotFiniteError: one of them is not finite.
        """
        state_of_all, device = self.learner.state_of_all(batch), self.setup.device.type
        if self.ranks.rank:
            return None
        weights = model_arrays(self.model, copy=self.aside.is_beside)  # else they are read before the next step
        taken = Snapshot(self.step, weights, capture(self.learner.optimizer, state_of_all, device))
        if bad := [name for name, array in {**taken.model, **taken.training}.items() if not np.isfinite(array).all()]:
            raise NotFiniteError(f"the loss was {self.monitor.last_loss:g}, but {bad[0]} is no longer finite")
        self.counters = replace(
            self.counters,
            step=self.step,
            characters=self.monitor.characters,
            loss=None,
            skipped=self.monitor.skipped,
            skipped_in_a_row=self.monitor.skipped_in_a_row,
        )
        return taken

    def judge(self, loss: float) -> None:
        """Count a validation loss as the best, or as stale."""
        best = self.counters.best_loss
        if best is None or loss < best:
            self.counters = replace(self.counters, loss=loss, best_loss=loss, best_step=self.step, stale=0)
        else:
            self.counters = replace(self.counters, loss=loss, stale=self.counters.stale + 1)

    def began(self) -> Began:
        """The event before the first step."""
        setup, shape = self.setup, self.setup.config.model
        encoder = "one-hot" if shape.encoder == "one-hot" else f"embedding {shape.embedding_size}"
        return Began(
            run=self.run.path,
            step=self.step,
            model=f"{shape.cell} {shape.layers}×{shape.hidden_size}, {encoder}, dropout {shape.dropout:g}",
            parameters=parameter_count(self.model),
            training_characters=setup.training.targets,
            validation_characters=setup.validation.targets if setup.validation else 0,
            vocabulary_size=setup.vocabulary.size,
            device=f"{describe_device(setup.device)}, {setup.config.training.precision}",
        )

    def finished(self) -> Finished:
        """The event after the last step. ValueError while there are further steps."""
        if self.ended is None:
            raise ValueError("the training has not ended")
        counters = self.counters
        losses = counters.loss, counters.best_loss, counters.best_step
        return Finished(self.ended, self.run.path, self.step, self.clock.seconds, *losses, counters.skipped)


def open_session(setup: Setup, run: Run, resumed: Checkpoint | None) -> Session:
    """Open the session of a new training, or of one that goes on from a checkpoint.

    Raises:
        CheckpointError: the checkpoint's training arrays do not fit its model.
    """
    config, ranks, settings = setup.config, own_ranks(), setup.config.training
    compute_with(setup.device, settings.precision, settings.threads)
    torch.manual_seed(settings.seed)
    model = CharacterModel(config.model, setup.vocabulary.size, setup.vocabulary.unknown).to(setup.device)
    learner = Learner(model, settings, setup.training.ids, ranks)
    if setup.start:
        begin_from(setup.start, model, setup.vocabulary)
    counters, ngrams = Counters(), None
    if config.model.ngrams:
        ngrams = NgramTable.of(setup.training, setup.vocabulary, config.model.ngrams)
    if resumed:
        put_arrays(model, resumed.model)
        learner.state = own_state(restore(resumed.training, model, learner.optimizer), ranks)
        counters = resumed.counters
        ngrams = ngrams.weighted(resumed.ngrams.mixing) if ngrams and resumed.ngrams else None
    batches = setup.batches()
    clock = _clock(setup, batches.steps_per_epoch, resumed)
    monitor = LossMonitor(run, counters, batches.steps_per_epoch)
    aside = Aside(beside=setup.device.type != "cpu")
    along = known_along(ngrams, setup.validation) if ngrams and setup.validation else None
    begun = counters, counters.step, ngrams, along
    return Session(setup, run, ranks, model, learner, batches, clock, monitor, aside, *begun)


def _clock(setup: Setup, steps_per_epoch: int, resumed: Checkpoint | None) -> Clock:
    settings, plan = setup.config.training, setup.config.record.plan
    limit = step_limit(settings, steps_per_epoch)
    if setup.steps is not None:
        return RecordedClock(settings, plan, limit, setup.steps)
    counters = resumed.counters if resumed else Counters()
    if resumed and _budget(resumed.config) != _budget(setup.config):
        plan = extended(plan, counters.step, counters.seconds, settings.time, limit)
    # Validating is reading without learning: about a third of the work of a step of as many characters.
    validated = setup.validation.targets if setup.validation else 0
    return Clock(
        settings,
        plan,
        limit,
        step=counters.step,
        spent=counters.seconds,
        validation_steps=validated * steps_per_epoch / setup.training.targets / 3,
        repeats=bool(plan) and not resumed,
        starts_up=setup.device.type != "cpu",
    )


def _budget(config: RunConfig) -> tuple[float | None, ...]:
    return config.training.time, config.training.epochs, config.training.steps
