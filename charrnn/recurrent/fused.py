"""Cores that torch.nn computes in fused kernels: oneDNN on a CPU, cuDNN on a GPU."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core, State
from charrnn.recurrent.equations import U, W, b_U, b_W

__all__ = ["FusedCore"]


class FusedCore(Core):
    """One layer of torch.nn's `RNN`, `LSTM` or `GRU`; one-hot inputs skip its product and are looked up instead."""

    layer: ClassVar[Callable[..., nn.RNNBase]]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.fused = type(self).layer(input_size, hidden_size, batch_first=True)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal recurrent weights, zero biases; input weights as torch.nn draws them, U(-1/√H, 1/√H)."""
        weights = self.weights()
        self.orthogonal_(weights[U])
        weights[b_W].zero_()
        weights[b_U].zero_()

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        if inputs.is_floating_point():
            return self.run_fused(inputs, state)
        weights = self.weights()
        projected = F.embedding(inputs.t(), weights[W].t()) + weights[b_W]  # (T, B, k·H)
        outputs, state = self.recur(projected, state, weights[U], weights[b_U])
        return outputs.transpose(0, 1), state

    def run_fused(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel over vectors (B, T, D)."""
        outputs, h = self.fused(inputs, state.h.unsqueeze(0))
        return outputs, self.cell.state(h.squeeze(0))

    @abstractmethod
    def recur(self, projected: Tensor, state: State, U: Tensor, b_U: Tensor) -> tuple[Tensor, State]:
        """The recurrence alone, over time-major inputs (T, B, k·H) that are already projected."""
