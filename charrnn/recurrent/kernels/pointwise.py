"""Elementwise steps of the hand-written recurrences: activations and their slopes, zoneout."""

import torch
from torch import Tensor

__all__ = ["HALF", "sigmoid_backward", "spread_", "tanh_", "tanh_backward", "wide", "zoneout_", "zoneout_backward_"]

# These are tensors, as torch would make one from a number at every call, which takes longer than the sum. They are on
# the CPU: every device takes a CPU tensor without dimensions as a number, without a copy.
_MINUS_ONE, HALF = torch.tensor(-1.0, device="cpu"), torch.tensor(0.5, device="cpu")

# x ⊙ y (1 - y) and x ⊙ (1 - y²), each in a single pass.
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


def wide(x: Tensor) -> Tensor:
    """x in at least single precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def tanh_(x: Tensor) -> Tensor:
    """tanh x in place."""
    return spread_(x.add_(x).sigmoid_())  # on a CPU torch computes σ several times as fast as tanh


def spread_(x: Tensor) -> Tensor:
    """2x - 1 in place, which makes tanh y of σ(2y)."""
    return torch.sub(_MINUS_ONE, x, alpha=-2, out=x)


def zoneout_(after: Tensor, before: Tensor, k: Tensor | None, t: int) -> None:
    """Zoneout of step t, in place: units whose k (T, B, H) is 1 keep their value `before`."""
    if k is not None:
        after.lerp_(before, k[t])


def zoneout_backward_(d_after: Tensor, k: Tensor | None, t: int) -> Tensor | None:
    """The backward pass of `zoneout_`: take the gradient of `before` out of d_after, and return it."""
    if k is None:
        return None
    past = d_after * k[t]
    d_after.sub_(past)
    return past
