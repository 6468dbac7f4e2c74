"""Every cell's single step, once, with the papers' letters.

Three readers use this page: the torch reference (`unroll`, the slow twin that every fast path is tested against), the
numpy engine that samples, and you. `xp` is the array namespace, numpy or torch; both have the few names used here.

x_t (B, D) is the input, h_t (B, H) the hidden state, c_t (B, H) the cell state. A cell is divided in two: `project` is
what the input alone decides, for one step or for all of them at once, and `step` is the recurrence. σ is the logistic
function, ⊙ the elementwise product. Nothing here knows initial values or how a core is trained, but for the places
where recurrent dropout and zoneout act: d and k in the equations, which are 1 and 0 where there is none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "Array",
    "Cell",
    "Hidden",
    "HiddenAndCell",
    "Noise",
    "U",
    "W",
    "b_U",
    "b_W",
    "gru",
    "lstm",
    "rnn",
    "rnn_relu",
]

Array = Any  # numpy.ndarray or torch.Tensor
Weights = Mapping[str, Array]

# The letters, as torch.nn's fused layers call them and as they therefore stand in a checkpoint. torch has two biases
# where the papers have one; only the GRU's candidate needs both.
W, U, b_W, b_U = (f"fused.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


class Hidden(NamedTuple):
    """State of a plain recurrent network or a GRU: h (B, H)."""

    h: Array


class HiddenAndCell(NamedTuple):
    """State of an LSTM: hidden state h and cell state c, each (B, H)."""

    h: Array
    c: Array


class Noise(NamedTuple):
    """What regularisation does to the steps; None for what is not there, as everywhere in evaluation but for `k`.

    d (B, H) is recurrent dropout: 0 or 1/(1-p), one mask for all steps of a sequence (Gal & Ghahramani 2016, arXiv
    1512.05287). In a gated cell it falls on the candidate, so that what is remembered is never erased (Semeniuta,
    Severyn & Barth 2016, arXiv 1603.05118); in one without gates on h_{t-1}.

    k_h and k_c are zoneout: which units keep their value of the step before, 0 or 1, (B, H) for each step; in
    evaluation the probability of that (Krueger et al. 2017, arXiv 1606.01305, equations 3 to 5).
    """

    d: Array | None = None
    k_h: Array | None = None
    k_c: Array | None = None

    @property
    def is_silent(self) -> bool:
        return all(part is None for part in self)


SILENT = Noise()


class Cell(NamedTuple):
    """One cell's equations: `project(x, weights)`, then `step(xp, projected, state, weights, noise)`, which gives
    output and next state.

    `shapes(D, H)` are those of the weights by name, for readers of checkpoints that have no torch; `reads` names those
    that have a column for each input.
    """

    state: type
    project: Callable[[Array, Weights], Array]
    step: Callable[[Any, Array, Any, Weights, Noise], tuple[Array, Any]]
    shapes: Callable[[int, int], dict[str, tuple[int, ...]]]
    reads: tuple[str, ...] = (W,)


def input_product(x: Array, W: Array) -> Array:
    """W x for vectors x (..., D), or for token ids (...): one-hot vectors, whose product is a look-up of columns."""
    is_one_hot = "int" in str(x.dtype)
    return W.T[x] if is_one_hot else x @ W.T


def _affine(x: Array, weights: Weights) -> Array:
    return input_product(x, weights[W]) + weights[b_W]


def _sigmoid(xp: Any, x: Array) -> Array:
    return 0.5 * xp.tanh(0.5 * x) + 0.5  # exp would overflow in one direction or the other


def _split(gates: Array, count: int) -> list[Array]:
    size = gates.shape[-1] // count
    return [gates[..., k * size : (k + 1) * size] for k in range(count)]


def _dropped(d: Array | None, x: Array) -> Array:
    """d ⊙ x."""
    return x if d is None else d * x


def _kept(k: Array | None, before: Array, after: Array) -> Array:
    """k ⊙ before + (1 - k) ⊙ after."""
    return after if k is None else after + k * (before - after)


def _rnn_step(xp: Any, projected: Array, state: Hidden, weights: Weights, noise: Noise) -> tuple[Array, Hidden]:
    """h_t = tanh(W x_t + U (d ⊙ h_{t-1}) + b)        Elman 1990, "Finding structure in time"."""
    h = xp.tanh(projected + _dropped(noise.d, state.h) @ weights[U].T + weights[b_U])
    h = _kept(noise.k_h, state.h, h)
    return h, Hidden(h)


def _rnn_relu_step(_: Any, projected: Array, state: Hidden, weights: Weights, noise: Noise) -> tuple[Array, Hidden]:
    """h_t = max(0, W x_t + U (d ⊙ h_{t-1}) + b)      Le, Jaitly & Hinton 2015, arXiv 1504.00941."""
    a = projected + _dropped(noise.d, state.h) @ weights[U].T + weights[b_U]
    h = _kept(noise.k_h, state.h, a * (a > 0))
    return h, Hidden(h)


def _lstm_step(
    xp: Any, projected: Array, state: HiddenAndCell, weights: Weights, noise: Noise
) -> tuple[Array, HiddenAndCell]:
    """i, f, o = σ(W x_t + U h_{t-1} + b), one block of rows each
    g       = tanh(W_g x_t + U_g h_{t-1} + b_g)
    c_t     = f ⊙ c_{t-1} + i ⊙ d ⊙ g
    h_t     = o ⊙ tanh(c_t)                    Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000.
    """
    i, f, g, o = _split(projected + state.h @ weights[U].T + weights[b_U], 4)
    c = _sigmoid(xp, f) * state.c + _sigmoid(xp, i) * _dropped(noise.d, xp.tanh(g))
    h = _sigmoid(xp, o) * xp.tanh(c)
    c, h = _kept(noise.k_c, state.c, c), _kept(noise.k_h, state.h, h)
    return h, HiddenAndCell(h, c)


def _gru_step(xp: Any, projected: Array, state: Hidden, weights: Weights, noise: Noise) -> tuple[Array, Hidden]:
    """r, z = σ(W x_t + U h_{t-1} + b), one block of rows each
    n    = d ⊙ tanh(W_n x_t + b_Wn + r ⊙ (U_n h_{t-1} + b_Un))
    h_t  = (1 - z) ⊙ n + z ⊙ h_{t-1}           Cho et al. 2014, arXiv 1406.1078; r after the product, as in cuDNN.
    """
    W_r, W_z, W_n = _split(projected, 3)
    U_r, U_z, U_n = _split(state.h @ weights[U].T + weights[b_U], 3)
    r, z = _sigmoid(xp, W_r + U_r), _sigmoid(xp, W_z + U_z)
    n = _dropped(noise.d, xp.tanh(W_n + r * U_n))
    h = _kept(noise.k_h, state.h, n + z * (state.h - n))
    return h, Hidden(h)


def _stacked(blocks: int) -> Callable[[int, int], dict[str, tuple[int, ...]]]:
    """Shapes where W, U and the biases hold `blocks` blocks of H rows."""
    return lambda D, H: {W: (blocks * H, D), U: (blocks * H, H), b_W: (blocks * H,), b_U: (blocks * H,)}


rnn = Cell(Hidden, _affine, _rnn_step, _stacked(1))
rnn_relu = Cell(Hidden, _affine, _rnn_relu_step, _stacked(1))
lstm = Cell(HiddenAndCell, _affine, _lstm_step, _stacked(4))
gru = Cell(Hidden, _affine, _gru_step, _stacked(3))
