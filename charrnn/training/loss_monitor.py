"""Numbers that are not finite: skipped steps, the end of a training that diverges, and the record it leaves."""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from charrnn.checkpoint.format import Counters
from charrnn.checkpoint.store import Run
from charrnn.errors import DivergedError, ResourceError
from charrnn.events import Skipped
from charrnn.messages import named
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batch

__all__ = ["MOST_SKIPPED_IN_A_ROW", "LossMonitor", "NotFiniteError"]

# An odd batch spoils one step, or two if its state is carried on. As a skipped step changes no weight, five batches in
# a row that all fail do so because of the weights, and so will those that follow.
MOST_SKIPPED_IN_A_ROW = 5

_REMEMBERED = 100  # steps
_UNREAD = 16  # steps, at most, that a GPU may be ahead


class NotFiniteError(ArithmeticError):
    """A loss or a weight, or a number made from them, is not finite, and no further step will mend it.

    Any code that sees such a number raises this with a few words about it; the loop ends the training as diverged.
    """


class LossMonitor:
    """The losses and gradient norms of a training's steps, and the counts of skipped steps.

    The numbers stay on the device until they are read. Reading costs nothing on a CPU; on a GPU it waits for all work
    begun there, so several steps are read at once.

    Args:
        run: the run that gets `diverged.json`.
        counters: the counts at the interruption of a training that goes on, else zeros.
        steps_per_epoch: tells the place of a step in the text.
    """

    def __init__(self, run: Run, counters: Counters, steps_per_epoch: int) -> None:
        self.characters = counters.characters  # of steps that were taken
        self.skipped, self.skipped_in_a_row = counters.skipped, counters.skipped_in_a_row
        self.gradient_norm = 0.0  # of the last step that was taken
        self._run = run
        self._steps_per_epoch = steps_per_epoch
        self._unread: list[tuple[int, float, Batch, Tensor]] = []
        self._lap_characters, self._lap_loss = 0, 0.0
        self._batch: Batch | None = None  # of the last step that was read
        self._last_steps: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    def add(self, step: int, learning_rate: float, batch: Batch, numbers: Tensor) -> None:
        """Note a step that was done, with its loss and gradient norm `numbers` (2,), on any device."""
        self._unread.append((step, learning_rate, batch, numbers))

    def is_due(self, device: str) -> bool:
        """True if enough steps are unread to read them now: 1 on a CPU, 16 on a GPU."""
        return len(self._unread) >= (1 if device == "cpu" else _UNREAD)

    def read(self) -> Iterator[Skipped]:
        """Read the numbers of the steps that were done, count those that were taken, and yield the others.

        Raises:
            NotFiniteError: too many steps in a row were skipped; the last of them has been yielded.
        """
        if not self._unread:
            return
        read = torch.stack([numbers for *_, numbers in self._unread]).tolist()
        for (step, learning_rate, batch, _), (loss, norm) in zip(self._unread, read, strict=True):
            if skipped := self.judge(step, loss, norm, learning_rate, batch):
                yield skipped
                if skipped.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
                    raise NotFiniteError(
                        f"{skipped.skipped_in_a_row} steps in a row had a loss or a gradient that was not finite, "
                        f"the last a loss of {skipped.loss:g} and a gradient norm of {skipped.gradient_norm:g}"
                    )
            else:
                targets = int(batch.counts.sum())
                self.characters += targets
                self._lap_characters += targets
                self._lap_loss += loss * targets
                self.gradient_norm = norm
        self._unread.clear()

    def lap(self) -> tuple[int, float]:
        """The number of characters of the steps taken since the last lap, and their mean loss."""
        characters, loss = self._lap_characters, self._lap_loss
        self._lap_characters, self._lap_loss = 0, 0.0
        return characters, loss / max(characters, 1)

    @property
    def last_loss(self) -> float:
        """The loss of the last step that was read."""
        return float(self._last_steps[-1]["loss"])

    def judge(self, step: int, loss: float, gradient_norm: float, learning_rate: float, batch: Batch) -> Skipped | None:
        """Note the numbers of a step; the event if they are not finite, so that it was skipped."""
        self._batch = batch
        noted = {"step": step, "loss": loss, "gradient_norm": gradient_norm, "learning_rate": learning_rate}
        self._last_steps.append(noted)
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self.skipped_in_a_row = 0
            return None
        self.skipped, self.skipped_in_a_row = self.skipped + 1, self.skipped_in_a_row + 1
        return Skipped(step, loss, gradient_norm, learning_rate, self.skipped, self.skipped_in_a_row)

    def diverged(self, why: str, config: RunConfig, versions: Mapping[str, str]) -> DivergedError:
        """Write `diverged.json`, with all that is needed to understand and repeat it; the error to raise.

        `config` has the plan so far, so that a run with it has the same learning rates. The batch of the last step is
        number `batch_of_epoch` of its epoch; both count from 0, while steps count from 1. `token_offsets` are the
        beginnings of its rows in the training text.
        """
        assert self._batch is not None
        last, latest = self._last_steps[-1], self._run.pointed("latest")
        epoch, batch = divmod(last["step"] - 1, self._steps_per_epoch)
        record = {
            "why": why,
            **last,
            "epoch": epoch,
            "batch_of_epoch": batch,
            "token_offsets": self._batch.offsets.tolist(),
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "checkpoint": latest and latest.name,
            "last_steps": list(self._last_steps),
            "configuration": config.to_mapping(),
            "versions": dict(versions),
        }
        try:
            written = f"{self._run.write_divergence(record)} has what led to it"
        except ResourceError as error:  # it is not the reason why the training ended
            written = error.message
        training = config.training
        return DivergedError(
            f"the training diverged at step {last['step']:,}: {why}\n"
            f"{f'{latest} is from before' if latest else 'nothing had been saved yet'}; {written}\n"
            f"train again with a lower {named('learning_rate')} (it was {training.learning_rate:g}), "
            f"then with a lower {named('gradient_clip')} (it was {training.gradient_clip:g})"
        )
