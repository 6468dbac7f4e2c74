"""The gated recurrent unit (Cho et al. 2014)."""

from typing import final

from torch import Tensor, nn

from charrnn.recurrent import equations
from charrnn.recurrent.contract import State
from charrnn.recurrent.equations import Noise, U, b_U
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.recurrence import gru_recurrence

__all__ = ["GRU"]


@final
class GRU(FusedCore):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}."""

    cell = equations.gru
    layer = nn.GRU
    kernel_wins_on_cpu = False

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        weights = self.weights()
        outputs = gru_recurrence(projected, state.h, weights[U], weights[b_U], noise)
        return outputs, self.cell.state(outputs[-1])
