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
from charrnn.recurrent.lstm_gates import gate_slopes, next_cell_state
from charrnn.recurrent.pointwise import dropped, keep_, kept_, sigmoid_backward, tanh_
from charrnn.recurrent.products import Product, autocast_type

__all__ = ["gru_recurrence", "lstm_recurrence", "rnn_recurrence"]


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
            next_cell_state(a, cs[t], noise.d, out=cs[t + 1])
            torch.mul(a[:, 3 * H :], tanh_(squashed[t].copy_(cs[t + 1])), out=hs[t + 1])
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
        # Slopes first, which the loop scales by the gradient that arrives.
        d_gates, c_slope = gate_slopes(gates, cs[:-1], squashed, d)
        f = gates[..., H : 2 * H]
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
        outs, reset_and_update, candidates = hs[1:], gates[..., : 2 * H], gates[..., 2 * H :]
        W_gates, W_n, U_gates, U_n = (part for x in (projected, Us) for part in torch.split(x, [2 * H, H], -1))
        steps = zip(outs, Us, reset_and_update, candidates, W_gates, W_n, U_gates, U_n, strict=True)
        for t, (after, u, rz, n, w_rz, w_n, u_rz, u_n) in enumerate(steps):
            before = hs[t]
            product.forward(before, out=u, plus=b_U)
            torch.add(w_rz, u_rz, out=rz).sigmoid_()
            tanh_(torch.addcmul(w_n, rz[:, :H], u_n, out=n))
            torch.lerp(dropped(n, noise.d), before, rz[:, H:], out=after)
            keep_(after, before, noise.k_h, t)
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
        n_slope = dropped(torch.ops.aten.tanh_backward(1 - z, n), d)
        d_gates = torch.empty_like(gates).view(T, B, 3, H)
        sigmoid_backward(n_slope * U_ns, r, grad_input=d_gates[:, :, 0])
        sigmoid_backward(hs[:-1] - dropped(n, d), z, grad_input=d_gates[:, :, 1])
        torch.mul(n_slope, r, out=d_gates[:, :, 2])
        d_h, steps = torch.zeros_like(hs[0]), list(zip(d_outputs, d_gates, n_slope, z, strict=True))
        for t in range(T - 1, -1, -1):
            d_output, d_gate, d_n, update = steps[t]
            kept = kept_(d_h.add_(d_output), k_h, t)
            d_gate.mul_(d_h.unsqueeze(1))
            d_n.mul_(d_h)
            product.backward(d_gate.view(B, 3 * H), out=d_h, plus=d_h.mul_(update))
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
