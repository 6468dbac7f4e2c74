"""The recurrences of rnn, lstm and gru over inputs that are already projected, with hand-written backward passes.

torch.nn's fused layers always multiply their inputs themselves. One-hot inputs need no product, only a row look-up, so
the rest of the layer is run here: one small product a step, and the weight gradient as a single large product at the
end instead of one a step. All sequences are time-major: projected inputs (T, B, k·H) and outputs (T, B, H). The slow
twin is `unroll`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from charrnn.recurrent.equations import Noise, dropped
from charrnn.recurrent.kernels.lstm_gates import gate_slopes, next_cell_state
from charrnn.recurrent.kernels.pointwise import HALF, sigmoid_backward, tanh_, zoneout_, zoneout_backward_
from charrnn.recurrent.kernels.products import Product, autocast_type

__all__ = ["gru_recurrence", "lstm_recurrence", "rnn_recurrence"]


class _RNN(Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, U: Tensor, rectified: bool, noise: Noise, low: torch.dtype | None
    ) -> Tensor:
        """Hidden states (T, B, H)."""
        product = Product(U, low)
        activate: Callable[[Tensor], Tensor] = Tensor.relu_ if rectified else tanh_
        hs = torch.cat([h.unsqueeze(0), projected])  # h_0 … h_T, each overwritten in its turn
        activations = hs[1:] if noise.k_h is None else projected.clone()
        for t, activation in enumerate(activations.unbind(0)):
            activate(product.forward(dropped(noise.d, hs[t]), out=activation, plus=activation))
            if noise.k_h is not None:
                torch.lerp(activation, hs[t], noise.k_h[t], out=hs[t + 1])
        ctx.save_for_backward(hs, activations, U)
        ctx.rectified, ctx.noise, ctx.low = rectified, noise, low
        return hs[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the projected inputs (T, B, H), h and U."""
        hs, activations, U = ctx.saved_tensors
        product, (d, k_h, _) = Product(U, ctx.low), ctx.noise
        (d_outputs,) = gradients
        d_gates = (activations > 0).to(hs) if ctx.rectified else 1 - activations.square()  # slopes first
        d_h = torch.zeros_like(hs[0])
        for t in range(len(d_gates) - 1, -1, -1):
            past = zoneout_backward_(d_h.add_(d_outputs[t]), k_h, t)
            product.backward(d_gates[t].mul_(d_h), out=d_h)
            if d is not None:
                d_h.mul_(d)
            if past is not None:
                d_h.add_(past)
        return d_gates, d_h, product.gradient(d_gates, dropped(d, hs[:-1])), None, None, None


class _LSTM(Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, c: Tensor, U: Tensor, noise: Noise, low: torch.dtype | None
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (T, B, H) and the last cell state (B, H)."""
        product = Product(U, low)
        T, B, H = projected.shape[0], *h.shape
        hs, cs = projected.new_empty(T + 1, B, H), projected.new_empty(T + 1, B, H)
        hs[0], cs[0] = h, c
        gates = torch.empty_like(projected)
        squashed = projected.new_empty(T, B, H)  # tanh(c_t)
        for t in range(T):
            a = product.forward(hs[t], out=gates[t], plus=projected[t])
            next_cell_state(a, cs[t], noise.d, out=cs[t + 1])
            torch.mul(a[:, 3 * H :], tanh_(squashed[t].copy_(cs[t + 1])), out=hs[t + 1])
            zoneout_(hs[t + 1], hs[t], noise.k_h, t)
            zoneout_(cs[t + 1], cs[t], noise.k_c, t)
        ctx.save_for_backward(hs, cs, gates, squashed, U)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the projected inputs (T, B, 4H), h, c and U."""
        hs, cs, gates, squashed, U = ctx.saved_tensors
        product, (d, k_h, k_c) = Product(U, ctx.low), ctx.noise
        d_outputs, d_c = gradients
        T, B, H = squashed.shape
        # Slopes first, which the loop scales by the gradient that arrives.
        d_gates, c_slope = gate_slopes(gates, cs[:-1], squashed, d)
        f = gates[..., H : 2 * H]
        d_h, d_c = torch.zeros_like(hs[0]), d_c.clone()
        for t in range(T - 1, -1, -1):
            past_h, past_c = zoneout_backward_(d_h.add_(d_outputs[t]), k_h, t), zoneout_backward_(d_c, k_c, t)
            d_c.addcmul_(d_h, c_slope[t])
            d_gates[t, :, :3].mul_(d_c.unsqueeze(1))
            d_gates[t, :, 3].mul_(d_h)
            product.backward(d_gates[t].view(B, 4 * H), out=d_h)
            d_c.mul_(f[t])
            if past_h is not None and past_c is not None:
                d_h.add_(past_h)
                d_c.add_(past_c)
        d_projected = d_gates.view(T, B, 4 * H)
        return d_projected, d_h, d_c, product.gradient(d_projected, hs[:-1]), None, None


class _GRU(Function):
    """The recurrence of a GRU. Inside, all hidden states are halved, which is exact, and U's rows are ordered n, r, z.

    A halved tanh is σ(2x) - 1/2, one pass less than a whole one. With n in front, the gradients of U h and those of W x
    are each contiguous: d_a has four columns, n's of U h (which r scales), r, z, and n's of W x.
    """

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, U: Tensor, b_Un: Tensor, noise: Noise, low: torch.dtype | None
    ) -> Tensor:
        """Hidden states (T, B, H)."""
        T, B, H = projected.shape[0], *h.shape
        product = Product(2 * _candidate_first(U), low)
        hs = projected.new_empty(T + 1, B, H)
        torch.mul(h, 0.5, out=hs[0])
        sums = torch.empty_like(projected)  # of U h_{t-1} with b_Un, or with W x_t; the gates in their turn
        sums[..., :H], sums[..., H:] = b_Un, projected[..., : 2 * H]
        U_ns, gates, squashed = sums[..., :H], sums[..., H:], 2 * projected[..., 2 * H :]  # σ(2x) of the candidate
        halved, before = torch.empty_like(h), hs[0]
        for t, (a, u_n, rz, n, after) in enumerate(zip(sums, U_ns, gates, squashed, hs[1:], strict=True)):
            product.forward(before, out=a, plus=a)
            rz.sigmoid_()
            torch.sub(n.addcmul_(rz[:, :H], u_n, value=2).sigmoid_(), HALF, out=halved)
            torch.lerp(dropped(noise.d, halved), before, rz[:, H:], out=after)
            zoneout_(after, before, noise.k_h, t)
            before = after
        ctx.save_for_backward(hs, sums, squashed, U)
        ctx.noise, ctx.low = noise, low
        return 2 * hs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the projected inputs (T, B, 3H), h, U and b_Un."""
        hs, sums, squashed, U = ctx.saved_tensors
        product, (d, k_h, _) = Product(_candidate_first(U), ctx.low), ctx.noise
        (d_outputs,) = gradients
        T, B, H = squashed.shape
        U_ns, r, z = sums.chunk(3, dim=-1)
        # As in the LSTM: slopes of h_t first, scaled by the arriving gradient in the loop.
        d_a = sums.new_empty(T, B, 4, H)
        n_slope = sigmoid_backward(dropped(d, torch.rsub(z, 4, alpha=4)), squashed, grad_input=d_a[:, :, 3])
        torch.mul(n_slope, r, out=d_a[:, :, 0])
        sigmoid_backward(n_slope * U_ns, r, grad_input=d_a[:, :, 1])
        minus_n = dropped(d, torch.rsub(squashed, 1, alpha=2))
        sigmoid_backward(minus_n.add_(hs[:-1], alpha=2), z, grad_input=d_a[:, :, 2])
        d_U = d_a.view(T, B, 4 * H)[..., : 3 * H]
        d_h, d_before = d_outputs[-1].clone(), torch.empty_like(hs[0])
        arriving = [torch.zeros_like(d_h), *d_outputs[:-1]]
        for t in range(T - 1, -1, -1):
            past = zoneout_backward_(d_h, k_h, t)
            d_a[t].mul_(d_h.unsqueeze(1))
            torch.addcmul(arriving[t], d_h, z[t], out=d_before)
            product.backward(d_U[t], out=d_before, plus=d_before)
            if past is not None:
                d_before.add_(past)
            d_h, d_before = d_before, d_h
        d_projected, d_b_Un = d_a.view(T, B, 4 * H)[..., H:], d_a[:, :, 0].sum((0, 1))
        return d_projected, d_h, _candidate_last(2 * product.gradient(d_U, hs[:-1])), d_b_Un, None, None


def _candidate_first(U: Tensor) -> Tensor:
    """The rows of r, z, n in the order n, r, z."""
    return U.roll(len(U) // 3, 0)


def _candidate_last(U: Tensor) -> Tensor:
    """The rows of n, r, z in the order r, z, n."""
    return U.roll(-len(U) // 3, 0)


def rnn_recurrence(projected: Tensor, h: Tensor, U: Tensor, noise: Noise, *, rectified: bool = False) -> Tensor:
    """Hidden states (T, B, H) of an Elman network with tanh or rectified units, from h (B, H)."""
    outputs: Tensor = _RNN.apply(projected.to(h), h, U, rectified, noise, autocast_type(h))
    return outputs


def lstm_recurrence(projected: Tensor, h: Tensor, c: Tensor, U: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) of an LSTM and its last cell state (B, H), from h and c (B, H)."""
    outputs, c = _LSTM.apply(projected.to(h), h, c, U, noise, autocast_type(h))
    return outputs, c


def gru_recurrence(projected: Tensor, h: Tensor, U: Tensor, b_Un: Tensor, noise: Noise) -> Tensor:
    """Hidden states (T, B, H) of a GRU, from h (B, H); r scales b_Un (H,), and `projected` has all other biases."""
    outputs: Tensor = _GRU.apply(projected.to(h), h, U, b_Un, noise, autocast_type(h))
    return outputs
