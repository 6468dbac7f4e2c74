"""The gated recurrent unit (Cho et al. 2014)."""

from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent import equations
from charrnn.recurrent.contract import State
from charrnn.recurrent.equations import Noise, U, b_U, b_W
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.kernels.recurrence import gru_recurrence

__all__ = ["GRU"]


@final
class GRU(FusedCore):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}."""

    cell = equations.gru
    layer = nn.GRU
    kernel_wins_on_cpu = False

    def input_bias(self) -> Tensor:
        b, H = self.weights(), self.hidden_size
        return b[b_W] + F.pad(b[b_U][: 2 * H], (0, H))

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        weights = self.weights()
        outputs = gru_recurrence(projected, state.h, weights[U], weights[b_U][2 * self.hidden_size :], noise)
        return outputs, self.cell.state(outputs[-1])
