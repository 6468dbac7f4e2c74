"""What hand-written recurrences do element by element: activations and their slopes, dropout, zoneout."""

import torch
from torch import Tensor

__all__ = ["dropped", "keep_", "kept_", "sigmoid_backward", "tanh_", "tanh_backward"]

# x ⊙ y (1 - y) and x ⊙ (1 - y²), each in a single pass.
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


def tanh_(x: Tensor) -> Tensor:
    # tanh x = 2 σ(2x) - 1: on a CPU torch computes σ several times as fast as tanh.
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def keep_(after: Tensor, before: Tensor, k: Tensor | None, t: int) -> None:
    """Zoneout of step t, in place: the units that k (T, B, H) names keep what they were before."""
    if k is not None:
        after.lerp_(before, k[t])


def kept_(d_after: Tensor, k: Tensor | None, t: int) -> Tensor | None:
    """The backward pass of `keep_`: the gradient that goes straight to the step before is taken out of d_after."""
    if k is None:
        return None
    kept = d_after * k[t]
    d_after.sub_(kept)
    return kept


def dropped(x: Tensor, d: Tensor | None) -> Tensor:
    """x under a mask of recurrent dropout, if there is one."""
    return x if d is None else x * d
