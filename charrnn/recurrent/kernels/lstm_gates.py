"""The gates and cell state of all LSTMs with a hand-written backward pass: one step, and its slopes."""

import torch
from torch import Tensor

from charrnn.recurrent.equations import dropped
from charrnn.recurrent.kernels.pointwise import sigmoid_backward, spread_, tanh_backward

__all__ = ["gate_slopes", "next_cell_state"]


def next_cell_state(a: Tensor, c: Tensor, d: Tensor | None, out: Tensor) -> Tensor:
    """Put c_t (B, H) into `out`, from c_{t-1} and a (B, 4H) before σ and tanh, which becomes i, f, g, o in place."""
    i, f, g, _ = a.chunk(4, dim=-1)
    g.add_(g)  # tanh x is of σ(2x), so that one σ serves all
    a.sigmoid_()
    spread_(g)
    return torch.mul(f, c, out=out).addcmul_(i, dropped(d, g))


def gate_slopes(gates: Tensor, cs: Tensor, squashed: Tensor, d: Tensor | None) -> tuple[Tensor, Tensor]:
    """∂c_t/∂a of i, f, g and ∂h_t/∂a of o (T, B, 4, H), and the slope of h_t by tanh's input, for all steps at once.

    The backward loop multiplies them by the arriving gradient, which makes them the gradients. `gates` are i, f, g, o
    (T, B, 4H), `cs` the cell states before each step, and `squashed` the tanh that o scales, (T, B, H) each.
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    slopes = gates.new_empty(*squashed.shape[:2], 4, squashed.shape[2])
    sigmoid_backward(dropped(d, g), i, grad_input=slopes[:, :, 0])
    sigmoid_backward(cs, f, grad_input=slopes[:, :, 1])
    tanh_backward(dropped(d, i), g, grad_input=slopes[:, :, 2])
    sigmoid_backward(squashed, o, grad_input=slopes[:, :, 3])
    return slopes, torch.ops.aten.tanh_backward(o, squashed)
