"""Long short-term memory (Hochreiter & Schmidhuber 1997)."""

from typing import final

import torch
from torch import Tensor, nn

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.kernels.recurrence import lstm_recurrence
from charrnn.recurrent.states import State

__all__ = ["LSTM"]


@final
class LSTM(FusedCore):
    """c_t = f ⊙ c_{t-1} + i ⊙ g,  h_t = o ⊙ tanh(c_t)."""

    cell = equations.lstm
    layer = nn.LSTM
    kernel = torch.lstm
    kernel_wins_on_cpu = True

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the forget gate's bias to 1 (Gers et al. 2000, Jozefowicz et al. 2015): b_W's, as b_W and b_U add up."""
        super().reset_parameters()
        _, forget, _, _ = self.b_W.chunk(4)  # i, f, g, o
        forget.fill_(1)

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run `lstm_recurrence` over projected inputs (T, B, 4H)."""
        outputs, c = lstm_recurrence(projected, state.h, state.c, self.U, noise)
        return outputs, self.cell.state(outputs[-1], c)
