"""The minimal long short-term memory (Feng et al. 2024)."""

from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from charrnn.recurrent import scan_equations
from charrnn.recurrent.block import ScanCore, Weights, causal_convolution, positive, rms_norm
from charrnn.recurrent.equations import Noise, dropped
from charrnn.recurrent.kernels.pointwise import sigmoid_backward, wide
from charrnn.recurrent.states import State

__all__ = ["MinLSTM"]


@final
class MinLSTM(ScanCore):
    """h_t = f / (f + i) ⊙ h_{t-1} + i / (f + i) ⊙ g(W_h v + b_h)."""

    cell = scan_equations.min_lstm

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Spread b_i from 0 down to -3 and b_f from 0 up to 3: memories of about one to twenty steps."""
        super().reset_parameters()
        spread = torch.linspace(0, 3, self.hidden_size)
        self.weights()["b_f"].copy_(spread)
        self.weights()["b_i"].copy_(-spread)

    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        """Hidden states (T, B, H) of all steps by a scan, and the state after them."""
        v, inputs = causal_convolution(rms_norm(x, x.dtype), state[1:], weights["C"])
        f, i = (wide(F.linear(v, weights[f"W_{gate}"], weights[f"b_{gate}"])) for gate in "fi")
        kept, share = _Shares.apply(f, i)
        candidate = positive(wide(F.linear(v, weights["W_h"], weights["b_h"])))
        h, state = self.scanned(kept, share * dropped(noise.d, candidate), state, inputs, noise, positive=True)
        return h.to(x.dtype), state


class _Shares(Function):
    """f / (f + i) and i / (f + i) of all steps, from f and i before σ.

    Where both are below -40, σ is nearly eˣ: the larger is raised to -40 and the other by as much, which keeps their
    quotient.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        """Both shares (T, B, H), which add up to 1."""
        beyond = torch.maximum(f, i).clamp_(max=-40).add_(40)
        f, i = (f - beyond).sigmoid_(), (i - beyond).sigmoid_()
        share = i / (f + i)
        ctx.save_for_backward(f, i, share)
        return 1 - share, share

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """∂f and ∂i, (T, B, H) each, before σ."""
        f, i, share = ctx.saved_tensors
        d_kept, d_share = gradients
        d = d_share - d_kept
        sigmoid_backward(d, share, grad_input=d)
        return (f * d).sub_(d), torch.addcmul(d, d, i, value=-1)
