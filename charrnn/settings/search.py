"""The settings of the search of a comparison: cells, and for each a grid of learning rates and sizes."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.recurrent.registry import CORES
from charrnn.settings.fields import Settings, setting
from charrnn.settings.model import check_cell
from charrnn.settings.training import TrainingConfig, parse_duration

__all__ = ["Search"]

_Number = TypeVar("_Number", int, float)

_SEARCH = "Search"
_AROUND = (0.5, 1.0, 2.0)  # factors of the usual learning rate, if no rates are given
_TRIALS_IN_A_RUN = 6  # budget of a run divided by that of a trial


def _numbers(kind: Callable[[str], _Number], name: str, example: str) -> Callable[[str], tuple[_Number, ...]]:
    """A parser of numbers with commas between; messages have the setting `name` and the `example`."""

    def parse(text: str) -> tuple[_Number, ...]:
        """The numbers of a text. UsageError if it is anything else."""
        try:
            return tuple(kind(part) for part in text.split(","))
        except ValueError as error:
            wanted = f"{named(name)} must be numbers with commas between, as {example}"
            raise UsageError(f"{wanted}, got {text!r:.40}") from error

    return parse


def _cells(text: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in text.split(","))


def _trial_seconds(text: str) -> float:
    """A duration in seconds, as `parse_duration` reads it, but it may be 0."""
    return 0.0 if re.fullmatch("0+[smhd]?", text) else parse_duration(text)


@dataclass(frozen=True)
class Search(Settings):
    """The grid of every cell, its seeds, and the budget of a trial; of two budgets the one that ends first counts.

    If sizes are absent, the size is the preset's; if learning rates are absent, they are the preset's, its half and its
    double; an absent budget is a sixth of the run's. A budget of 0 means no search, and the preset's learning rate.
    """

    cells: tuple[str, ...] = setting(
        tuple(CORES),
        "Cores to compare, with commas between.",
        panel=_SEARCH,
        metavar="CELLS",
        parse=_cells,
    )
    learning_rates: tuple[float, ...] | None = setting(
        None,
        "Learning rates to try, such as 3e-3,6e-3 (default: by cell, half and double).",
        panel=_SEARCH,
        metavar="RATES",
        parse=_numbers(float, "learning_rates", "3e-3,6e-3"),
        above=0,
        most=10,
    )
    hidden_sizes: tuple[int, ...] | None = setting(
        None,
        "Sizes to try, such as 128,256 (default: as for train).",
        panel=_SEARCH,
        metavar="SIZES",
        parse=_numbers(int, "hidden_sizes", "128,256"),
        least=1,
        most=65536,
    )
    seeds: int = setting(
        1,
        f"Runs of each cell, with seeds from {named('seed')} on; rows have their mean and spread.",
        panel=_SEARCH,
        least=1,
        most=1000,
    )
    trial_time: float | None = setting(
        None,
        f"Time of each trial (default: a sixth of {named('time')}). 0 tries nothing.",
        panel=_SEARCH,
        metavar="TIME",
        parse=_trial_seconds,
        least=0,
    )
    trial_steps: int | None = setting(
        None,
        f"Steps of each trial (default: a sixth of {named('steps')}). 0 tries nothing.",
        panel=_SEARCH,
        least=0,
        below=2**63,
    )

    def __post_init__(self) -> None:
        for cell in self.cells:
            check_cell(cell, setting="cells")
        super().__post_init__()
        for name in ("cells", "learning_rates", "hidden_sizes"):
            values: Sequence[object] | None = getattr(self, name)
            if values is not None and not values:
                raise UsageError(f"{named(name)} needs at least one, got none")
            if twice := [value for place, value in enumerate(values or ()) if value in (values or ())[:place]]:
                raise UsageError(f"{named(name)} has {twice[0]} twice; once is enough")
            if self.is_off and name != "cells" and values and len(values) > 1:
                raise UsageError(f"without trials there is no choice between {len(values)} {named(name)}; give one")

    @property
    def is_off(self) -> bool:
        """True if there are no trials: a budget is 0."""
        return self.trial_time == 0 or self.trial_steps == 0

    def within(self, run: TrainingConfig) -> Self:
        """The search with a budget for trials: its own, or else a sixth of that of `run`, in time, steps or both."""
        if self.trial_time is not None or self.trial_steps is not None:
            return self
        return replace(
            self,
            trial_time=run.time and run.time / _TRIALS_IN_A_RUN,
            trial_steps=run.steps and -(-run.steps // _TRIALS_IN_A_RUN),
        )

    def rates(self, usual: float) -> tuple[float, ...]:
        """The learning rates to try, given the preset's `usual` one."""
        return self.learning_rates or tuple(usual * factor for factor in ((1.0,) if self.is_off else _AROUND))
