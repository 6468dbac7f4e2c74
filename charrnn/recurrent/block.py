"""The residual block around a scanned recurrence: its computation for all steps at once, and its initial weights.

Its equations are in `scan_equations`; each core defines the recurrence inside.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from charrnn.recurrent.equation_core import EquationCore
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.kernels.pointwise import sigmoid_backward, wide
from charrnn.recurrent.kernels.scan import scan
from charrnn.recurrent.scan_equations import RMS_NORM_EPSILON, WIDTH, Convolved
from charrnn.recurrent.states import State

__all__ = ["ScanCore", "causal_convolution", "gelu", "positive", "rms_norm"]

# On a CPU the whole block is computed for this many elements (B times H times steps) at a time: they stay in its
# caches, where a pass over them costs a tenth of one through fresh memory.
PIECE_SIZE = 2**19

Weights = Mapping[str, Tensor]


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x / √(mean x²) over the last dimension."""
        scale = (
            torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            .square_()
            .div_(x.shape[-1])
            .add_(RMS_NORM_EPSILON)
            .rsqrt_()
        )
        y: Tensor = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """∂x, from y = x / √(mean x²) and ∂y."""
        y, scale = ctx.saved_tensors
        (d_y,) = gradients
        d_x = torch.mul(d_y, y, out=torch.empty_like(y))  # in the memory layout of y, not of d_y
        along = d_x.mean(-1, keepdim=True)
        return torch.addcmul(d_y, y, along, value=-1, out=d_x).mul_(scale)


def rms_norm(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x / √(mean x²) over the last dimension as `dtype`, computed in at least single precision."""
    y: Tensor = _RMSNorm.apply(wide(x))
    return y.to(dtype)


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, x1: Tensor, x2: Tensor, x3: Tensor, C: Tensor) -> tuple[Tensor, ...]:
        """Σ_k C_k ⊙ x_{t-k} (T, B, H), and the last three inputs (B, H), the newest first."""
        before, y = torch.stack([x3, x2, x1]), x * C[0]
        for k in range(1, WIDTH):
            for to, of in _lagged(k, y, x, before):
                to.addcmul_(of, C[k])
        ctx.save_for_backward(x, before, C)
        return y, *torch.cat([before, x[-3:]])[-3:].flip(0).unbind(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        """∂x (T, B, H), ∂x1, ∂x2, ∂x3 (B, H) and ∂C (4, H)."""
        x, before, C = ctx.saved_tensors
        d_y, *d_last = gradients
        d_x, d_before, d_C = torch.empty_like(x), torch.zeros_like(before), torch.zeros_like(C)
        for k in range(WIDTH):
            for d, of in _lagged(k, d_y, x, before):
                d_C[k] += torch.mul(d, of, out=d_x[: len(d)]).flatten(0, 1).sum(0)
        torch.mul(d_y, C[0], out=d_x)
        for k in range(1, WIDTH):
            for d, d_of in _lagged(k, d_y, d_x, d_before):
                d_of.addcmul_(d, C[k])
            (d_x[-k] if k <= len(d_x) else d_before[len(d_x) - k]).add_(d_last[k - 1])
        return d_x, *d_before.flip(0).unbind(0), d_C


def _lagged(k: int, y: Tensor, x: Tensor, before: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of steps of y (T, B, H) and those k earlier, of x (T, B, H) or of the three `before` x, oldest first."""
    T, past = len(x), before[WIDTH - 1 - k :]
    return [(y[k:], x[: max(T - k, 0)]), (y[:k], past[:T])]


def causal_convolution(x: Tensor, before: tuple[Tensor, ...], C: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Σ_k C_k ⊙ x_{t-k} over x (T, B, H) with weights C (4, H), a column for each unit; and the last three inputs.

    `before` are the three inputs before x, each (B, H); they and those returned begin with the newest.
    """
    y, *last = _Convolution.apply(wide(x), *map(wide, before), wide(C))
    return y.to(x.dtype), tuple(part.to(before[0].dtype) for part in last)


class _Positive(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """g(x) = σ(min(x, 0)) + max(x, 0)."""
        y = x.clamp(max=0).sigmoid_().add_(x.clamp(min=0))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """∂x, from y = g(x): the slope is 1 from y = 1/2 on, y (1 - y) below."""
        (y,) = ctx.saved_tensors
        (d_y,) = gradients
        low = y.clamp(max=0.5)
        d_x: Tensor = sigmoid_backward(d_y, low, grad_input=low)
        return d_x.add_(torch.ops.aten.threshold_backward(d_y, y, 0.5), alpha=0.75)  # 1/4 is there already


def positive(x: Tensor) -> Tensor:
    """g(x) = x + 1/2 from 0 on, σ(x) below: the candidate of a scan in log space."""
    y: Tensor = _Positive.apply(x)
    return y


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form."""
    return F.gelu(x, approximate="tanh")


def _entered(x: Tensor, W: Tensor | None) -> Tensor:
    """The residual stream (T, B, H): W x of vectors or token ids x, or the output of the layer below without W."""
    if W is None:
        return x.contiguous()
    return F.linear(x, W) if x.is_floating_point() else F.embedding(x, W.t())


class ScanCore(EquationCore):
    """A block: x_0 = W x, or x above the first layer; the recurrence and a perceptron, each added to it; a norm."""

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw matrices so that products have the scale of their inputs; biases are zero.

        A square W is the identity; the convolution passes its newest input on; the sums added to the residual stream
        are half as large as the stream.
        """
        for weight in self.weights().values():
            if weight.ndim == 1:
                weight.zero_()
            else:
                weight.normal_(std=weight.shape[-1] ** -0.5)
        weights = self.weights()
        weights["C"].zero_()[0] = 1
        if "W" in weights and self.input_size == self.hidden_size:
            nn.init.eye_(weights["W"])
        for name in ("W_o", "W_2"):
            weights[name].mul_(0.5)

    @final
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run the block over a chunk (on a CPU in pieces of the sequence, which stay in its caches)."""
        weights, time_major = self.weights(), inputs.transpose(0, 1)
        T, B = time_major.shape[:2]
        span = max(1, PIECE_SIZE // (B * self.hidden_size)) if inputs.is_cpu else T
        outputs = []
        for index, piece in enumerate(torch.split(time_major, span)):
            x = _entered(piece, weights.get("W"))
            k_h = None if noise.k_h is None else noise.k_h[index * span : (index + 1) * span]
            h, state = self.recur(x, state, Noise(noise.d, k_h), weights)
            y = wide(F.linear(h, weights["W_o"])).add_(x)
            inner = self.perceive(rms_norm(y, x.dtype), weights)
            outputs.append(rms_norm(wide(F.linear(inner, weights["W_2"])).add_(y), x.dtype))
        return torch.cat(outputs).transpose(0, 1), state

    @abstractmethod
    def recur(self, x: Tensor, state: State, noise: Noise, weights: Weights) -> tuple[Tensor, State]:
        """The input of W_o (T, B, H), from the residual stream x (T, B, H), and the state after the last step."""

    def perceive(self, normed: Tensor, weights: Weights) -> Tensor:
        """The inner layer of the perceptron, gelu(W_1 x + b_1), (T, B, M), from the normed stream x (T, B, H)."""
        return gelu(F.linear(normed, weights["W_1"], weights["b_1"]))

    @final
    def scanned(
        self, a: Tensor, b: Tensor, state: State, inputs: tuple[Tensor, ...], noise: Noise, *, positive: bool
    ) -> tuple[Tensor, State]:
        """Hidden states (T, B, H) of h_t = a ⊙ h_{t-1} + b under zoneout, and the last state, with these `inputs`."""
        if noise.k_h is not None:
            a, b = a + noise.k_h * (1 - a), b - noise.k_h * b
        hs, h = scan(a, b, state.h, positive=positive)
        return hs, Convolved(h.to(state.h.dtype), *inputs)
