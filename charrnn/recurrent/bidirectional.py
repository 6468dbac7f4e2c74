"""A core that reads a sequence both ways. It is for classifying: while text is written, nothing follows to be read."""

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from charrnn.recurrent.contract import Core
from charrnn.recurrent.states import State

__all__ = ["Bidirectional", "BothStates", "last_outputs"]


class BothStates(NamedTuple):
    """The states of both directions: after the last position forward, and after the first position backward."""

    forward: State
    backward: State


@final
class Bidirectional(nn.Module):
    """Two cores of equal sizes over the same sequence, one from each end (Schuster & Paliwal 1997).

    `(inputs, states) -> (outputs, final states)`, as a core, but outputs are (B, T, 2H): forward's H, then
    backward's. Such layers can be stacked: the cores of the next one read vectors of width 2H.

    Raises:
        ValueError: the cores differ in input or hidden size.
    """

    def __init__(self, forward_core: Core, backward_core: Core) -> None:
        super().__init__()
        sizes = [(core.input_size, core.hidden_size) for core in (forward_core, backward_core)]
        if sizes[0] != sizes[1]:
            raise ValueError(f"both directions need the same input and hidden size, got {sizes[0]} and {sizes[1]}")
        self.forward_core = forward_core
        self.backward_core = backward_core

    def forward(self, inputs: Tensor, states: BothStates, lengths: Tensor | None = None) -> tuple[Tensor, BothStates]:
        """Run over inputs (B, T, D), or token ids (B, T).

        With `lengths` (B,), each from 1 to T, row b ends after lengths[b] steps: the backward core begins there. The
        rest is padding, whose outputs mean nothing; final states are then those after T steps, padding included, so
        many-to-one networks take `last_outputs` instead.
        """
        ahead, ahead_state = self.forward_core(inputs, states.forward)
        turned, back_state = self.backward_core(_turned(inputs, lengths), states.backward)
        return torch.cat([ahead, _turned(turned, lengths)], dim=-1), BothStates(ahead_state, back_state)

    def initial_state(self, batch_size: int) -> BothStates:
        """The zero state of both directions."""
        return BothStates(self.forward_core.initial_state(batch_size), self.backward_core.initial_state(batch_size))


def last_outputs(outputs: Tensor, lengths: Tensor | None = None, *, bidirectional: bool) -> Tensor:
    """The last output of each row (B, W), of outputs (B, T, W); of a bidirectional layer, forward's last output and
    backward's output at the first position."""
    rows = torch.arange(len(outputs), device=outputs.device)
    last = outputs[:, -1] if lengths is None else outputs[rows, lengths - 1]
    if not bidirectional:
        return last
    H = outputs.shape[-1] // 2
    return torch.cat([last[:, :H], outputs[:, 0, H:]], dim=-1)


def _turned(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """A batch with each row (T, …) reversed in time; with lengths, only the first lengths[b] steps of row b."""
    if lengths is None:
        return sequence.flip(1)
    T = sequence.shape[1]
    steps = torch.arange(T, device=sequence.device)
    place = lengths.unsqueeze(1) - 1 - steps
    place = torch.where(place >= 0, place, steps)  # padding stays where it is
    return sequence[torch.arange(len(sequence), device=sequence.device).unsqueeze(1), place]
