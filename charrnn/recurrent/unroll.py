"""The slow twin: a cell's equations stepped through time by a plain Python loop, with autograd's own gradients."""

from collections.abc import Mapping

import torch
from torch import Tensor

from charrnn.recurrent.contract import State
from charrnn.recurrent.equations import Cell

__all__ = ["unroll"]


def unroll(cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: State) -> tuple[Tensor, State]:
    """Run `cell` over inputs (B, T, D), or token ids (B, T), from `state`: outputs (B, T, H) and the last state."""
    projected = cell.project(inputs, weights)
    outputs = []
    for t in range(inputs.shape[1]):
        output, state = cell.step(torch, projected[:, t], state, weights)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state
