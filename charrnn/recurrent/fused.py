"""Cores that torch.nn computes in fused kernels: oneDNN on a CPU, cuDNN on a GPU."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.kernels.products import autocast_type
from charrnn.recurrent.states import State

__all__ = ["FusedCore", "kernel_keeps_to"]


def kernel_keeps_to(device: str, low: torch.dtype | None) -> bool:
    """True if torch's kernel on a kind of device multiplies in autocast's type `low`, or if autocast is off.

    Autocast gives cuDNN half precision (fp16), whatever its type is. oneDNN has no fp16 LSTM, and one in bf16 only on
    some CPUs.
    """
    if device == "cpu" and low is torch.bfloat16:
        return not torch.backends.mkldnn.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return low is None or (device, low) == ("cuda", torch.float16)


class FusedCore(Core):
    """A layer of torch.nn's `RNN`, `LSTM` or `GRU`, run by its kernel or by our own recurrence, whichever is faster.

    The kernels need dense inputs and no noise; all else is run by the recurrence, where one-hot inputs are looked up
    instead of multiplied. The parameters have the letters of the equations. torch's layer, which has its own names for
    them, draws them and on a GPU lays them out as `kernel` needs them; it shares them and is no submodule.
    """

    layer: ClassVar[Callable[..., nn.RNNBase]]
    kernel: ClassVar[Callable[..., tuple[Tensor, ...]]]
    kernel_wins_on_cpu: ClassVar[bool]
    _layer: nn.RNNBase

    def __init__(self, input_size: int | None, hidden_size: int, **regularisation: float) -> None:
        super().__init__(input_size, hidden_size, **regularisation)
        layer = type(self).layer(self.input_size, hidden_size, batch_first=True)
        self.W, self.U, self.b_W, self.b_U = layer.parameters()
        object.__setattr__(self, "_layer", layer)  # as an attribute that nn.Module does not see
        self.reset_parameters()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Move or convert the parameters, then put them in one piece of memory, as a GPU's kernel needs them."""
        super()._apply(fn, recurse)
        for (name, _), weight in zip([*self._layer.named_parameters()], self.parameters(), strict=True):
            setattr(self._layer, name, weight)
        self._layer.flatten_parameters()
        return self

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Make U orthogonal and the biases zero; W stays as torch.nn has drawn it, U(-1/√H, 1/√H)."""
        self.orthogonal_(self.U)
        self.b_W.zero_()
        self.b_U.zero_()

    @final
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run over a chunk: by torch's kernel if it is faster, fits autocast, and there is no noise."""
        is_dense = inputs.is_floating_point()
        kernel_wins = not inputs.is_cpu or (is_dense and self.kernel_wins_on_cpu)
        if noise.is_silent and kernel_wins and kernel_keeps_to(inputs.device.type, autocast_type(state.h)):
            return self.run_fused(inputs if is_dense else F.one_hot(inputs, self.input_size).to(self.W), state)
        time_major = inputs.transpose(0, 1)
        if is_dense:
            projected = F.linear(time_major, self.W, self.input_bias())
        else:
            projected = F.embedding(time_major, self.W.t().contiguous() + self.input_bias())
        outputs, state = self.recur(projected, state, noise)
        return outputs.transpose(0, 1), state

    def run_fused(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the fused kernel over vectors (B, T, D)."""
        before = [part.unsqueeze(0) for part in state]
        weights = [self.W, self.U, self.b_W, self.b_U]
        # With biases, one layer, no dropout, one direction, batch first; in training it keeps what backward needs.
        given = before if len(before) > 1 else before[0]
        outputs, *after = type(self).kernel(inputs, given, weights, True, 1, 0.0, self.training, False, True)
        return outputs, self.cell.state(*(part.squeeze(0).to(state.h) for part in after))

    def input_bias(self) -> Tensor:
        """The bias (k·H,) added to W x before the recurrence: b_W + b_U, where only their sum matters."""
        return self.b_W + self.b_U

    @abstractmethod
    def recur(self, projected: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run the recurrence alone over projected, time-major inputs (T, B, k·H): outputs (T, B, H), last state."""
