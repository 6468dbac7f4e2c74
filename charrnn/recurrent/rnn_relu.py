"""The recurrent network of rectified units (Le, Jaitly & Hinton 2015)."""

from typing import final

import torch
from torch import Tensor, nn

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.kernels.recurrence import rnn_recurrence
from charrnn.recurrent.states import State

__all__ = ["RNNReLU"]


@final
class RNNReLU(FusedCore):
    """h_t = max(0, W x_t + U h_{t-1} + b).

    U begins as the identity, as in the paper: rectified units do not saturate, and from an orthogonal start the states
    grow without bound.
    """

    cell = equations.rnn_relu
    layer = nn.RNN
    kernel = torch.rnn_relu
    kernel_wins_on_cpu = False

    def reset_parameters(self) -> None:
        """Set U to the identity (Le et al. 2015) and the biases to zero."""
        super().reset_parameters()
        nn.init.eye_(self.U)

    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run `rnn_recurrence`, rectified, over projected inputs (T, B, H)."""
        outputs = rnn_recurrence(projected, state.h, self.U, noise, rectified=True)
        return outputs, self.cell.state(outputs[-1])
