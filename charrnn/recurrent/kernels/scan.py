"""The linear recurrence h_t = a_t ⊙ h_{t-1} + b_t over all steps, in three ways that agree.

`by_loop` is the recurrence to the letter: the slow twin of the others, and the fastest of them on a CPU. `by_doubling`
takes log₂ T rounds instead of T steps; after each round every step covers twice as much of its past (Hillis & Steele
1986). `in_log_space` does the same with logarithms, for a and b that are never negative (Heinsen 2023, arXiv
2311.06281). All sequences are time-major, (T, B, H). `scan` chooses one of them, and has gradients.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

__all__ = ["by_doubling", "by_loop", "in_log_space", "scan"]

Scan = Callable[[Tensor, Tensor, Tensor], Tensor]


def by_loop(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """h_1 … h_T (T, B, H) from h_0 (B, H), step by step."""
    hs = b.clone()
    for a_t, h_t in zip(a.unbind(0), hs.unbind(0), strict=True):
        h = h_t.addcmul_(a_t, h)
    return hs


def by_doubling(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The same in log₂ T rounds: h_t = a ⊙ h_{t-span} + b, with spans 1, 2, 4 …"""
    a, b = a.clone(), b.clone()
    span = 1
    while span < len(a):
        b[span:] += a[span:] * b[:-span]
        a[span:] = a[span:] * a[:-span]
        span *= 2
    return b.addcmul_(a, h)


def in_log_space(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The same for a, b ≥ 0, by logarithms, so that no product of many a becomes 0 before it is used.

    h_0 may have any sign: it is added at the end.
    """
    a, b = a.log(), b.log()
    span = 1
    while span < len(a):
        b[span:] = torch.logaddexp(b[span:], a[span:] + b[:-span])
        a[span:] = a[span:] + a[:-span]
        span *= 2
    return b.exp_().addcmul_(a.exp_(), h)


def _back_by_loop(a: Tensor, d_hs: Tensor) -> Tensor:
    """d_t = ∂hs_t + a_{t+1} ⊙ d_{t+1}, the adjoint of the recurrence, from the last step to the first, in place."""
    steps = list(zip(a, d_hs, strict=True))
    for (a_after, d_after), (_, d) in pairwise(reversed(steps)):
        d.addcmul_(a_after, d_after)
    return d_hs


def _back_by_doubling(a: Tensor, d_hs: Tensor) -> Tensor:
    """The same in log₂ T rounds, not in log space, as gradients have any sign."""
    others = by_doubling(a[1:].flip(0), d_hs[:-1].flip(0), d_hs[-1]).flip(0)
    return torch.cat([others, d_hs[-1:]])


def ways(*, on_cpu: bool, positive: bool) -> tuple[Scan, Callable[[Tensor, Tensor], Tensor]]:
    """The fastest way forward, and the fastest backward, which may overwrite ∂hs."""
    if on_cpu:
        return by_loop, _back_by_loop
    return in_log_space if positive else by_doubling, _back_by_doubling


class _Scan(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor, positive: bool) -> tuple[Tensor, Tensor]:
        """h_1 … h_T (T, B, H), and h_T (B, H) by itself."""
        forwards, ctx.backwards = ways(on_cpu=b.is_cpu, positive=positive)
        hs = forwards(a, b, h)
        ctx.save_for_backward(a, h, hs)
        return hs, hs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """∂a and ∂b (T, B, H), and ∂h_0 (B, H)."""
        a, h, hs = ctx.saved_tensors
        d_hs, d_last = gradients
        d_hs = d_hs.clone()
        d_hs[-1] += d_last
        d_b = ctx.backwards(a, d_hs)
        d_a = torch.empty_like(hs)
        torch.mul(d_b[0], h, out=d_a[0])
        torch.mul(d_b[1:], hs[:-1], out=d_a[1:])
        return d_a, d_b, a[0] * d_b[0], None


def scan(a: Tensor, b: Tensor, h: Tensor, *, positive: bool) -> tuple[Tensor, Tensor]:
    """h_1 … h_T of h_t = a_t ⊙ h_{t-1} + b_t (T, B, H), and h_T by itself, in at least single precision.

    Args:
        a: (T, B, H), between 0 and 1.
        b: (T, B, H), never negative if `positive`, which lets a GPU scan in log space.
        h: h_0, (B, H).
    """
    kind = torch.promote_types(b.dtype, torch.float32)
    hs, last = _Scan.apply(a.to(kind), b.to(kind), h.to(kind), positive)
    return hs, last
