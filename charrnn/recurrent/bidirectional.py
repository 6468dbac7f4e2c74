"""A core that reads a sequence both ways. For classifying: what is being written has no text after it to read."""

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from charrnn.recurrent.contract import Core, State

__all__ = ["Bidirectional", "BothStates", "last_outputs"]


class BothStates(NamedTuple):
    """The states of either direction: after the last step forward, and after the first position backward."""

    forward: State
    backward: State


@final
class Bidirectional(nn.Module):
    """Two cores of equal sizes over the same sequence, one from each end (Schuster & Paliwal 1997).

    `(inputs, states) -> (outputs, final states)`, as a core, but outputs are (B, T, 2H): forward's H, then
    backward's. Layers of them stack: the next one's cores read vectors of width 2H.

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

        With `lengths` (B,), each from 1 to T, row b ends after lengths[b] steps: the backward core begins there. What
        is beyond is padding, whose outputs mean nothing; final states are then those after T steps, padding included,
        so that many-to-one networks take `last_outputs` instead.
        """
        ahead, ahead_state = self.forward_core(inputs, states.forward)
        turned, back_state = self.backward_core(_turned(inputs, lengths), states.backward)
        return torch.cat([ahead, _turned(turned, lengths)], dim=-1), BothStates(ahead_state, back_state)

    def initial_state(self, batch_size: int) -> BothStates:
        """The zero state of both directions."""
        return BothStates(self.forward_core.initial_state(batch_size), self.backward_core.initial_state(batch_size))


def last_outputs(outputs: Tensor, lengths: Tensor | None = None, *, bidirectional: bool) -> Tensor:
    """What a sequence comes to (B, W), of all outputs (B, T, W): the last of each row; of a bidirectional layer
    forward's last and backward's at the first position."""
    rows = torch.arange(len(outputs), device=outputs.device)
    last = outputs[:, -1] if lengths is None else outputs[rows, lengths - 1]
    if not bidirectional:
        return last
    H = outputs.shape[-1] // 2
    return torch.cat([last[:, :H], outputs[:, 0, H:]], dim=-1)


def _turned(sequence: Tensor, lengths: Tensor | None) -> Tensor:
    """Each row (T, …) of a batch turned round, the first lengths[b] steps of it alone where lengths are given."""
    if lengths is None:
        return sequence.flip(1)
    T = sequence.shape[1]
    steps = torch.arange(T, device=sequence.device)
    place = lengths.unsqueeze(1) - 1 - steps
    place = torch.where(place >= 0, place, steps)  # padding stays where it is
    return sequence[torch.arange(len(sequence), device=sequence.device).unsqueeze(1), place]
