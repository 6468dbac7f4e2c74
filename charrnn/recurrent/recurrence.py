"""The recurrences of rnn, lstm and gru over inputs that are already projected, with hand-written backward passes.

torch.nn's fused layers insist on multiplying their inputs themselves. One-hot inputs need no product, only a row
look-up, so what is left of the layer is run here: one small product a step, and the weight gradient as a single large
product at the end instead of one a step. All sequences are time-major, projected inputs (T, B, k·H) and outputs
(T, B, H). The slow twin is `unroll`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from charrnn.recurrent.equations import Noise
from charrnn.recurrent.products import Product, autocast_type

__all__ = [
    "dropped",
    "gru_recurrence",
    "keep_",
    "kept_",
    "lstm_recurrence",
    "rnn_recurrence",
    "tanh_",
]


def tanh_(x: Tensor) -> Tensor:
    # tanh x = 2 σ(2x) - 1: on a CPU torch computes σ several times as fast as tanh.
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def keep_(after: Tensor, before: Tensor, k: Tensor | None, t: int) -> None:
    """Zoneout of step t, in place: the units that k (T, B, H) names keep what they were before."""
    if k is not None:
        after.lerp_(before, k[t])


def kept_(d_after: Tensor, k: Tensor | None, t: int) -> Tensor | None:
    """The backward pass of `keep_`: the gradient that goes straight to the step before is taken out of d_after."""
    if k is None:
        return None
    kept = d_after * k[t]
    d_after.sub_(kept)
    return kept


def dropped(x: Tensor, d: Tensor | None) -> Tensor:
    return x if d is None else x * d


class _RNN(Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, U: Tensor, rectified: bool, noise: Noise, low: torch.dtype | None
    ) -> Tensor:
        product = Product(U, low)
        activate: Callable[[Tensor], Tensor] = Tensor.relu_ if rectified else tanh_
        hs = torch.cat([h.unsqueeze(0), projected])  # h_0 … h_T, each overwritten in its turn
        activations = hs[1:] if noise.k_h is None else projected.clone()
        for t, activation in enumerate(activations.unbind(0)):
            activate(product.forward(dropped(hs[t], noise.d), out=activation, plus=activation))
            if noise.k_h is not None:
                torch.lerp(activation, hs[t], noise.k_h[t], out=hs[t + 1])
        ctx.save_for_backward(hs, activations, U)
        ctx.rectified, ctx.noise, ctx.low = rectified, noise, low
        return hs[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hs, activations, U = ctx.saved_tensors
        product, (d, k_h, _) = Product(U, ctx.low), ctx.noise
        (d_outputs,) = gradients
        d_gates = (activations > 0).to(hs) if ctx.rectified else 1 - activations.square()  # slopes first
        d_h = torch.zeros_like(hs[0])
        for t in range(len(d_gates) - 1, -1, -1):
            kept = kept_(d_h.add_(d_outputs[t]), k_h, t)
            product.backward(d_gates[t].mul_(d_h), out=d_h)
            if d is not None:
                d_h.mul_(d)
            if kept is not None:
                d_h.add_(kept)
        return d_gates, d_h, product.gradient(d_gates, dropped(hs[:-1], d)), None, None, None


class _LSTM(Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, c: Tensor, U: Tensor, noise: Noise, low: torch.dtype | None
    ) -> tuple[Tensor, Tensor]:
        product = Product(U, low)
        T, B, H = projected.shape[0], *h.shape
        hs, cs = projected.new_empty(T + 1, B, H), projected.new_empty(T + 1, B, H)
        hs[0], cs[0] = h, c
        gates = torch.empty_like(projected)
        squashed = projected.new_empty(T, B, H)  # tanh(c_t)
        for t in range(T):
            a = product.forward(hs[t], out=gates[t], plus=projected[t])
            i, f, g, o = a.chunk(4, dim=-1)
            a[:, : 2 * H].sigmoid_()
            tanh_(g)
            o.sigmoid_()
            torch.mul(f, cs[t], out=cs[t + 1]).addcmul_(i, dropped(g, noise.d))
            torch.mul(o, tanh_(squashed[t].copy_(cs[t + 1])), out=hs[t + 1])
            keep_(hs[t + 1], hs[t], noise.k_h, t)
            keep_(cs[t + 1], cs[t], noise.k_c, t)
        ctx.save_for_backward(hs, cs, gates, squashed, U)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hs, cs, gates, squashed, U = ctx.saved_tensors
        product, (d, k_h, k_c) = Product(U, ctx.low), ctx.noise
        d_outputs, d_c = gradients
        T, B, H = squashed.shape
        i, f, g, o = gates.chunk(4, dim=-1)
        # ∂c_t/∂(pre-activations of i, f, g) and ∂h_t/∂(that of o), for all steps at once; the loop scales them by the
        # gradient that arrives, which makes them the gradients themselves.
        d_gates = torch.empty_like(gates).view(T, B, 4, H)
        torch.mul(i * (1 - i), dropped(g, d), out=d_gates[:, :, 0])
        torch.mul(f * (1 - f), cs[:-1], out=d_gates[:, :, 1])
        torch.mul(1 - g * g, dropped(i, d), out=d_gates[:, :, 2])
        torch.mul(o * (1 - o), squashed, out=d_gates[:, :, 3])
        c_slope = o * (1 - squashed * squashed)
        d_h, d_c = torch.zeros_like(hs[0]), d_c.clone()
        for t in range(T - 1, -1, -1):
            kept_h, kept_c = kept_(d_h.add_(d_outputs[t]), k_h, t), kept_(d_c, k_c, t)
            d_c.addcmul_(d_h, c_slope[t])
            d_gates[t, :, :3].mul_(d_c.unsqueeze(1))
            d_gates[t, :, 3].mul_(d_h)
            product.backward(d_gates[t].view(B, 4 * H), out=d_h)
            d_c.mul_(f[t])
            if kept_h is not None and kept_c is not None:
                d_h.add_(kept_h)
                d_c.add_(kept_c)
        d_projected = d_gates.view(T, B, 4 * H)
        return d_projected, d_h, d_c, product.gradient(d_projected, hs[:-1]), None, None


class _GRU(Function):
    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, h: Tensor, U: Tensor, b_U: Tensor, noise: Noise, low: torch.dtype | None
    ) -> Tensor:
        product = Product(U, low)
        T, B, H = projected.shape[0], *h.shape
        hs = projected.new_empty(T + 1, B, H)
        hs[0] = h
        gates, Us = torch.empty_like(projected), torch.empty_like(projected)  # r, z, n; U h + b_U
        split = [2 * H, H]
        for t, before in enumerate(hs[:-1].unbind(0)):
            product.forward(before, out=Us[t], plus=b_U)
            (rz, n), (U_rz, U_n), (W_rz, W_n) = (torch.split(part[t], split, -1) for part in (gates, Us, projected))
            r, z = torch.add(W_rz, U_rz, out=rz).sigmoid_().chunk(2, -1)
            tanh_(torch.addcmul(W_n, r, U_n, out=n))
            torch.lerp(dropped(n, noise.d), before, z, out=hs[t + 1])
            keep_(hs[t + 1], before, noise.k_h, t)
        ctx.save_for_backward(hs, gates, Us[..., 2 * H :], U)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hs, gates, U_ns, U = ctx.saved_tensors
        product, (d, k_h, _) = Product(U, ctx.low), ctx.noise
        (d_outputs,) = gradients
        T, B, H = U_ns.shape
        r, z, n = gates.chunk(3, dim=-1)
        # As in the LSTM: slopes of h_t first, scaled by the arriving gradient in the loop. d_gates are the gradients
        # of U h + b_U; that of W x differs in its last block, which r does not scale.
        n_slope = dropped((1 - n * n) * (1 - z), d)
        d_gates = torch.empty_like(gates).view(T, B, 3, H)
        torch.mul(n_slope * U_ns, r * (1 - r), out=d_gates[:, :, 0])
        torch.mul(hs[:-1] - dropped(n, d), z * (1 - z), out=d_gates[:, :, 1])
        torch.mul(n_slope, r, out=d_gates[:, :, 2])
        d_h = torch.zeros_like(hs[0])
        for t in range(T - 1, -1, -1):
            kept = kept_(d_h.add_(d_outputs[t]), k_h, t)
            d_gates[t].mul_(d_h.unsqueeze(1))
            n_slope[t].mul_(d_h)
            product.backward(d_gates[t].view(B, 3 * H), out=d_h, plus=d_h.mul_(z[t]))
            if kept is not None:
                d_h.add_(kept)
        d_U = d_gates.view(T, B, 3 * H)
        d_projected = torch.cat([d_U[..., : 2 * H], n_slope], dim=-1)
        return d_projected, d_h, product.gradient(d_U, hs[:-1]), d_U.sum((0, 1)), None, None


def rnn_recurrence(
    projected: Tensor, h: Tensor, U: Tensor, b_U: Tensor, noise: Noise, *, rectified: bool = False
) -> Tensor:
    """Hidden states (T, B, H) of an Elman network with tanh or rectified units, from h (B, H)."""
    outputs: Tensor = _RNN.apply((projected + b_U).to(h), h, U, rectified, noise, autocast_type(h))  # type: ignore[no-untyped-call]
    return outputs


def lstm_recurrence(
    projected: Tensor, h: Tensor, c: Tensor, U: Tensor, b_U: Tensor, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) of an LSTM and its last cell state (B, H), from h and c (B, H)."""
    outputs, c = _LSTM.apply((projected + b_U).to(h), h, c, U, noise, autocast_type(h))  # type: ignore[no-untyped-call]
    return outputs, c


def gru_recurrence(projected: Tensor, h: Tensor, U: Tensor, b_U: Tensor, noise: Noise) -> Tensor:
    """Hidden states (T, B, H) of a GRU, from h (B, H)."""
    outputs: Tensor = _GRU.apply(projected.to(h), h, U, b_U, noise, autocast_type(h))  # type: ignore[no-untyped-call]
    return outputs
