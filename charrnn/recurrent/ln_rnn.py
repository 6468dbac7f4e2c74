"""The tanh recurrent network with layer normalisation (Ba, Kiros & Hinton 2016)."""

from collections.abc import Mapping
from typing import final

from torch import Tensor

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.kernels.normalised import NormalisedCore, ln_rnn_recurrence, product
from charrnn.recurrent.states import State

__all__ = ["LNRNN"]


@final
class LNRNN(NormalisedCore):
    """h_t = tanh(γ ⊙ LN(W x_t + U h_{t-1}) + b)."""

    cell = equations.ln_rnn

    def recur(
        self, inputs: Tensor, state: State, noise: Noise, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Multiply the inputs by W (T, B, H) and run `ln_rnn_recurrence`."""
        outputs = ln_rnn_recurrence(
            product(inputs, weights["W"]), state.h, weights["U"], weights["gain"], weights["b"], noise
        )
        return outputs, (outputs[-1],)
