"""The second page of equations: cells whose recurrence is linear, h_t = a_t ⊙ h_{t-1} + b_t, inside a residual block.

a and b do not depend on h_{t-1}, so all steps of a sequence can be computed at once; see `scan`. A block around the
cell makes up for this limit: a short convolution over time before the recurrence and a multi-layer perceptron after
it, on a residual stream. The first layer begins the stream, x_0 = W x_t; those above take it from the layer below,
x_0 = x_t. Letters and readers are those of `equations`.

Not as in the papers: each block ends with a norm, not the last one alone; the perceptrons are H / 2 and H / 3 wide, not
3 H or 4 H; rg-lru scales its input at a document's first position, too, where the authors' code does not (that was no
better: see `charrnn help training`); `--residual` adds the stream a second time.
"""

import math
from types import ModuleType
from typing import NamedTuple

from charrnn.recurrent.equations import Array, Cell, Noise, Weights, dropped, input_product, sigmoid, zoneout

__all__ = ["DECAY", "RMS_NORM_EPSILON", "WIDTH", "Convolved", "min_gru", "min_lstm", "rg_lru"]

WIDTH = 4  # of the convolution: this step and three before it
RMS_NORM_EPSILON = 1e-6  # added to mean squares
DECAY = 8.0  # of rg-lru, c in the paper


class Convolved(NamedTuple):
    """State of a block: hidden state h, and the convolution's inputs one, two and three steps ago, each (B, H)."""

    h: Array
    x1: Array
    x2: Array
    x3: Array


def _entered(x: Array, weights: Weights) -> Array:
    return input_product(x, weights["W"]) if "W" in weights else x


def _rms_norm(xp: ModuleType, x: Array) -> Array:
    """x / √(mean x²)     Zhang & Sennrich 2019, arXiv 1910.07467; without a gain, as weights always follow."""
    return x / xp.sqrt((x * x).mean(-1)[..., None] + RMS_NORM_EPSILON)


def _gelu(xp: ModuleType, x: Array) -> Array:
    """x Φ(x), nearly      Hendrycks & Gimpel 2016, arXiv 1606.08415."""
    return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def _softplus(xp: ModuleType, x: Array) -> Array:
    """log(1 + eˣ)."""
    return xp.log1p(xp.exp(-abs(x))) + 0.5 * (x + abs(x))


def _positive(xp: ModuleType, x: Array) -> Array:
    """g(x) = x + 1/2 from 0 on, σ(x) below         Feng et al. 2024, appendix B."""
    above = 0.5 * (x + abs(x))
    return above + sigmoid(xp, x - above)


def _convolved(x: Array, state: Convolved, C: Array) -> Array:
    """C_0 ⊙ x_t + C_1 ⊙ x_{t-1} + C_2 ⊙ x_{t-2} + C_3 ⊙ x_{t-3}."""
    return C[0] * x + C[1] * state.x1 + C[2] * state.x2 + C[3] * state.x3


def _min_block(xp: ModuleType, x: Array, h: Array, weights: Weights) -> Array:
    """y   = x_0 + W_o h_t
    out = norm(y + W_2 gelu(W_1 norm(y) + b_1)).
    """
    y = x + h @ weights["W_o"].T
    inner = _gelu(xp, _rms_norm(xp, y) @ weights["W_1"].T + weights["b_1"])
    return _rms_norm(xp, y + inner @ weights["W_2"].T)


def _min_gru_step(
    xp: ModuleType, x: Array, state: Convolved, weights: Weights, noise: Noise
) -> tuple[Array, Convolved]:
    """u   = norm(x_0),  v = C * u, over this step and the three before it
    z   = σ(W_z v + b_z)
    h_t = (1 - z) ⊙ h_{t-1} + z ⊙ d ⊙ g(W_h v + b_h)     Feng et al. 2024, arXiv 2410.01201, section 3.1.
    """
    u = _rms_norm(xp, x)
    v = _convolved(u, state, weights["C"])
    z = sigmoid(xp, v @ weights["W_z"].T + weights["b_z"])
    candidate = _positive(xp, v @ weights["W_h"].T + weights["b_h"])
    h = zoneout(noise.k_h, state.h, (1 - z) * state.h + z * dropped(noise.d, candidate))
    return _min_block(xp, x, h, weights), Convolved(h, u, state.x1, state.x2)


def _min_lstm_step(
    xp: ModuleType, x: Array, state: Convolved, weights: Weights, noise: Noise
) -> tuple[Array, Convolved]:
    """u, v as in min-gru
    f, i = σ(W_f v + b_f), σ(W_i v + b_i)
    h_t  = f / (f + i) ⊙ h_{t-1} + i / (f + i) ⊙ d ⊙ g(W_h v + b_h)     Feng et al. 2024, section 3.2.
    """
    u = _rms_norm(xp, x)
    v = _convolved(u, state, weights["C"])
    # Both gates may be nearly 0, but their quotient is not: i / (f + i) = σ(log i - log f).
    log_f, log_i = (-_softplus(xp, -(v @ weights[f"W_{gate}"].T) - weights[f"b_{gate}"]) for gate in "fi")
    candidate = _positive(xp, v @ weights["W_h"].T + weights["b_h"])
    share = sigmoid(xp, log_i - log_f)
    h = zoneout(noise.k_h, state.h, (1 - share) * state.h + share * dropped(noise.d, candidate))
    return _min_block(xp, x, h, weights), Convolved(h, u, state.x1, state.x2)


def _blockwise(x: Array, W: Array) -> Array:
    """W x (B, H) for a block-diagonal W (blocks, H / blocks, H / blocks)."""
    blocks, size, _ = W.shape
    return (x.reshape(-1, blocks, 1, size) @ W.swapaxes(1, 2)).reshape(x.shape)


def _rg_lru_step(xp: ModuleType, x: Array, state: Convolved, weights: Weights, noise: Noise) -> tuple[Array, Convolved]:
    """u   = W_u norm(x_0),  v = C * u, over this step and the three before it
    r, i = σ(W_r v + b_r), σ(W_i v + b_i)
    a   = exp(-8 softplus(Λ) ⊙ r)
    h_t = a ⊙ h_{t-1} + √(1 - a²) ⊙ i ⊙ d ⊙ v               De et al. 2024, arXiv 2402.19427, equations 1 to 4.
    y   = x_0 + W_o (h_t ⊙ gelu(W_g norm(x_0)))
    out = norm(y + W_2 (gelu(W_1 norm(y) + b_1) ⊙ W_3 norm(y))).
    """
    normed = _rms_norm(xp, x)
    u = normed @ weights["W_u"].T
    v = _convolved(u, state, weights["C"])
    r, i = (sigmoid(xp, _blockwise(v, weights[f"W_{gate}"]) + weights[f"b_{gate}"]) for gate in "ri")
    log_a = -DECAY * _softplus(xp, weights["Lambda"]) * r
    b = xp.sqrt(RMS_NORM_EPSILON**2 - xp.expm1(2 * log_a)) * i * dropped(noise.d, v)
    h = zoneout(noise.k_h, state.h, xp.exp(log_a) * state.h + b)
    y = x + (h * _gelu(xp, normed @ weights["W_g"].T)) @ weights["W_o"].T
    normed = _rms_norm(xp, y)
    inner = _gelu(xp, normed @ weights["W_1"].T + weights["b_1"]) * (normed @ weights["W_3"].T)
    return _rms_norm(xp, y + inner @ weights["W_2"].T), Convolved(h, u, state.x1, state.x2)


def _min_shapes(gates: str, D: int, H: int) -> dict[str, tuple[int, ...]]:
    """Shapes with a perceptron of width H / 2, rounded up to a multiple of 8; a wider one is no faster than an LSTM."""
    M = 8 * math.ceil(H / 16)
    shapes: dict[str, tuple[int, ...]] = {"W": (H, D), "C": (WIDTH, H)}
    for gate in gates:
        shapes |= {f"W_{gate}": (H, H), f"b_{gate}": (H,)}
    return shapes | {"W_o": (H, H), "W_1": (M, H), "b_1": (M,), "W_2": (H, M)}


def _rg_lru_shapes(D: int, H: int) -> dict[str, tuple[int, ...]]:
    """Shapes with gates in 16 blocks, as in the paper, or as many as divide both 16 and H; and a gated perceptron of
    width H / 3, rounded up to a multiple of 8, which has as many weights as one of width H / 2 without a gate.
    """
    blocks, M = math.gcd(16, H), 8 * math.ceil(H / 24)
    shapes: dict[str, tuple[int, ...]] = {"W": (H, D), "W_u": (H, H), "W_g": (H, H), "C": (WIDTH, H)}
    for gate in "ri":
        shapes |= {f"W_{gate}": (blocks, H // blocks, H // blocks), f"b_{gate}": (H,)}
    return shapes | {"Lambda": (H,), "W_o": (H, H), "W_1": (M, H), "b_1": (M,), "W_3": (M, H), "W_2": (H, M)}


min_gru = Cell(Convolved, _entered, _min_gru_step, lambda D, H: _min_shapes("zh", D, H), is_residual=True)
min_lstm = Cell(Convolved, _entered, _min_lstm_step, lambda D, H: _min_shapes("fih", D, H), is_residual=True)
rg_lru = Cell(Convolved, _entered, _rg_lru_step, _rg_lru_shapes, is_residual=True)
