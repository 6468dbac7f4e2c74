"""Events of a training as plain values: the loop yields them, the command line draws them, tests read them.

Losses are in nats per character, times in seconds, rates in characters per second.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from charrnn.messages import for_python

__all__ = ["Began", "Event", "Finished", "Notice", "Reported", "Sampled", "Saved", "Skipped", "Validated"]


@dataclass(frozen=True)
class Notice:
    """A choice or change made on behalf of the user; `message` has settings marked (see `messages`)."""

    message: str

    @property
    def text(self) -> str:
        """The message, in which settings have their Python names."""
        return for_python(self.message)


@dataclass(frozen=True)
class Began:
    """Everything is ready and the first step comes next."""

    run: Path
    step: int
    model: str
    parameters: int
    training_characters: int
    validation_characters: int
    vocabulary_size: int
    device: str


@dataclass(frozen=True)
class Reported:
    """A report on the steps since the last one."""

    step: int
    total_steps: int
    epoch: float
    loss: float
    gradient_norm: float
    learning_rate: float
    characters_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Skipped:
    """A step was skipped, as its loss or gradient was not finite; it is the `skipped`-th of the run."""

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    skipped: int
    skipped_in_a_row: int


@dataclass(frozen=True)
class Validated:
    """The loss over the whole validation text."""

    step: int
    loss: float
    best: bool


@dataclass(frozen=True)
class Sampled:
    """A short text written by the network as it is now; it is not yet safe for a terminal."""

    step: int
    text: str


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on the disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class Finished:
    """The training is over; its last checkpoint is saved."""

    reason: Literal["budget", "patience", "stopped"]
    run: Path
    step: int
    seconds: float
    loss: float | None
    best_loss: float | None
    best_step: int | None
    skipped: int = 0


Event = Notice | Began | Reported | Skipped | Validated | Sampled | Saved | Finished
