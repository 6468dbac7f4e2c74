"""What all LSTMs with a hand-written backward pass share: their four gates and cell state, one step and its slopes."""

import torch
from torch import Tensor

from charrnn.recurrent.equations import dropped
from charrnn.recurrent.kernels.pointwise import sigmoid_backward, spread_, tanh_backward

__all__ = ["gate_slopes", "next_cell_state"]


def next_cell_state(a: Tensor, c: Tensor, d: Tensor | None, out: Tensor) -> Tensor:
    """c_t (B, H) in `out`, from a (B, 4H) before σ and tanh, which turns into i, f, g, o in place, and c_{t-1}."""
    i, f, g, _ = a.chunk(4, dim=-1)
    g.add_(g)  # tanh x is of σ(2x), so that one σ serves all
    a.sigmoid_()
    spread_(g)
    return torch.mul(f, c, out=out).addcmul_(i, dropped(d, g))


def gate_slopes(gates: Tensor, cs: Tensor, squashed: Tensor, d: Tensor | None) -> tuple[Tensor, Tensor]:
    """∂c_t/∂a of i, f and g and ∂h_t/∂a of o (T, B, 4, H), and ∂h_t/∂a of what tanh reads, for all steps at once.

    The backward loop scales them by the gradient that arrives, which makes them the gradients themselves. `gates` are
    i, f, g, o (T, B, 4H), `cs` the cell states before each step and `squashed` what o scales, (T, B, H).
    """
    i, f, g, o = gates.chunk(4, dim=-1)
    slopes = gates.new_empty(*squashed.shape[:2], 4, squashed.shape[2])
    sigmoid_backward(dropped(d, g), i, grad_input=slopes[:, :, 0])
    sigmoid_backward(cs, f, grad_input=slopes[:, :, 1])
    tanh_backward(dropped(d, i), g, grad_input=slopes[:, :, 2])
    sigmoid_backward(squashed, o, grad_input=slopes[:, :, 3])
    return slopes, torch.ops.aten.tanh_backward(o, squashed)
