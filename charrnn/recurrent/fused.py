"""Cores that torch.nn computes in fused kernels: oneDNN on a CPU, cuDNN on a GPU."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core, State
from charrnn.recurrent.equations import Noise

__all__ = ["FusedCore"]


class FusedCore(Core):
    """One layer of torch.nn's `RNN`, `LSTM` or `GRU`, run by its kernel or by our own recurrence, whichever is faster.

    The kernels want dense inputs and know no noise; everything else goes by the recurrence. One-hot inputs then skip
    their product and are looked up. The parameters have the letters of the equations. torch's layer, which has its own
    names for them, shares them and is no submodule.
    """

    layer: ClassVar[Callable[..., nn.RNNBase]]
    kernel_wins_on_cpu: ClassVar[bool]
    _layer: nn.RNNBase

    def __init__(self, input_size: int | None, hidden_size: int, **regularisation: float) -> None:
        super().__init__(input_size, hidden_size, **regularisation)
        layer = type(self).layer(self.input_size, hidden_size, batch_first=True)
        self.W, self.U, self.b_W, self.b_U = layer.parameters()
        object.__setattr__(self, "_layer", layer)  # as an attribute that nn.Module does not see
        self.reset_parameters()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move or convert the parameters, which a GPU's kernel then wants in one piece of memory."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for (name, _), weight in zip([*self._layer.named_parameters()], self.parameters(), strict=True):
            setattr(self._layer, name, weight)
        self._layer.flatten_parameters()
        return self

    def train(self, mode: bool = True) -> Self:
        """Set the mode, in which a GPU's kernel keeps what its backward pass needs or does not."""
        self._layer.train(mode)
        return super().train(mode)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Orthogonal recurrent weights, zero biases; input weights as torch.nn draws them, U(-1/√H, 1/√H)."""
        self.orthogonal_(self.U)
        self.b_W.zero_()
        self.b_U.zero_()

    @final
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        is_dense = inputs.is_floating_point()
        if noise.is_silent and not inputs.is_cpu:
            return self.run_fused(inputs if is_dense else F.one_hot(inputs, self.input_size).to(self.W), state)
        if noise.is_silent and is_dense and self.kernel_wins_on_cpu:
            return self.run_fused(inputs, state)
        time_major = inputs.transpose(0, 1)
        if is_dense:
            projected = F.linear(time_major, self.W, self.input_bias())
        else:
            projected = F.embedding(time_major, self.W.t().contiguous() + self.input_bias())
        outputs, state = self.recur(projected, state, noise)
        return outputs.transpose(0, 1), state

    def run_fused(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """The fused kernel over vectors (B, T, D)."""
        outputs, h = self._layer(inputs, state.h.unsqueeze(0))
        return outputs, self.cell.state(h.squeeze(0).to(state.h))

    def input_bias(self) -> Tensor:
        """What is added to W x before the recurrence: both of torch's biases, wherever their sum is all that counts."""
        return self.b_W + self.b_U

    @abstractmethod
    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """The recurrence alone, over time-major inputs (T, B, k·H) that are already projected."""
