"""The real-gated linear recurrent unit in the residual block of Hawk (De et al. 2024)."""

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from charrnn.recurrent import scan_equations
from charrnn.recurrent.block import ScanCore, Weights, causal_convolution, gelu, rms_norm
from charrnn.recurrent.equations import Noise, dropped
from charrnn.recurrent.kernels.pointwise import sigmoid_backward, wide
from charrnn.recurrent.scan_equations import DECAY, RMS_NORM_EPSILON
from charrnn.recurrent.states import State

__all__ = ["RGLRU"]


@final
class RGLRU(ScanCore):
    """h_t = a ⊙ h_{t-1} + √(1 - a²) ⊙ i ⊙ v, a = exp(-8 softplus(Λ) ⊙ r)."""

    cell = scan_equations.rg_lru

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set Λ so that with the gate r open, a is evenly spread from 0.9 to 0.999, as in the paper."""
        super().reset_parameters()
        open_a = torch.linspace(0.9, 0.999, self.hidden_size, dtype=torch.float64)
        self.weights()["Lambda"].copy_((-open_a.log() / DECAY).expm1().log())  # softplus backwards

    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        """Hidden states of all steps by a scan, times gelu(W_g norm(x)), (T, B, H), and the state after them."""
        normed = rms_norm(x, x.dtype)
        v, inputs = causal_convolution(F.linear(normed, weights["W_u"]), state[1:], weights["C"])
        r, i = (wide(_blockwise(v, weights[f"W_{gate}"], weights[f"b_{gate}"])) for gate in "ri")
        log_open = -DECAY * F.softplus(wide(weights["Lambda"]), threshold=math.inf)
        a, b = _DecayAndInput.apply(r, i, wide(dropped(noise.d, v)), log_open)
        h, state = self.scanned(a, b, state, inputs, noise, positive=False)
        return h.to(x.dtype) * gelu(F.linear(normed, weights["W_g"])), state

    def perceive(self, normed: Tensor, weights: Weights) -> Tensor:
        """gelu(W_1 x + b_1) ⊙ W_3 x, (T, B, M)."""
        return super().perceive(normed, weights) * F.linear(normed, weights["W_3"])


class _DecayAndInput(Function):
    """a and √(1 - a²) ⊙ i ⊙ v of all steps, from r and i before σ, v, and log a for an open r."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, i: Tensor, v: Tensor, log_open: Tensor) -> tuple[Tensor, Tensor]:
        """a and the scaled input, (T, B, H) each."""
        r, i = r.sigmoid(), i.sigmoid()
        below = (r * log_open).expm1_()  # a - 1, from which 1 - a² comes without cancellation
        a = below + 1
        # The small number keeps the slope of the root finite where a = 1.
        norm = torch.addcmul(below, below, a, out=below).neg_().add_(RMS_NORM_EPSILON**2).sqrt_()
        ctx.save_for_backward(r, i, v, log_open, a, norm)
        return a, (i * v).mul_(norm)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """Gradients of r and i before σ, of v (T, B, H each), and of log a for an open r (H,)."""
        r, i, v, log_open, a, norm = ctx.saved_tensors
        d_a, d_b = gradients
        d_norm, d_iv = (i * v).mul_(d_b), d_b * norm
        d_v, d_i = d_iv * i, d_iv.mul_(v)
        d_log_a = torch.addcmul(d_a, d_norm.div_(norm), a, value=-1).mul_(a)  # ∂norm/∂a = -a / norm, nearly
        d_log_open = torch.sum((d_log_a * r).flatten(0, 1), 0)
        d_r = d_log_a.mul_(log_open)
        return sigmoid_backward(d_r, r, grad_input=d_r), sigmoid_backward(d_i, i, grad_input=d_i), d_v, d_log_open


def _blockwise(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """W x + b for x (T, B, H) and a block-diagonal W (blocks, H / blocks, H / blocks)."""
    W = _merged(W)
    blocks, size, _ = W.shape
    rows = x.reshape(-1, blocks, size).transpose(0, 1)
    return torch.baddbmm(b.view(blocks, 1, size), rows, W.transpose(1, 2)).transpose(0, 1).reshape(x.shape)


def _merged(W: Tensor) -> Tensor:
    """The same matrix with neighbouring blocks merged, zeros between them, up to a width of 16, which is faster."""
    blocks, size, _ = W.shape
    count = 1
    while count * size < 16 and blocks % (2 * count) == 0:
        count *= 2
    apart = W.view(-1, count, size, size).movedim(1, -1)
    return torch.diag_embed(apart, dim1=1, dim2=3).reshape(-1, count * size, count * size)
