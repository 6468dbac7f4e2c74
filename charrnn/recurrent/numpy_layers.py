"""Steps of a layer in numpy: of any core straight from its equations; of an LSTM or a GRU by hand, twice as fast."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.recurrent.equations import Cell, Hidden, HiddenAndCell, Noise, gru, lstm
from charrnn.recurrent.states import State

__all__ = ["EquationLayer", "Layer", "numpy_layer"]

Floats = NDArray[np.float32]
Arrays = Mapping[str, Floats]


class Layer(Protocol):
    """A cell with its weights, laid out once for its products: `x @ M` is fast if each row of M is contiguous."""

    def project(self, x: NDArray[Any]) -> Floats:
        """The part that depends on the input alone, of vectors x (B, D) or token ids (B,): a new array (B, k·H)."""

    def step(self, projected: Floats, state: State) -> tuple[Floats, State]:
        """Output (B, H) and next state. It may overwrite `projected`, but not `state`."""


def numpy_layer(cell: Cell, weights: Arrays, noise: Noise) -> Layer:
    """The fastest layer for a cell."""
    if cell is lstm and noise.is_silent:
        return _LSTMLayer(weights)
    if cell is gru and noise.is_silent:
        return _GRULayer(weights)
    return EquationLayer(cell, weights, noise)


class EquationLayer:
    """A layer of any cell, by its equations."""

    def __init__(self, cell: Cell, weights: Arrays, noise: Noise) -> None:
        self._cell, self._noise = cell, noise
        self._weights = {name: np.asfortranarray(array) for name, array in weights.items()}  # so that U.T is in a piece

    def project(self, x: NDArray[Any]) -> Floats:
        """The cell's `project` of vectors (B, D) or token ids (B,): (B, k·H)."""
        projected: Floats = self._cell.project(x, self._weights)
        return projected

    def step(self, projected: Floats, state: State) -> tuple[Floats, State]:
        """The cell's `step`: output (B, H) and next state."""
        return self._cell.step(np, projected, state, self._weights, self._noise)


class _LSTMLayer:
    """An LSTM layer. σ(x) = tanh(x/2)/2 + 1/2, so one tanh serves all gates: `_scale` is 1/2 for them, 1 for g.

    The weights include the inner 1/2, and the bias is the sum of the two. Halves are exact. Arrays that are the same
    for every stream are (1, k·H): with one stream, numpy adds equal shapes in half the time.
    """

    def __init__(self, weights: Arrays) -> None:
        H = weights["U"].shape[1]
        self._scale = np.repeat(np.array([[0.5, 0.5, 1, 0.5]], np.float32), H, axis=1)
        self._shift = 1 - self._scale
        self._W, self._U = (np.ascontiguousarray(weights[name].T * self._scale) for name in ("W", "U"))
        self._b = (weights["b_W"] + weights["b_U"]) * self._scale

    def project(self, x: NDArray[Any]) -> Floats:
        """W x + b (B, 4H), scaled, of vectors x (B, D) or token ids (B,)."""
        projected = _product(x, self._W)
        projected += self._b
        return projected

    def step(self, projected: Floats, state: HiddenAndCell) -> tuple[Floats, HiddenAndCell]:
        """Output (B, H) and next state; `projected` is overwritten by the gates."""
        H = len(self._U)
        gates = projected
        gates += np.dot(state.h, self._U)
        np.tanh(gates, out=gates)
        gates *= self._scale
        gates += self._shift
        c = gates[:, H : 2 * H] * state.c
        c += gates[:, :H] * gates[:, 2 * H : 3 * H]
        h = np.tanh(c)
        h *= gates[:, 3 * H :]
        return h, HiddenAndCell(h, c)


class _GRULayer:
    """A GRU layer, made like the LSTM's, except that the candidate's b_U stays apart: the reset gate scales it."""

    def __init__(self, weights: Arrays) -> None:
        H = weights["U"].shape[1]
        scale = np.repeat(np.array([[0.5, 0.5, 1]], np.float32), H, axis=1)
        self._half = scale[:, : 2 * H]
        self._W, self._U = (np.ascontiguousarray(weights[name].T * scale) for name in ("W", "U"))
        self._b = weights["b_W"] * scale
        self._b[:, : 2 * H] += weights["b_U"][: 2 * H] * self._half
        self._b_Un = weights["b_U"][None, 2 * H :]

    def project(self, x: NDArray[Any]) -> Floats:
        """W x + b (B, 3H), scaled, of vectors x (B, D) or token ids (B,), without the candidate's b_U."""
        projected = _product(x, self._W)
        projected += self._b
        return projected

    def step(self, projected: Floats, state: Hidden) -> tuple[Floats, Hidden]:
        """Output (B, H) and next state."""
        H = len(self._U)
        product: Floats = np.dot(state.h, self._U)
        gates, n = product[:, : 2 * H], product[:, 2 * H :]
        gates += projected[:, : 2 * H]
        np.tanh(gates, out=gates)
        gates *= self._half
        gates += self._half
        n += self._b_Un
        n *= gates[:, :H]
        n += projected[:, 2 * H :]
        np.tanh(n, out=n)
        h = state.h - n
        h *= gates[:, H:]
        h += n
        return h, Hidden(h)


def _product(x: NDArray[Any], M: Floats) -> Floats:
    """x M for vectors x (B, D), or for token ids (B,), which stand for one-hot vectors."""
    product: Floats = M.take(x, axis=0) if x.dtype.kind == "i" else np.dot(x, M)
    return product
