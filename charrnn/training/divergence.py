"""Numbers that are not finite: which steps are skipped for them, when a training gives up, and what it then leaves."""

import math
from collections import deque
from typing import Any

import torch
from torch import Tensor

from charrnn.checkpoint.format import Counters
from charrnn.checkpoint.store import Run
from charrnn.config import RunConfig
from charrnn.errors import DivergedError, ResourceError
from charrnn.events import Skipped
from charrnn.recurrent.stack import StackState
from charrnn.runtime import versions
from charrnn.text.batches import Batch

__all__ = ["MOST_SKIPPED_IN_A_ROW", "Watch", "begin_anew_where_not_finite"]

# An odd batch spoils one step, or two when its state is carried on. As a skipped step changes no weight, five batches
# in a row that all fail fail for the weights, and so will those that follow.
MOST_SKIPPED_IN_A_ROW = 5

_REMEMBERED = 100  # steps


class Watch:
    """Looks after the numbers of a training's steps.

    Args:
        run: where to leave `diverged.json`.
        counters: how many steps had been skipped when the training was interrupted, if it was.
        steps_per_epoch: for saying where in the text a step was.
    """

    def __init__(self, run: Run, counters: Counters, steps_per_epoch: int) -> None:
        self.skipped, self.skipped_in_a_row = counters.skipped, counters.skipped_in_a_row
        self._run = run
        self._steps_per_epoch = steps_per_epoch
        self._offsets: list[int] = []
        self._last_steps: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    def judge(self, step: int, loss: float, gradient_norm: float, learning_rate: float, batch: Batch) -> Skipped | None:
        """Note the numbers of a step before it is taken; what to tell when it must not be."""
        self._offsets = batch.offsets.tolist()
        noted = {"step": step, "loss": loss, "gradient_norm": gradient_norm, "learning_rate": learning_rate}
        self._last_steps.append(noted)
        if math.isfinite(loss) and math.isfinite(gradient_norm):
            self.skipped_in_a_row = 0
            return None
        self.skipped, self.skipped_in_a_row = self.skipped + 1, self.skipped_in_a_row + 1
        return Skipped(step, loss, gradient_norm, learning_rate, self.skipped, self.skipped_in_a_row)

    def diverged(self, why: str, config: RunConfig) -> DivergedError:
        """The error to raise, after `diverged.json` was written: all that it takes to see and to repeat it.

        `config` has the plan so far, so that a run of it has the same learning rates. The batch of the last step is
        number `batch_of_epoch` of its epoch; both count from 0, while steps count from 1. `token_offsets` say where in
        the training text its rows begin.
        """
        last, latest = self._last_steps[-1], self._run.pointed("latest")
        epoch, batch = divmod(last["step"] - 1, self._steps_per_epoch)
        record = {
            "why": why,
            **last,
            "epoch": epoch,
            "batch_of_epoch": batch,
            "token_offsets": self._offsets,
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "checkpoint": latest and latest.name,
            "last_steps": list(self._last_steps),
            "configuration": config.to_mapping(),
            "versions": versions(),
        }
        try:
            written = f"{self._run.write_divergence(record)} has what led to it"
        except ResourceError as error:  # which is not what the training ended for
            written = str(error)
        training = config.training
        return DivergedError(
            f"the training diverged at step {last['step']:,}: {why}\n"
            f"{f'{latest} is from before' if latest else 'nothing had been saved yet'}; {written}\n"
            f"train again with a lower --learning-rate (it was {training.learning_rate:g}), "
            f"then with a lower --gradient-clip (it was {training.gradient_clip:g})"
        )


def begin_anew_where_not_finite(state: StackState) -> StackState:
    """The state with every row zero, in all layers, that is not finite in one.

    Rows are read apart from each other, so that of a sound one is still what its text has led to; and half a row would
    be a state that no text leads to.
    """
    sound = torch.stack([part.isfinite().all(1) for layer in state for part in layer]).all(0)[:, None]  # (B, 1)

    def mended(part: Tensor) -> Tensor:
        return torch.where(sound, part, torch.zeros_like(part))

    return tuple(type(layer)(*map(mended, layer)) for layer in state)
