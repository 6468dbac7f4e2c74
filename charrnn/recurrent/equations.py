"""The single step of every cell, once, with the letters of the papers.

Three readers use this page: the torch reference (`unroll`, the slow twin that every fast path is tested against), the
numpy engine that samples, and you. `xp` is the array namespace, numpy or torch; both have the few names used here.

x_t (B, D) is the input, h_t (B, H) the hidden state, c_t (B, H) the cell state. A cell has two parts: `project` is the
part that depends on the input alone, for one step or for all at once, and `step` is the recurrence. σ is the logistic
function, ⊙ the elementwise product. Initial values and training are not here, except the places where recurrent
dropout and zoneout act: d and k in the equations, which are 1 and 0 without them.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from charrnn.recurrent.states import State

__all__ = [
    "SILENT",
    "Array",
    "Cell",
    "Hidden",
    "HiddenAndCell",
    "Noise",
    "dropped",
    "gru",
    "ln_gru",
    "ln_lstm",
    "ln_rnn",
    "lstm",
    "mogrifier_lstm",
    "rnn",
    "rnn_relu",
    "sigmoid",
    "zoneout",
]

Array = Any  # numpy.ndarray or torch.Tensor
Weights = Mapping[str, Array]


class Hidden(NamedTuple):
    """State of a plain recurrent network or a GRU: h (B, H)."""

    h: Array


class HiddenAndCell(NamedTuple):
    """State of an LSTM: hidden state h and cell state c, each (B, H)."""

    h: Array
    c: Array


class LSTMGates(NamedTuple):
    """Input, forget and output gate of an LSTM, and its candidate g, before dropout; each (B, H)."""

    i: Array
    f: Array
    g: Array
    o: Array


class GRUGates(NamedTuple):
    """Reset and update gate of a GRU, and its candidate n, before dropout; each (B, H)."""

    r: Array
    z: Array
    n: Array


class Noise(NamedTuple):
    """Regularisation of the steps. A part that is not used is None; in evaluation only k_h and k_c may be used.

    d (B, H) is recurrent dropout: 0 or 1/(1-p), one mask for all steps of a sequence (Gal & Ghahramani 2016, arXiv
    1512.05287). A gated cell has it on the candidate, so that it never erases memory (Semeniuta, Severyn & Barth 2016,
    arXiv 1603.05118); a cell without gates has it on h_{t-1}.

    k_h and k_c are zoneout: 1 for units that keep their value of the step before, else 0, (B, H) for each step; in
    evaluation, the probability of that (Krueger et al. 2017, arXiv 1606.01305, equations 3 to 5).
    """

    d: Array | None = None
    k_h: Array | None = None
    k_c: Array | None = None

    @property
    def is_silent(self) -> bool:
        """True if there is neither dropout nor zoneout."""
        return all(part is None for part in self)


SILENT = Noise()
LAYER_NORM_EPSILON = 1e-5  # of layer normalisation, as in torch
MOGRIFIER_ROUNDS = 5


class Cell(NamedTuple):
    """The equations of one cell: `project(x, weights)`, then `step(xp, projected, state, weights, noise)`, which
    returns output and next state.

    `shapes(D, H)` are the shapes of the weights by name, for readers of checkpoints without torch; `reads` names the
    weights that have a column for each input. A cell that `is_residual` lacks these above the first layer: it adds to
    the output of the layer below. `gates(xp, projected, h_{t-1}, weights)` are the gates of a step, for those who look
    inside.
    """

    state: type
    project: Callable[[Array, Weights], Array]
    step: Callable[[ModuleType, Array, State, Weights, Noise], tuple[Array, State]]
    shapes: Callable[[int, int], dict[str, tuple[int, ...]]]
    reads: tuple[str, ...] = ("W",)
    gates: Callable[[ModuleType, Array, Array, Weights], LSTMGates | GRUGates] | None = None
    is_residual: bool = False

    def layer_shapes(self, D: int | None, H: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights of a layer that reads vectors of width D or, without D, the layer below's output."""
        shapes = self.shapes(H if D is None else D, H)
        left_out = self.reads if D is None and self.is_residual else ()
        return {name: shape for name, shape in shapes.items() if name not in left_out}


def input_product(x: Array, W: Array) -> Array:
    """W x for vectors x (..., D), or for token ids (...), which stand for one-hot vectors: a look-up of columns."""
    is_one_hot = "int" in str(x.dtype)
    return W.T[x] if is_one_hot else x @ W.T


def _affine(x: Array, weights: Weights) -> Array:
    return input_product(x, weights["W"]) + weights["b_W"]


def sigmoid(xp: ModuleType, x: Array) -> Array:
    """σ(x), by tanh."""
    return 0.5 * xp.tanh(0.5 * x) + 0.5  # exp would overflow in one direction or the other


def _split(gates: Array, count: int) -> list[Array]:
    size = gates.shape[-1] // count
    return [gates[..., k * size : (k + 1) * size] for k in range(count)]


def dropped(d: Array | None, x: Array) -> Array:
    """d ⊙ x."""
    return x if d is None else d * x


def zoneout(k: Array | None, before: Array, after: Array) -> Array:
    """k ⊙ before + (1 - k) ⊙ after."""
    return after if k is None else after + k * (before - after)


def _rnn_step(xp: ModuleType, projected: Array, state: Hidden, weights: Weights, noise: Noise) -> tuple[Array, Hidden]:
    """h_t = tanh(W x_t + U (d ⊙ h_{t-1}) + b)        Elman 1990, "Finding structure in time"."""
    h = xp.tanh(projected + dropped(noise.d, state.h) @ weights["U"].T + weights["b_U"])
    h = zoneout(noise.k_h, state.h, h)
    return h, Hidden(h)


def _rnn_relu_step(
    _: ModuleType, projected: Array, state: Hidden, weights: Weights, noise: Noise
) -> tuple[Array, Hidden]:
    """h_t = max(0, W x_t + U (d ⊙ h_{t-1}) + b)      Le, Jaitly & Hinton 2015, arXiv 1504.00941."""
    a = projected + dropped(noise.d, state.h) @ weights["U"].T + weights["b_U"]
    h = zoneout(noise.k_h, state.h, a * (a > 0))
    return h, Hidden(h)


def _lstm_step(
    xp: ModuleType, projected: Array, state: HiddenAndCell, weights: Weights, noise: Noise
) -> tuple[Array, HiddenAndCell]:
    """i, f, o = σ(W x_t + U h_{t-1} + b), one block of rows each
    g       = tanh(W_g x_t + U_g h_{t-1} + b_g)
    c_t     = f ⊙ c_{t-1} + i ⊙ d ⊙ g
    h_t     = o ⊙ tanh(c_t)                    Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000.
    """
    i, f, g, o = _lstm_gates(xp, projected, state.h, weights)
    c = f * state.c + i * dropped(noise.d, g)
    h = o * xp.tanh(c)
    c, h = zoneout(noise.k_c, state.c, c), zoneout(noise.k_h, state.h, h)
    return h, HiddenAndCell(h, c)


def _lstm_gates(xp: ModuleType, projected: Array, h: Array, weights: Weights) -> LSTMGates:
    i, f, g, o = _split(projected + h @ weights["U"].T + weights["b_U"], 4)
    return LSTMGates(sigmoid(xp, i), sigmoid(xp, f), xp.tanh(g), sigmoid(xp, o))


def _gru_step(xp: ModuleType, projected: Array, state: Hidden, weights: Weights, noise: Noise) -> tuple[Array, Hidden]:
    """r, z = σ(W x_t + U h_{t-1} + b), one block of rows each
    n    = d ⊙ tanh(W_n x_t + b_Wn + r ⊙ (U_n h_{t-1} + b_Un))
    h_t  = (1 - z) ⊙ n + z ⊙ h_{t-1}           Cho et al. 2014, arXiv 1406.1078; r after the product, as in cuDNN.
    """
    _, z, n = _gru_gates(xp, projected, state.h, weights)
    n = dropped(noise.d, n)
    h = zoneout(noise.k_h, state.h, n + z * (state.h - n))
    return h, Hidden(h)


def _gru_gates(xp: ModuleType, projected: Array, h: Array, weights: Weights) -> GRUGates:
    W_r, W_z, W_n = _split(projected, 3)
    U_r, U_z, U_n = _split(h @ weights["U"].T + weights["b_U"], 3)
    r, z = sigmoid(xp, W_r + U_r), sigmoid(xp, W_z + U_z)
    return GRUGates(r, z, xp.tanh(W_n + r * U_n))


def _normalised(a: Array) -> Array:
    """LN(a) without gain and bias: every row gets mean 0 and variance 1, except for ε."""
    a = a - a.mean(-1, keepdims=True)
    return a / ((a * a).mean(-1, keepdims=True) + LAYER_NORM_EPSILON) ** 0.5


def _ln_rnn_project(x: Array, weights: Weights) -> Array:
    return input_product(x, weights["W"])


def _ln_rnn_step(
    xp: ModuleType, projected: Array, state: Hidden, weights: Weights, noise: Noise
) -> tuple[Array, Hidden]:
    """h_t = tanh(γ ⊙ LN(W x_t + U (d ⊙ h_{t-1})) + b)      Ba, Kiros & Hinton 2016, arXiv 1607.06450, equation 4."""
    a = projected + dropped(noise.d, state.h) @ weights["U"].T
    h = xp.tanh(weights["gain"] * _normalised(a) + weights["b"])
    h = zoneout(noise.k_h, state.h, h)
    return h, Hidden(h)


def _ln_lstm_project(x: Array, weights: Weights) -> Array:
    return weights["gain_W"] * _normalised(input_product(x, weights["W"])) + weights["b"]


def _ln_lstm_step(
    xp: ModuleType, projected: Array, state: HiddenAndCell, weights: Weights, noise: Noise
) -> tuple[Array, HiddenAndCell]:
    """i, f, o, g before σ and tanh = γ_W ⊙ LN(W x_t) + γ_U ⊙ LN(U h_{t-1}) + b, each LN over all four blocks
    c_t     = σ(f) ⊙ c_{t-1} + σ(i) ⊙ d ⊙ tanh(g)
    h_t     = σ(o) ⊙ tanh(γ_c ⊙ LN(c_t) + b_c)              Ba, Kiros & Hinton 2016, equations 20 to 22.
    """
    i, f, g, o = _split(projected + weights["gain_U"] * _normalised(state.h @ weights["U"].T), 4)
    c = sigmoid(xp, f) * state.c + sigmoid(xp, i) * dropped(noise.d, xp.tanh(g))
    h = sigmoid(xp, o) * xp.tanh(weights["gain_c"] * _normalised(c) + weights["b_c"])
    c, h = zoneout(noise.k_c, state.c, c), zoneout(noise.k_h, state.h, h)
    return h, HiddenAndCell(h, c)


def _ln_gru_blocks(product: Array, gain: Array) -> list[Array]:
    """Blocks r, z and n of γ ⊙ LN(product); the two gates are normalised together, the candidate by itself."""
    H = gain.shape[-1] // 3
    gates, n = gain[: 2 * H] * _normalised(product[..., : 2 * H]), gain[2 * H :] * _normalised(product[..., 2 * H :])
    return [gates[..., :H], gates[..., H:], n]


def _ln_gru_step(
    xp: ModuleType, projected: Array, state: Hidden, weights: Weights, noise: Noise
) -> tuple[Array, Hidden]:
    """r, z = σ(γ_W ⊙ LN(W x_t) + γ_U ⊙ LN(U h_{t-1}) + b), one block of rows each, both in one LN
    n    = d ⊙ tanh(γ_Wn ⊙ LN(W_n x_t) + b_n + r ⊙ (γ_Un ⊙ LN(U_n h_{t-1}) + b_Un))
    h_t  = (1 - z) ⊙ n + z ⊙ h_{t-1}                       Ba, Kiros & Hinton 2016, equations 26 to 28; z as in the GRU.
    """
    b_r, b_z, b_n = _split(weights["b"], 3)
    W_r, W_z, W_n = _ln_gru_blocks(projected, weights["gain_W"])
    U_r, U_z, U_n = _ln_gru_blocks(state.h @ weights["U"].T, weights["gain_U"])
    r, z = sigmoid(xp, W_r + U_r + b_r), sigmoid(xp, W_z + U_z + b_z)
    n = dropped(noise.d, xp.tanh(W_n + b_n + r * (U_n + weights["b_Un"])))
    h = zoneout(noise.k_h, state.h, n + z * (state.h - n))
    return h, Hidden(h)


def _dense(x: Array, weights: Weights) -> Array:
    """Vectors as they are; token ids (...) as the one-hot vectors (..., D) that they stand for."""
    if "int" not in str(x.dtype):
        return x
    W = weights["W"]
    one_hot = W.T[:, :0] @ W[:0]  # zeros (D, D), of the weights' kind
    diagonal = list(range(len(one_hot)))
    one_hot[diagonal, diagonal] = 1
    return one_hot[x]


def _mogrifier_lstm_step(
    xp: ModuleType, projected: Array, state: HiddenAndCell, weights: Weights, noise: Noise
) -> tuple[Array, HiddenAndCell]:
    """x = 2 σ(Q_k h) ⊙ x for k = 1, 3, 5 and h = 2 σ(R_k x) ⊙ h for k = 2, 4, in turn, from x_t and h_{t-1}; then
    the LSTM's step, on the new x and h, with one b.        Melis, Kočiský & Blunsom 2019, arXiv 1909.01792.
    """
    x, h = projected, state.h
    for k in range(1, MOGRIFIER_ROUNDS + 1):
        if k % 2:
            x = 2 * sigmoid(xp, h @ weights[f"Q{k}"].T) * x
        else:
            h = 2 * sigmoid(xp, x @ weights[f"R{k}"].T) * h
    i, f, g, o = _split(x @ weights["W"].T + h @ weights["U"].T + weights["b"], 4)
    c = sigmoid(xp, f) * state.c + sigmoid(xp, i) * dropped(noise.d, xp.tanh(g))
    h = sigmoid(xp, o) * xp.tanh(c)
    c, h = zoneout(noise.k_c, state.c, c), zoneout(noise.k_h, state.h, h)
    return h, HiddenAndCell(h, c)


def _stacked(blocks: int) -> Callable[[int, int], dict[str, tuple[int, ...]]]:
    """Shapes of W, U and the biases with `blocks` blocks of H rows each.

    There are two biases, as in torch.nn, while the papers have one; only the GRU's candidate needs both.
    """
    return lambda D, H: {"W": (blocks * H, D), "U": (blocks * H, H), "b_W": (blocks * H,), "b_U": (blocks * H,)}


def _ln_shapes(blocks: int, *rest: str) -> Callable[[int, int], dict[str, tuple[int, ...]]]:
    """Shapes of W, U, their gains and their bias with `blocks` blocks of H rows each, and of the rest with one."""

    def shapes(D: int, H: int) -> dict[str, tuple[int, ...]]:
        """Shapes by name, for input width D and hidden size H."""
        sums = dict.fromkeys(("gain_W", "gain_U", "b"), (blocks * H,))
        return {"W": (blocks * H, D), "U": (blocks * H, H), **sums, **dict.fromkeys(rest, (H,))}

    return shapes


def _mogrifier_shapes(D: int, H: int) -> dict[str, tuple[int, ...]]:
    Q = {f"Q{k}": (D, H) for k in range(1, MOGRIFIER_ROUNDS + 1, 2)}
    R = {f"R{k}": (H, D) for k in range(2, MOGRIFIER_ROUNDS + 1, 2)}
    return {"W": (4 * H, D), "U": (4 * H, H), "b": (4 * H,), **Q, **R}


rnn = Cell(Hidden, _affine, _rnn_step, _stacked(1))
rnn_relu = Cell(Hidden, _affine, _rnn_relu_step, _stacked(1))
lstm = Cell(HiddenAndCell, _affine, _lstm_step, _stacked(4), gates=_lstm_gates)
gru = Cell(Hidden, _affine, _gru_step, _stacked(3), gates=_gru_gates)
ln_rnn = Cell(
    Hidden,
    _ln_rnn_project,
    _ln_rnn_step,
    lambda D, H: {"W": (H, D), "U": (H, H), "gain": (H,), "b": (H,)},
)
ln_lstm = Cell(HiddenAndCell, _ln_lstm_project, _ln_lstm_step, _ln_shapes(4, "gain_c", "b_c"))
ln_gru = Cell(Hidden, _ln_rnn_project, _ln_gru_step, _ln_shapes(3, "b_Un"))
mogrifier_lstm = Cell(HiddenAndCell, _dense, _mogrifier_lstm_step, _mogrifier_shapes, reads=("W", "R2", "R4"))
