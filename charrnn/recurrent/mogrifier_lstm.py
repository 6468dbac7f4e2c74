"""The mogrifier LSTM (Melis, Kočiský & Blunsom 2019)."""

from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from charrnn.recurrent import equations
from charrnn.recurrent.equation_core import EquationCore
from charrnn.recurrent.equations import MOGRIFIER_ROUNDS, Noise
from charrnn.recurrent.kernels.lstm_gates import gate_slopes, next_cell_state
from charrnn.recurrent.kernels.pointwise import tanh_, zoneout_, zoneout_backward_
from charrnn.recurrent.kernels.products import Product, autocast_type
from charrnn.recurrent.states import State

__all__ = ["MogrifierLSTM"]

ROUNDS = range(MOGRIFIER_ROUNDS)


class _Recurrence(Function):
    """The recurrence over time-major inputs x (T, B, D), with M = Q1, R2, Q3, R4, Q5.

    `values` are x, h_{t-1} and then the result of each round, in turn a new x and a new h: round k (from 0) multiplies
    values[k + 1] by M[k] and scales values[k], which gives values[k + 2]. The scale is σ, not 2 σ: the caller scales
    the weights up for it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        c: Tensor,
        W: Tensor,
        U: Tensor,
        b: Tensor,
        noise: Noise,
        low: torch.dtype | None,
        *M: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (T, B, H) and the last cell state (B, H)."""
        (T, B, D), H = x.shape, h.shape[1]
        hs, cs = x.new_empty(T + 1, B, H), x.new_empty(T + 1, B, H)
        hs[0], cs[0] = h, c
        both, W_and_U = x.new_empty(T, B, D + H), torch.cat([W, U], dim=1)  # the last x and h, for a single product
        last_x, last_h = torch.split(both, [D, H], dim=-1)
        scales = [x.new_empty(T, B, len(M[k])) for k in ROUNDS]
        values = [x, hs, *(torch.empty_like(scale) for scale in scales[:-2]), last_h, last_x]
        gates, squashed = x.new_empty(T, B, 4 * H), x.new_empty(T, B, H)
        products, product = [Product(matrix, low) for matrix in M], Product(W_and_U, low)
        for t in range(T):
            at_t = [value[t] for value in values]
            for k in ROUNDS:
                scale = products[k].forward(at_t[k + 1], out=scales[k][t]).sigmoid_()
                torch.mul(at_t[k], scale, out=at_t[k + 2])
            a = product.forward(both[t], out=gates[t], plus=b)
            next_cell_state(a, cs[t], noise.d, out=cs[t + 1])
            torch.mul(a[:, 3 * H :], tanh_(squashed[t].copy_(cs[t + 1])), out=hs[t + 1])
            zoneout_(hs[t + 1], hs[t], noise.k_h, t)
            zoneout_(cs[t + 1], cs[t], noise.k_c, t)
        ctx.save_for_backward(cs, both, gates, squashed, W_and_U, *M, *scales, *values[:-2])
        ctx.noise, ctx.low = noise, low
        return hs[1:].clone(), cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, h, c, W, U, b and each of M."""
        cs, both, gates, squashed, W_and_U, *rest = ctx.saved_tensors
        M, scales, values = (rest[k * len(ROUNDS) : (k + 1) * len(ROUNDS)] for k in range(3))
        products, product = [Product(matrix, ctx.low) for matrix in M], Product(W_and_U, ctx.low)
        d, k_h, k_c = ctx.noise
        d_outputs, d_c = gradients
        (T, B, H), D = squashed.shape, both.shape[-1] - squashed.shape[-1]
        last_x, last_h = torch.split(both, [D, H], dim=-1)
        values += [last_h, last_x]
        # Slopes first, which the loop scales by the gradient that arrives.
        d_gates, c_slope = gate_slopes(gates, cs[:-1], squashed, d)
        d_products = [torch.addcmul(values[k + 2], values[k + 2], scales[k], value=-1) for k in ROUNDS]
        f = gates[..., H : 2 * H]
        d_both, d_x, d_h, d_c = (
            torch.empty_like(both[0]),
            torch.empty_like(values[0]),
            torch.zeros_like(cs[0]),
            d_c.clone(),
        )
        for t in range(T - 1, -1, -1):
            past_h, past_c = zoneout_backward_(d_h.add_(d_outputs[t]), k_h, t), zoneout_backward_(d_c, k_c, t)
            d_c.addcmul_(d_h, c_slope[t])
            d_gates[t, :, :3].mul_(d_c.unsqueeze(1))
            d_gates[t, :, 3].mul_(d_h)
            made, read = torch.split(product.backward(d_gates[t].view(B, 4 * H), out=d_both), [D, H], dim=-1)
            for k in reversed(ROUNDS):
                products[k].backward(d_products[k][t].mul_(made), out=read, plus=read)
                made.mul_(scales[k][t])
                made, read = read, made
            d_h = made
            d_x[t] = read
            d_c.mul_(f[t])
            if past_h is not None and past_c is not None:
                d_h.add_(past_h)
                d_c.add_(past_c)
        d_a = d_gates.view(T, B, 4 * H)
        d_W, d_U = torch.split(product.gradient(d_a, both), [D, H], dim=1)
        values[1] = values[1][:-1]  # h_0 … h_{T-1}
        d_M = (products[k].gradient(d_products[k], values[k + 1]) for k in ROUNDS)
        return d_x, d_h, d_c, d_W, d_U, d_a.sum((0, 1)), None, None, *d_M


@final
class MogrifierLSTM(EquationCore):
    """An LSTM whose input and hidden state scale each other, in five rounds, before each step."""

    cell = equations.mogrifier_lstm

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the forget gate's bias to 1, as in the LSTM, and scale Q and R by 0.1, to begin close to an LSTM."""
        super().reset_parameters()
        weights = self.weights()
        _, forget, _, _ = weights["b"].chunk(4)  # i, f, g, o
        forget.fill_(1)
        for name in weights.keys() - {"W", "U", "b"}:
            weights[name].mul_(0.1)

    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run the recurrence over a chunk, with weights that make up for the missing factors 2."""
        weights = self.weights()
        W, U, b, *M = (weights[name] for name in ("W", "U", "b", "Q1", "R2", "Q3", "R4", "Q5"))
        x = inputs if inputs.is_floating_point() else F.one_hot(inputs, self.input_size).to(W)
        # Each matrix makes up for the factors 2 of 2 σ in all rounds before it; powers of two are exact.
        W, U, M = 8 * W, 4 * U, [2 ** (k // 2 + k % 2) * matrix for k, matrix in enumerate(M)]
        given = x.transpose(0, 1).to(state.h), state.h, state.c, W, U, b, noise, autocast_type(state.h), *M
        outputs, c = _Recurrence.apply(*given)
        return outputs.transpose(0, 1), self.cell.state(outputs[-1], c)
