"""Cores that torch.nn computes in fused kernels: oneDNN on a CPU, cuDNN on a GPU."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core, State
from charrnn.recurrent.equations import Noise, U, W, b_U, b_W
from charrnn.recurrent.kernels.products import autocast_type

__all__ = ["FusedCore", "kernel_keeps_to"]


def kernel_keeps_to(device: str, low: torch.dtype | None) -> bool:
    """Whether torch's kernel on a kind of device multiplies in the type that autocast is set to, `low`, if it is on.

    Autocast gives cuDNN half precision whatever it is set to; oneDNN has no LSTM of half precision.
    """
    return low is None or (device, low) in {("cuda", torch.float16), ("cpu", torch.bfloat16)}


class FusedCore(Core):
    """One layer of torch.nn's `RNN`, `LSTM` or `GRU`, run by its kernel or by our own recurrence, whichever is faster.

    The kernels want dense inputs and know no noise; everything else goes by the recurrence. One-hot inputs then skip
    their product and are looked up.
    """

    layer: ClassVar[Callable[..., nn.RNNBase]]
    kernel_wins_on_cpu: ClassVar[bool]

    def __init__(self, input_size: int | None, hidden_size: int, **regularisation: float) -> None:
        super().__init__(input_size, hidden_size, **regularisation)
        self.fused = type(self).layer(self.input_size, hidden_size, batch_first=True)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal recurrent weights, zero biases; input weights as torch.nn draws them, U(-1/√H, 1/√H)."""
        weights = self.weights()
        self.orthogonal_(weights[U])
        weights[b_W].zero_()
        weights[b_U].zero_()

    @final
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        is_dense, weights = inputs.is_floating_point(), self.weights()
        kernel_wins = not inputs.is_cpu or (is_dense and self.kernel_wins_on_cpu)
        if noise.is_silent and kernel_wins and kernel_keeps_to(inputs.device.type, autocast_type(state.h)):
            return self.run_fused(inputs if is_dense else F.one_hot(inputs, self.input_size).to(weights[W]), state)
        time_major = inputs.transpose(0, 1)
        if is_dense:
            projected = F.linear(time_major, weights[W], self.input_bias())
        else:
            projected = F.embedding(time_major, weights[W].t().contiguous() + self.input_bias())
        outputs, state = self.recur(projected, state, noise)
        return outputs.transpose(0, 1), state

    def run_fused(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel over vectors (B, T, D)."""
        outputs, h = self.fused(inputs, state.h.unsqueeze(0))
        return outputs, self.cell.state(h.squeeze(0).to(state.h))

    def input_bias(self) -> Tensor:
        """What is added to W x before the recurrence: both of torch's biases, wherever their sum is all that counts."""
        weights = self.weights()
        return weights[b_W] + weights[b_U]

    @abstractmethod
    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """The recurrence alone, over time-major inputs (T, B, k·H) that are already projected."""
