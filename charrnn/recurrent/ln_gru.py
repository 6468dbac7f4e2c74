"""The gated recurrent unit with layer normalisation (Ba, Kiros & Hinton 2016)."""

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from charrnn.recurrent import equations
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.kernels.normalised import NormalisedCore, ln_gru_recurrence, normalised
from charrnn.recurrent.states import State

__all__ = ["LNGRU"]


@final
class LNGRU(NormalisedCore):
    """h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}, of gates and a candidate that read LN(W x_t) and LN(U h_{t-1})."""

    cell = equations.ln_gru

    def recur(
        self, inputs: Tensor, state: State, noise: Noise, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Normalise the inputs' products, r and z together and n by itself, and run `ln_gru_recurrence`."""
        H = self.hidden_size
        of_inputs = (torch.split(weights[name], [2 * H, H]) for name in ("W", "gain_W", "b"))  # r and z in one, n apart
        W_gates, W_n = (normalised(inputs, *parts) for parts in zip(*of_inputs, strict=True))
        U, gain_U, b_Un = (weights[name] for name in ("U", "gain_U", "b_Un"))
        outputs = ln_gru_recurrence(W_gates, W_n, state.h, U, gain_U, b_Un, noise)
        return outputs, (outputs[-1],)
