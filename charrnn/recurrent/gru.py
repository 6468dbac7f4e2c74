"""The gated recurrent unit (Cho et al. 2014)."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.kernels.recurrence import gru_recurrence
from charrnn.recurrent.states import State

__all__ = ["GRU"]


@final
class GRU(FusedCore):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}."""

    cell = equations.gru
    layer = nn.GRU
    kernel = torch.gru
    kernel_wins_on_cpu = False

    def input_bias(self) -> Tensor:
        """The bias (3H,) of W x: b_W + b_U for r and z; the candidate's b_U stays behind r."""
        H = self.hidden_size
        return self.b_W + F.pad(self.b_U[: 2 * H], (0, H))

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run `gru_recurrence` over projected inputs (T, B, 3H)."""
        outputs = gru_recurrence(projected, state.h, self.U, self.b_U[2 * self.hidden_size :], noise)
        return outputs, self.cell.state(outputs[-1])
