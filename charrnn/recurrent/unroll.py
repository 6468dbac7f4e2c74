"""The slow twin: a cell's equations stepped through time by a plain Python loop, with autograd's own gradients."""

from collections.abc import Mapping

import torch
from torch import Tensor

from charrnn.recurrent.equations import SILENT, Cell, Noise
from charrnn.recurrent.states import State

__all__ = ["unroll"]


def unroll(
    cell: Cell, weights: Mapping[str, Tensor], inputs: Tensor, state: State, noise: Noise = SILENT
) -> tuple[Tensor, State]:
    """Run `cell` over inputs (B, T, D), or token ids (B, T), from `state`: outputs (B, T, H) and the last state.

    `noise` has k_h and k_c for all steps, (T, B, H).
    """
    projected = cell.project(inputs, weights)
    outputs = []
    for t in range(inputs.shape[1]):
        at_t = Noise(noise.d, *(None if k is None else k[t] for k in (noise.k_h, noise.k_c)))
        output, state = cell.step(torch, projected[:, t], state, weights, at_t)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state
