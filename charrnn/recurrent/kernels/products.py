"""Products with the same weights at every step, in the weights' precision or, under autocast, in half precision."""

from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Product", "autocast_type"]


def autocast_type(x: Tensor) -> torch.dtype | None:
    """Autocast's type for products on x's device; None if it is off."""
    device = x.device.type
    is_on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.get_autocast_dtype(device) if is_on else None


class Product:
    """Products with one matrix M (N, K) for all steps of a chunk, forward and backward.

    With `low`, operands are rounded to that type, and so are the products, which are summed in single precision. Inputs
    and outputs keep their type, so that a state that is added to at every step loses nothing.
    """

    def __init__(self, M: Tensor, low: torch.dtype | None) -> None:
        self._low = low
        self._M = M if low is None else M.to(low)

    @cached_property
    def _columns(self) -> Tensor:
        return self._M.t() if self._low is None else self._M.t().contiguous()  # half precision wants them in a piece

    def forward(self, x: Tensor, out: Tensor, plus: Tensor | None = None) -> Tensor:
        """Put M x (+ plus) of rows x (B, K) into `out` (B, N), which may be `plus` itself."""
        return self._multiply(x, self._columns, out, plus)

    def backward(self, d: Tensor, out: Tensor, plus: Tensor | None = None) -> Tensor:
        """Put the gradient of x (+ plus), from that of M x (B, N), into `out` (B, K), which may be `plus` itself."""
        return self._multiply(d, self._M, out, plus)

    def gradient(self, d: Tensor, x: Tensor) -> Tensor:
        """The gradient of M (N, K), Σ_t Σ_b d ⊗ x, from all steps' d (T, B, N) and x (T, B, K) in a single product."""
        rows, columns = d.flatten(0, 1), x.flatten(0, 1)
        if self._low is None:
            return rows.t() @ columns
        return (rows.to(self._low).t() @ columns.to(self._low)).to(d.dtype)

    def _multiply(self, x: Tensor, columns: Tensor, out: Tensor, plus: Tensor | None) -> Tensor:
        if self._low is not None:
            product = torch.mm(x.to(self._low), columns)
            return out.copy_(product) if plus is None else torch.add(plus, product, out=out)
        return torch.mm(x, columns, out=out) if plus is None else torch.addmm(plus, x, columns, out=out)
