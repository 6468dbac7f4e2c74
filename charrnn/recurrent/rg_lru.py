"""The real-gated linear recurrent unit in the residual block of Hawk (De et al. 2024)."""

import math
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.recurrent import scan_equations
from charrnn.recurrent.block import ScanCore, Weights, causal_convolution, gelu, rms_norm, wide
from charrnn.recurrent.contract import State
from charrnn.recurrent.equations import Noise, dropped
from charrnn.recurrent.scan_equations import DECAY, EPSILON

__all__ = ["RGLRU"]


@final
class RGLRU(ScanCore):
    """h_t = a ⊙ h_{t-1} + √(1 - a²) ⊙ i ⊙ v, a = exp(-8 softplus(Λ) ⊙ r)."""

    cell = scan_equations.rg_lru

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Λ so that with the gate r open a is evenly spread from 0.9 to 0.999, as in the paper."""
        super().reset_parameters()
        open_a = torch.linspace(0.9, 0.999, self.hidden_size, dtype=torch.float64)
        self.weights()["Lambda"].copy_((-open_a.log() / DECAY).expm1().log())  # softplus backwards

    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        normed = rms_norm(x, x.dtype)
        v, inputs = causal_convolution(F.linear(normed, weights["W_u"]), state[1:], weights["C"])
        r, i = (wide(_blockwise(v, weights[f"W_{gate}"], weights[f"b_{gate}"])).sigmoid() for gate in "ri")
        log_a = r * (-DECAY * F.softplus(wide(weights["Lambda"]), threshold=math.inf))
        # The small number keeps the slope of the root finite where a = 1.
        b = (EPSILON**2 - (2 * log_a).expm1()).sqrt() * i * dropped(noise.d, v)
        h, state = self.scanned(log_a.exp(), b, state, inputs, noise, positive=False)
        return h.to(x.dtype) * gelu(F.linear(normed, weights["W_g"])), state

    def perceive(self, normed: Tensor, weights: Weights) -> Tensor:
        return gelu(F.linear(normed, weights["W_1"], weights["b_1"])) * F.linear(normed, weights["W_3"])


def _blockwise(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """W x + b for x (T, B, H) and a block-diagonal W (blocks, H / blocks, H / blocks)."""
    blocks, size, _ = W.shape
    rows = x.reshape(-1, blocks, size).transpose(0, 1)
    return torch.baddbmm(b.view(blocks, 1, size), rows, W.transpose(1, 2)).transpose(0, 1).reshape(x.shape)
