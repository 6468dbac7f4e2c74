"""The minimal gated recurrent unit (Feng et al. 2024)."""

from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.recurrent import scan_equations
from charrnn.recurrent.block import ScanCore, Weights, causal_convolution, positive, rms_norm
from charrnn.recurrent.equations import Noise, dropped
from charrnn.recurrent.kernels.pointwise import wide
from charrnn.recurrent.states import State

__all__ = ["MinGRU"]


@final
class MinGRU(ScanCore):
    """h_t = (1 - z) ⊙ h_{t-1} + z ⊙ g(W_h v + b_h), z = σ(W_z v + b_z)."""

    cell = scan_equations.min_gru

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Spread b_z from 0 down to -3, so that z = 1/2 … 1/20: memories of about one to twenty steps."""
        super().reset_parameters()
        self.weights()["b_z"].copy_(torch.linspace(0, -3, self.hidden_size))

    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        """Hidden states (T, B, H) of all steps by a scan, and the state after them."""
        v, inputs = causal_convolution(rms_norm(x, x.dtype), state[1:], weights["C"])
        z = wide(F.linear(v, weights["W_z"], weights["b_z"])).sigmoid()
        candidate = positive(wide(F.linear(v, weights["W_h"], weights["b_h"])))
        h, state = self.scanned(1 - z, z * dropped(noise.d, candidate), state, inputs, noise, positive=True)
        return h.to(x.dtype), state
