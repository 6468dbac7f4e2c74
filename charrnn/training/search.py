"""What a comparison tries: its cells, and for each of them a grid of learning rates and sizes. Knows no torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from charrnn.config import TrainingConfig, check_cell, check_range, flag
from charrnn.errors import UsageError
from charrnn.recurrent.registry import CORES

__all__ = ["Search"]

_AROUND = (0.5, 1.0, 2.0)  # times the usual learning rate, where none are given
_TRIALS_IN_A_RUN = 6  # by their budgets


@dataclass(frozen=True)
class Search:
    """The grid of every cell, and the budget of a trial; of two budgets the one that ends first counts.

    Absent sizes are the one that the preset chooses, absent learning rates that of the preset, its half and its double;
    an absent budget is a sixth of the run's. A budget of 0 is no search: the preset's learning rate.
    """

    cells: tuple[str, ...] = tuple(CORES)
    learning_rates: tuple[float, ...] | None = None
    hidden_sizes: tuple[int, ...] | None = None
    trial_time: float | None = None
    trial_steps: int | None = None

    def __post_init__(self) -> None:
        for cell in self.cells:
            check_cell(cell, option="--cells")
        for rate in self.learning_rates or ():
            check_range("learning_rates", rate, above=0, most=10)
        for size in self.hidden_sizes or ():
            check_range("hidden_sizes", size, least=1, most=65536)
        check_range("trial_time", self.trial_time, least=0)
        check_range("trial_steps", self.trial_steps, least=0, below=2**63)
        for name in ("cells", "learning_rates", "hidden_sizes"):
            values: Sequence[object] | None = getattr(self, name)
            if values is not None and not values:
                raise UsageError(f"{flag(name)} needs at least one, got none")
            if twice := [value for place, value in enumerate(values or ()) if value in (values or ())[:place]]:
                raise UsageError(f"{flag(name)} has {twice[0]} twice; once is enough")
            if self.is_off and name != "cells" and values and len(values) > 1:
                raise UsageError(f"without trials there is no choice between {len(values)} {flag(name)}; give one")

    @property
    def is_off(self) -> bool:
        """Whether there are to be no trials."""
        return self.trial_time == 0 or self.trial_steps == 0

    def within(self, run: TrainingConfig) -> Self:
        """The same with a budget for trials, if need be from that of a run, which has a time or a number of steps."""
        if self.trial_time is not None or self.trial_steps is not None:
            return self
        return replace(
            self,
            trial_time=run.time and run.time / _TRIALS_IN_A_RUN,
            trial_steps=run.steps and -(-run.steps // _TRIALS_IN_A_RUN),
        )

    def rates(self, usual: float) -> tuple[float, ...]:
        """The learning rates that are tried where the preset would choose the `usual` one."""
        return self.learning_rates or tuple(usual * factor for factor in ((1.0,) if self.is_off else _AROUND))
