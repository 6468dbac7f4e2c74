"""Long short-term memory with layer normalisation (Ba, Kiros & Hinton 2016)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.kernels.normalised import NormalisedCore, ln_lstm_recurrence, normalised
from charrnn.recurrent.states import State

__all__ = ["LNLSTM"]


@final
class LNLSTM(NormalisedCore):
    """c_t = f ⊙ c_{t-1} + i ⊙ g,  h_t = o ⊙ tanh(LN(c_t)), of gates that read LN(W x_t) + LN(U h_{t-1})."""

    cell = equations.ln_lstm

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the forget gate's bias to 1, as in the LSTM."""
        super().reset_parameters()
        _, forget, _, _ = self.weights()["b"].chunk(4)  # i, f, g, o
        forget.fill_(1)

    def recur(
        self, inputs: Tensor, state: State, noise: Noise, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Normalise the inputs' products (T, B, 4H) and run `ln_lstm_recurrence`."""
        projected = normalised(inputs, weights["W"], weights["gain_W"], weights["b"])
        U, gain_U, gain_c, b_c = (weights[name] for name in ("U", "gain_U", "gain_c", "b_c"))
        outputs, c = ln_lstm_recurrence(projected, state.h, state.c, U, gain_U, gain_c, b_c, noise)
        return outputs, (outputs[-1], c)
