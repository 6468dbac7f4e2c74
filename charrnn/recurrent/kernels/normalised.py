"""The recurrences of ln-rnn, ln-lstm and ln-gru over projected inputs, with hand-written backward passes.

As in `recurrence`, sequences are time-major and weight gradients are one large product at the end. The gradient of a
layer normalisation's rows is computed in the loop, those of its gain and bias for all steps at once. The slow twin is
`unroll`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from charrnn.recurrent.equation_core import EquationCore
from charrnn.recurrent.equations import LAYER_NORM_EPSILON, Noise, dropped
from charrnn.recurrent.kernels.lstm_gates import gate_slopes, next_cell_state
from charrnn.recurrent.kernels.pointwise import (
    sigmoid_backward,
    spread_,
    tanh_,
    wide,
    zoneout_,
    zoneout_backward_,
)
from charrnn.recurrent.kernels.products import Product, autocast_type
from charrnn.recurrent.states import State

__all__ = ["NormalisedCore", "ln_gru_recurrence", "ln_lstm_recurrence", "ln_rnn_recurrence", "normalised", "product"]

_layer_norm_backward = torch.ops.aten.native_layer_norm_backward
_Statistics = list[tuple[Tensor, Tensor]]  # mean and 1/deviation of every row (B, 1), step by step


def _normalise(a: Tensor, gain: Tensor, b: Tensor | None, statistics: _Statistics) -> Tensor:
    """gain ⊙ LN(a) + b of one step, (B, N); mean and 1/deviation, for the backward pass, go to `statistics`."""
    out, mean, scale = torch.native_layer_norm(a, a.shape[-1:], gain, b, LAYER_NORM_EPSILON)
    statistics.append((mean, scale))
    return out


def _d_rows(d_out: Tensor, a: Tensor, gain: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient of a (B, N) of one step."""
    rows: Tensor = _layer_norm_backward(d_out, a, a.shape[-1:], *statistics, gain, None, [True, False, False])[0]
    return rows


def _d_gain_and_b(d_out: Tensor, a: Tensor, gain: Tensor, statistics: _Statistics) -> tuple[Tensor, Tensor]:
    """The gradients of gain and b (N,), over all steps (T, B, N)."""
    mean, scale = (torch.stack(part) for part in zip(*statistics, strict=True))
    _, d_gain, d_b = _layer_norm_backward(d_out, a, a.shape[-1:], mean, scale, gain, gain, [False, True, True])
    return d_gain, d_b


class NormalisedCore(EquationCore):
    """A core that computes in at least single precision, as normalising divides by deviations that may be small."""

    @final
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run over a chunk in at least single precision; outputs and state are in the state's precision."""
        dtype = state.h.dtype
        if inputs.is_floating_point():
            inputs = wide(inputs)
        weights = {name: wide(weight) for name, weight in self.weights().items()}
        wide_noise = Noise(*(None if part is None else wide(part) for part in noise))
        outputs, last = self.recur(inputs, type(state)(*map(wide, state)), wide_noise, weights)
        return outputs.transpose(0, 1).to(dtype), type(state)(*(part.to(dtype) for part in last))

    @abstractmethod
    def recur(
        self, inputs: Tensor, state: State, noise: Noise, weights: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs (T, B, H) and the parts of the last state (B, H), in at least single precision."""


class _LNRNN(Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        h: Tensor,
        U: Tensor,
        gain: Tensor,
        b: Tensor,
        noise: Noise,
        low: torch.dtype | None,
    ) -> Tensor:
        """Hidden states (T, B, H)."""
        product = Product(U, low)
        T, B, H = projected.shape
        hs, sums = projected.new_empty(T + 1, B, H), torch.empty_like(projected)
        hs[0] = h
        activations = hs[1:] if noise.k_h is None else torch.empty_like(projected)
        ctx.statistics = []
        for t in range(T):
            product.forward(dropped(noise.d, hs[t]), out=sums[t], plus=projected[t])
            tanh_(activations[t].copy_(_normalise(sums[t], gain, b, ctx.statistics)))
            if noise.k_h is not None:
                torch.lerp(activations[t], hs[t], noise.k_h[t], out=hs[t + 1])
        ctx.save_for_backward(hs, activations, sums, U, gain)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the projected inputs (T, B, H), h, U, gain and b."""
        hs, activations, sums, U, gain = ctx.saved_tensors
        product, (d, k_h, _) = Product(U, ctx.low), ctx.noise
        (d_outputs,) = gradients
        d_normal = 1 - activations.square()  # slopes first, which the loop scales by the gradient that arrives
        d_sums, d_h = torch.empty_like(sums), torch.zeros_like(hs[0])
        for t in range(len(sums) - 1, -1, -1):
            past = zoneout_backward_(d_h.add_(d_outputs[t]), k_h, t)
            rows = d_sums[t].copy_(_d_rows(d_normal[t].mul_(d_h), sums[t], gain, ctx.statistics[t]))
            product.backward(rows, out=d_h)
            if d is not None:
                d_h.mul_(d)
            if past is not None:
                d_h.add_(past)
        d_U = product.gradient(d_sums, dropped(d, hs[:-1]))
        return d_sums, d_h, d_U, *_d_gain_and_b(d_normal, sums, gain, ctx.statistics), None, None


class _LNLSTM(Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        h: Tensor,
        c: Tensor,
        U: Tensor,
        gain_U: Tensor,
        gain_c: Tensor,
        b_c: Tensor,
        noise: Noise,
        low: torch.dtype | None,
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (T, B, H) and the last cell state (B, H)."""
        product = Product(U, low)
        T, B, H = projected.shape[0], *h.shape
        hs, cs = projected.new_empty(T + 1, B, H), projected.new_empty(T + 1, B, H)
        hs[0], cs[0] = h, c
        news = cs[1:] if noise.k_c is None else projected.new_empty(T, B, H)  # c_t before zoneout
        sums, gates = torch.empty_like(projected), torch.empty_like(projected)
        squashed = projected.new_empty(T, B, H)  # tanh(LN(c_t))
        gain_c2, b_c2 = 2 * gain_c, 2 * b_c  # tanh x is of σ(2x)
        ctx.of_sums, ctx.of_cells = [], []
        for t, (x, total, a, new, squash) in enumerate(zip(projected, sums, gates, news, squashed, strict=True)):
            product.forward(h, out=total)
            torch.add(x, _normalise(total, gain_U, None, ctx.of_sums), out=a)
            next_cell_state(a, c, noise.d, out=new)
            spread_(torch.sigmoid(_normalise(new, gain_c2, b_c2, ctx.of_cells), out=squash))
            before, h, c = (h, c), hs[t + 1], cs[t + 1]
            torch.mul(a[:, 3 * H :], squash, out=h)
            zoneout_(h, before[0], noise.k_h, t)
            if noise.k_c is not None:
                torch.lerp(new, before[1], noise.k_c[t], out=c)
        ctx.save_for_backward(hs, cs, news, sums, gates, squashed, U, gain_U, gain_c)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the projected inputs (T, B, 4H), h, c, U, gain_U, gain_c and b_c."""
        hs, cs, news, sums, gates, squashed, U, gain_U, gain_c = ctx.saved_tensors
        product, (d, k_h, k_c) = Product(U, ctx.low), ctx.noise
        d_outputs, d_c = gradients
        T, B, H = squashed.shape
        d_gates, d_normal = gate_slopes(gates, cs[:-1], squashed, d)
        d_sums, d_h, d_c = torch.empty_like(sums), torch.zeros_like(hs[0]), d_c.clone()
        f, steps = gates[..., H : 2 * H], list(zip(d_outputs, d_gates, d_normal, d_sums, sums, news, strict=True))
        for t in range(T - 1, -1, -1):
            d_output, d_gate, d_norm, d_sum, total, new = steps[t]
            past_h, past_c = zoneout_backward_(d_h.add_(d_output), k_h, t), zoneout_backward_(d_c, k_c, t)
            d_c.add_(_d_rows(d_norm.mul_(d_h), new, gain_c, ctx.of_cells[t]))
            d_gate[:, :3].mul_(d_c.unsqueeze(1))
            d_gate[:, 3].mul_(d_h)
            d_sum.copy_(_d_rows(d_gate.view(B, 4 * H), total, gain_U, ctx.of_sums[t]))
            product.backward(d_sum, out=d_h)
            d_c.mul_(f[t])
            if past_h is not None and past_c is not None:
                d_h.add_(past_h)
                d_c.add_(past_c)
        d_projected = d_gates.view(T, B, 4 * H)
        d_gain_U, _ = _d_gain_and_b(d_projected, sums, gain_U, ctx.of_sums)
        d_gain_c, d_b_c = _d_gain_and_b(d_normal, news, gain_c, ctx.of_cells)
        return d_projected, d_h, d_c, product.gradient(d_sums, hs[:-1]), d_gain_U, d_gain_c, d_b_c, None, None


class _LNGRU(Function):
    @staticmethod
    def forward(
        ctx: Any,
        W_gates: Tensor,
        W_n: Tensor,
        h: Tensor,
        U: Tensor,
        gain_U: Tensor,
        b_Un: Tensor,
        noise: Noise,
        low: torch.dtype | None,
    ) -> Tensor:
        """Hidden states (T, B, H)."""
        T, B, H = W_n.shape
        hs = W_n.new_empty(T + 1, B, H)
        hs[0] = h
        sums, gates = torch.empty_like(W_gates), torch.empty_like(W_gates)
        n_sums, ns, U_ns = (torch.empty_like(W_n) for _ in range(3))
        of_gates, of_n = (Product(part, low) for part in torch.split(U, [2 * H, H]))
        gain, gain_n = torch.split(gain_U, [2 * H, H])
        ctx.of_sums, ctx.of_n_sums = [], []
        for t in range(T):
            of_gates.forward(hs[t], out=sums[t])
            of_n.forward(hs[t], out=n_sums[t])
            a = torch.add(W_gates[t], _normalise(sums[t], gain, None, ctx.of_sums), out=gates[t])
            r, z = a.sigmoid_().chunk(2, dim=-1)
            u = U_ns[t].copy_(_normalise(n_sums[t], gain_n, b_Un, ctx.of_n_sums))
            n = tanh_(torch.addcmul(W_n[t], r, u, out=ns[t]))
            torch.lerp(dropped(noise.d, n), hs[t], z, out=hs[t + 1])
            zoneout_(hs[t + 1], hs[t], noise.k_h, t)
        ctx.save_for_backward(hs, sums, gates, n_sums, ns, U_ns, U, gain, gain_n)
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of W_gates (T, B, 2H), W_n (T, B, H), h, U, gain_U and b_Un."""
        hs, sums, gates, n_sums, ns, U_ns, U, gain, gain_n = ctx.saved_tensors
        product, (d, k_h, _) = Product(U, ctx.low), ctx.noise
        (d_outputs,) = gradients
        T, B, H = ns.shape
        r, z = gates.chunk(2, dim=-1)
        # Slopes first: of what σ reads, of what tanh reads, and of γ_Un ⊙ LN(U_n h) + b_Un, which r scales.
        d_n = dropped(d, torch.ops.aten.tanh_backward(1 - z, ns))
        d_gates, d_U_n = torch.empty_like(gates).view(T, B, 2, H), d_n * r
        sigmoid_backward(d_n * U_ns, r, grad_input=d_gates[:, :, 0])
        sigmoid_backward(hs[:-1] - dropped(d, ns), z, grad_input=d_gates[:, :, 1])
        d_sums, d_h = gates.new_empty(T, B, 3 * H), torch.zeros_like(hs[0])
        for t in range(T - 1, -1, -1):
            past = zoneout_backward_(d_h.add_(d_outputs[t]), k_h, t)
            d_gates[t].mul_(d_h.unsqueeze(1))
            d_n[t].mul_(d_h)
            d_U_n[t].mul_(d_h)
            d_sums[t, :, : 2 * H] = _d_rows(d_gates[t].view(B, 2 * H), sums[t], gain, ctx.of_sums[t])
            d_sums[t, :, 2 * H :] = _d_rows(d_U_n[t], n_sums[t], gain_n, ctx.of_n_sums[t])
            product.backward(d_sums[t], out=d_h, plus=d_h.mul_(z[t]))
            if past is not None:
                d_h.add_(past)
        d_W_gates = d_gates.view(T, B, 2 * H)
        d_gain, _ = _d_gain_and_b(d_W_gates, sums, gain, ctx.of_sums)
        d_gain_n, d_b_Un = _d_gain_and_b(d_U_n, n_sums, gain_n, ctx.of_n_sums)
        d_U = product.gradient(d_sums, hs[:-1])
        return d_W_gates, d_n, d_h, d_U, torch.cat([d_gain, d_gain_n]), d_b_Un, None, None


def product(inputs: Tensor, W: Tensor) -> Tensor:
    """W x (T, B, N) of vectors (B, T, D), or of token ids (B, T), for which columns of W are looked up."""
    time_major = inputs.transpose(0, 1)
    return F.linear(time_major, W) if inputs.is_floating_point() else F.embedding(time_major, W.t())


def normalised(inputs: Tensor, W: Tensor, gain: Tensor, b: Tensor) -> Tensor:
    """gain ⊙ LN(W x) + b (T, B, N) of the same; for token ids, W's columns are normalised once for all steps."""
    if inputs.is_floating_point():
        return F.layer_norm(product(inputs, W), gain.shape, gain, b, LAYER_NORM_EPSILON)
    return F.embedding(inputs.transpose(0, 1), F.layer_norm(W.t(), gain.shape, gain, b, LAYER_NORM_EPSILON))


def ln_rnn_recurrence(projected: Tensor, h: Tensor, U: Tensor, gain: Tensor, b: Tensor, noise: Noise) -> Tensor:
    """Hidden states (T, B, H) of an ln-rnn, from W x (T, B, H) and h (B, H)."""
    outputs: Tensor = _LNRNN.apply(projected.to(h), h, U, gain, b, noise, autocast_type(h))
    return outputs


def ln_lstm_recurrence(
    projected: Tensor, h: Tensor, c: Tensor, U: Tensor, gain_U: Tensor, gain_c: Tensor, b_c: Tensor, noise: Noise
) -> tuple[Tensor, Tensor]:
    """Hidden states (T, B, H) of an ln-lstm and its last c, from normalised inputs (T, B, 4H), h and c (B, H)."""
    given = projected.to(h), h, c, U, gain_U, gain_c, b_c, noise, autocast_type(h)
    outputs, c = _LNLSTM.apply(*given)
    return outputs, c


def ln_gru_recurrence(
    W_gates: Tensor, W_n: Tensor, h: Tensor, U: Tensor, gain_U: Tensor, b_Un: Tensor, noise: Noise
) -> Tensor:
    """Hidden states (T, B, H) of an ln-gru, from normalised inputs, (T, B, 2H) and (T, B, H), and h (B, H)."""
    given = W_gates.to(h), W_n.to(h), h, U, gain_U, b_Un, noise, autocast_type(h)
    outputs: Tensor = _LNGRU.apply(*given)
    return outputs
