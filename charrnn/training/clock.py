"""The clock of a training: its pace, the plan for a time budget, and the steps at which to report and validate.

Everything else in a training is a function of the step. All that depends on time is decided here and recorded, so that
a repeat with the record does not depend on time.
"""

import math
import time
from typing import NamedTuple

from charrnn.distributed import Ranks
from charrnn.settings.training import Plan, TrainingConfig
from charrnn.training.schedule import total_at

__all__ = ["Clock", "RecordedClock", "RecordedSteps"]

_PROVISIONAL_STEPS = 1000  # planned until the pace is known, a second into the training
_REPORT_SECONDS = 1.0
_VALIDATIONS = 20  # in a run, unless that is too seldom or takes too long
_VALIDATION_SECONDS = 120.0  # apart, at most
_VALIDATION_SHARE = 0.05  # of the time, at most
_REPLAN = 0.005  # relative change of the total that is worth a change of plan


class Clock:
    """The clock of one training.

    Args:
        config: budgets and intervals. Absent intervals are chosen as soon as the pace is known; that of validations
            is chosen once more when the first one has been measured, unless there is patience, which counts them.
        plan: the recorded plan, empty for a new run.
        limit: the step at which a budget of steps or epochs ends.
        step, spent: the step at which an interrupted training goes on, and the seconds that it took before.
        validation_steps: the estimated cost of a validation, as a number of training steps.
        repeats: follow the plan as it is.
        starts_up: ignore the pace of the first lap, in which a GPU loads its libraries.
    """

    def __init__(
        self,
        config: TrainingConfig,
        plan: Plan,
        limit: int | None,
        *,
        step: int = 0,
        spent: float = 0.0,
        validation_steps: float = 0.0,
        repeats: bool = False,
        starts_up: bool = False,
    ) -> None:
        self.plan = plan or ((0, limit or _PROVISIONAL_STEPS),)
        self.report_every, self.validate_every = config.report_every, config.validate_every
        self._budget = None if repeats else config.time
        self._limit = limit
        self._spent = spent
        self._start = self._lap_start = time.monotonic()
        self._lap_step = step
        self._step_seconds, self._is_known = 0.0, False
        self._validation_steps = validation_steps
        self._validation_seconds: float | None = None
        self._is_starting_up = starts_up
        self._chooses_interval = config.validate_every is None
        self._keeps_interval = config.patience is not None

    @property
    def seconds(self) -> float:
        """Seconds of training in all."""
        return self._spent + time.monotonic() - self._start

    def total(self, step: int) -> int:
        """The number of steps that the run is planned to have, as of a step."""
        return total_at(self.plan, step)

    def seconds_left(self, step: int) -> float:
        """Seconds until the end of the plan, at the present pace."""
        left = (self.total(step) - step) * self._seconds_each() + self._interruption()
        if self._budget is None:
            return left
        by_budget = max(self._budget - self.seconds, 0.0)
        return min(left, by_budget) if self.total(step) == self._limit else by_budget

    def report_is_due(self, step: int) -> bool:
        """True if a report is due after `step` steps; the first is due as soon as the pace can be measured."""
        if self.report_every is None:
            return time.monotonic() - self._lap_start > _REPORT_SECONDS
        return step % self.report_every == 0

    def validation_is_due(self, step: int) -> bool:
        """True if it is time to validate, sample and save after `step` steps."""
        return self.validate_every is not None and step % self.validate_every == 0

    def lap(self, step: int) -> float:
        """End a lap of at least one step, plan anew by its pace, and return its seconds."""
        now = time.monotonic()
        seconds = now - self._lap_start
        fresh = seconds / (step - self._lap_step)
        self._lap_start, self._lap_step = now, step
        self._step_seconds = 0.7 * self._step_seconds + 0.3 * fresh if self._is_known else fresh
        if self._is_starting_up:
            self._is_starting_up = False
            return seconds
        self._is_known = True
        self._replan(step)
        if self.report_every is None:
            self.report_every = max(round(_REPORT_SECONDS / self._step_seconds), 1)
        self._choose_interval(step)
        return seconds

    def follow(self, ranks: Ranks) -> None:
        """Take over the plan and the intervals of rank 0."""
        plan, self.report_every, self.validate_every = ranks.broadcast(
            (self.plan, self.report_every, self.validate_every)
        )
        self.plan = tuple((step, total) for step, total in plan)

    def interrupted(self) -> None:
        """Note that the time since the last lap went into a validation, a sample and a checkpoint."""
        now = time.monotonic()
        self._validation_seconds, self._lap_start = now - self._lap_start, now

    def _replan(self, step: int) -> None:
        if self._budget is None:
            return
        left = self._budget - self.seconds - self._interruption()
        total = step + max(int(left / self._seconds_each()), 0)
        if self._limit is not None:
            total = min(total, self._limit)
        planned = self.total(step)
        if abs(total - planned) > _REPLAN * planned or (total == step and planned > step):
            self.plan = (*(entry for entry in self.plan if entry[0] < step), (step, total))

    def _choose_interval(self, step: int) -> None:
        """Choose the interval of validations by their estimated time, and for good once the first was measured."""
        is_measured = self._validation_seconds is not None
        if self._chooses_interval and (self.validate_every is None or (is_measured and not self._keeps_interval)):
            self.validate_every = self._validation_interval(step)
            self._chooses_interval = not is_measured

    def _validation_interval(self, step: int) -> int:
        costs_too_much = self._interruption() / self._step_seconds / _VALIDATION_SHARE
        too_far_apart = _VALIDATION_SECONDS / self._step_seconds
        return math.ceil(max(min(self.total(step) / _VALIDATIONS, too_far_apart), costs_too_much, 1))

    def _interruption(self) -> float:
        """Seconds of a validation: those of the last one, or an estimate."""
        measured = self._validation_seconds
        return self._validation_steps * self._step_seconds if measured is None else measured

    def _seconds_each(self) -> float:
        """Seconds per step, with its share of the interruptions."""
        return self._step_seconds + (self._interruption() / self.validate_every if self.validate_every else 0.0)


class RecordedSteps(NamedTuple):
    """The steps at which a run reported and validated."""

    reports: frozenset[int]
    validations: frozenset[int]


class RecordedClock(Clock):
    """The clock of a repeat that reports and validates at the steps at which the run did, whatever its pace is."""

    def __init__(self, config: TrainingConfig, plan: Plan, limit: int | None, steps: RecordedSteps) -> None:
        super().__init__(config, plan, limit, repeats=True)
        self._steps = steps

    def report_is_due(self, step: int) -> bool:
        """True if the run reported after `step` steps."""
        return step in self._steps.reports

    def validation_is_due(self, step: int) -> bool:
        """True if the run validated after `step` steps."""
        return step in self._steps.validations
