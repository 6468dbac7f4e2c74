"""The gated recurrent unit (Cho et al. 2014)."""

from typing import final

from torch import Tensor, nn

from charrnn.recurrent import equations
from charrnn.recurrent.contract import State
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.recurrence import gru_recurrence

__all__ = ["GRU"]


@final
class GRU(FusedCore):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}."""

    cell = equations.gru
    layer = nn.GRU

    def recur(self, projected: Tensor, state: State, U: Tensor, b_U: Tensor) -> tuple[Tensor, State]:
        outputs = gru_recurrence(projected, state.h, U, b_U)
        return outputs, self.cell.state(outputs[-1])
