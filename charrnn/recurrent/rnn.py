"""The tanh recurrent network (Elman 1990)."""

from typing import final

import torch
from torch import Tensor, nn

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.kernels.recurrence import rnn_recurrence
from charrnn.recurrent.states import State

__all__ = ["RNN"]


@final
class RNN(FusedCore):
    """h_t = tanh(W x_t + U h_{t-1} + b)."""

    cell = equations.rnn
    layer = nn.RNN
    kernel = torch.rnn_tanh
    kernel_wins_on_cpu = False

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run `rnn_recurrence` over projected inputs (T, B, H)."""
        outputs = rnn_recurrence(projected, state.h, self.U, noise)
        return outputs, self.cell.state(outputs[-1])
