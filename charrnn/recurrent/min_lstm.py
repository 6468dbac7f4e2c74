"""The minimal long short-term memory (Feng et al. 2024)."""

from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.recurrent import scan_equations
from charrnn.recurrent.block import ScanCore, Weights, causal_convolution, gelu, positive, rms_norm, wide
from charrnn.recurrent.contract import State
from charrnn.recurrent.equations import Noise, dropped

__all__ = ["MinLSTM"]


@final
class MinLSTM(ScanCore):
    """h_t = f / (f + i) ⊙ h_{t-1} + i / (f + i) ⊙ g(W_h v + b_h)."""

    cell = scan_equations.min_lstm

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Memories of about one to twenty steps: b_i from 0 down to -3, b_f from 0 up to 3."""
        super().reset_parameters()
        spread = torch.linspace(0, 3, self.hidden_size)
        self.weights()["b_f"].copy_(spread)
        self.weights()["b_i"].copy_(-spread)

    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        v, inputs = causal_convolution(rms_norm(x, x.dtype), state[1:], weights["C"])
        log_f, log_i = (F.logsigmoid(wide(F.linear(v, weights[f"W_{gate}"], weights[f"b_{gate}"]))) for gate in "fi")
        share = (log_i - log_f).sigmoid()  # i / (f + i)
        candidate = positive(wide(F.linear(v, weights["W_h"], weights["b_h"])))
        h, state = self.scanned(1 - share, share * dropped(noise.d, candidate), state, inputs, noise, positive=True)
        return h.to(x.dtype), state

    def perceive(self, normed: Tensor, weights: Weights) -> Tensor:
        return gelu(F.linear(normed, weights["W_1"], weights["b_1"]))
