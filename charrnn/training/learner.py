"""One step of learning: forward, backward, clipping, and an update, which is skipped if numbers are not finite.

Nothing here waits for the device. Loss and gradient norm stay on it until the loop reads them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.distributed import Ranks
from charrnn.model import CharacterModel
from charrnn.recurrent.stack import StackState
from charrnn.recurrent.states import map_state
from charrnn.runtime import low_type, rounding_products
from charrnn.settings.training import TrainingConfig
from charrnn.text.batches import IGNORED, Batch
from charrnn.text.vocabulary import Ids
from charrnn.training.optimizer import Optimizer
from charrnn.training.parallel import own_batch, own_state, whole_state

__all__ = ["Learner", "begin_anew_where_not_finite", "copied", "looked_up", "loss_scale", "reader"]

_ROOM = 0.25  # the share of a GPU's free memory that a text may take
PIECE = 2**22  # tokens that are sent there at a time


class Learner:
    """A network in training, its optimiser, and the state carried from batch to batch.

    Args:
        model: the network, on the device where it learns.
        config: settings, with nothing left open.
        ids: the text from which the batches are taken.
    """

    def __init__(self, model: CharacterModel, config: TrainingConfig, ids: Ids, ranks: Ranks) -> None:
        self.optimizer = Optimizer(model, config)
        self.state = model.initial_state(1)
        self._model, self._config, self._ranks = model, config, ranks
        self._device = next(model.parameters()).device
        self._low = low_type(config.precision)
        self._read = reader(ids, self._device)

    def learn(self, batch: Batch, step: int, rate: float) -> Tensor:
        """Take a step, counted from 0, at a learning rate; its loss and gradient norm before clipping, (2,).

        If one of these is not finite, weights, moments and their count of steps stay as they are.
        """
        config, model = self._config, self._model
        inputs, targets = self._read(own_batch(batch, self._ranks))
        self._ranks.seed(config.seed, step)
        with rounding_products(self._device, self._low):
            logits, state = model(inputs, self._enter(batch))
            nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
            targets_of_all = int(batch.counts.sum())
            loss = nats / targets_of_all  # its sum over ranks is the mean over the whole batch
        model.zero_grad()
        gradients = self._backward(loss, targets_of_all)
        loss = loss.detach()
        self._ranks.all_reduce([loss, *gradients])
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        numbers = torch.stack([loss, norm])
        self.optimizer.step(step, rate, _is_bad(numbers))
        self.state = begin_anew_where_not_finite(map_state(Tensor.detach, state))
        return numbers

    def _backward(self, loss: Tensor, targets: int) -> list[Tensor]:
        """Compute the gradients of a mean loss over `targets` targets; the parameters hold them, too."""
        scale = loss_scale(targets) if self._low is torch.float16 else 1
        (loss * scale if scale > 1 else loss).backward()
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None]
        if scale > 1:
            torch._foreach_mul_(gradients, 1 / scale)
        return gradients

    def state_of_all(self, batch: Batch) -> StackState:
        """The state of all ranks' rows after a batch."""
        return whole_state(self.state, len(batch.offsets), self._ranks)

    def _enter(self, batch: Batch) -> StackState:
        """The state from which this rank reads its rows of a batch, made from the state after the batch before."""
        if batch.state == "zero":
            return own_state(self._model.initial_state(len(batch.offsets)), self._ranks)
        if batch.state == "shift":
            whole = self.state_of_all(batch)
            shifted = map_state(lambda part: torch.cat([torch.zeros_like(part[:1]), part[:-1]]), whole)
            return own_state(shifted, self._ranks)
        return self.state


def loss_scale(targets: int) -> int:
    """The factor for a mean loss over `targets` targets with which fp16 holds its gradients: a power of two.

    Gradients of logits are about 1/targets, and fp16 loses precision below 2^-14; with the factor they are about 1/4.
    A gradient of a weight overflows above 2^16 / factor, which skips the step.
    """
    return 1 << max(targets.bit_length() - 3, 0)


def begin_anew_where_not_finite(state: StackState) -> StackState:
    """The state with zero in all layers for every row that is not finite in one of them.

    Rows do not affect each other, so finite rows are still right; but a row that is zero in some layers only would be a
    state that no text leads to.
    """
    whole = torch.stack([part for layer in state for part in layer])
    unsound = (whole * 0).sum((0, 2)).isnan()  # (B,)
    parts = iter(whole.masked_fill_(unsound[:, None], 0))
    sound: StackState = map_state(lambda _: next(parts), state)
    return sound


def reader(ids: Ids, device: torch.device) -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """A function that makes a batch's inputs and targets, (B, T) each, on a device.

    A GPU that has room for the whole text gets it once, and batches are looked up there.
    """
    if device.type == "cuda":
        # torch indexes no other unsigned integers
        dtype: np.dtype[np.integer[Any]] = np.dtype(np.uint8) if ids.dtype == np.uint8 else np.dtype(np.int32)
        if ids.size * dtype.itemsize <= _ROOM * torch.cuda.mem_get_info(device)[0]:
            return partial(looked_up, copied(ids, dtype, device))
    return lambda batch: (_sent(batch.inputs, device), _sent(batch.targets, device))


def copied(ids: Ids, dtype: np.dtype[np.integer[Any]], device: torch.device) -> Tensor:
    """Copy a text (N,) to a device, as another type, in pieces, so that the host never holds it twice."""
    copy = torch.empty(ids.size, dtype=torch.from_numpy(np.empty(0, dtype)).dtype, device=device)
    for start in range(0, ids.size, PIECE):
        copy[start : start + PIECE] = torch.from_numpy(ids[start : start + PIECE].astype(dtype))
    return copy


def looked_up(ids: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a batch, (B, T) each, looked up in a copy of its text (N,) on the device."""
    offsets, counts = (_sent(numbers, ids.device)[:, None] for numbers in (batch.offsets, batch.counts))
    columns = torch.arange(batch.length, device=ids.device)
    places = offsets + torch.minimum(columns, (counts - 1).clamp(min=0))
    return ids[places].long(), torch.where(columns < counts, ids[places + 1].long(), IGNORED)


def _sent(array: NDArray[np.int64], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _is_bad(numbers: Tensor) -> Tensor:
    """1 if one of the numbers is not finite, else 0."""
    return 1.0 - numbers.isfinite().all().float()
