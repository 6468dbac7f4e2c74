"""The layer-normalised cells and the mogrifier LSTM beside their papers' formulas, written down once more."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core
from charrnn.recurrent.registry import core_class

B, T, D, H = 2, 6, 4, 5

NORMALISED = ["ln-rnn", "ln-lstm", "ln-gru"]


def make(name: str, input_size: int = D) -> Core:
    torch.manual_seed(0)
    core = core_class(name)(input_size, H).double()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return core


def run(core: Core, inputs: Tensor | None = None) -> Tensor:
    """Outputs from a state that is not zero."""
    torch.manual_seed(1)
    state = type(core.initial_state(B))(*(torch.randn_like(part) for part in core.initial_state(B)))
    inputs = torch.randn(B, T, core.input_size, dtype=torch.float64) if inputs is None else inputs
    with torch.no_grad():
        return core(inputs, state)[0]


def ln(a: Tensor, gain: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    return F.layer_norm(a, a.shape[-1:], gain, b)


def ln_rnn(w: dict[str, Tensor], x: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, None]:
    return torch.tanh(ln(F.linear(x, w["W"]) + F.linear(h, w["U"]), w["gain"], w["b"])), None


def ln_lstm(w: dict[str, Tensor], x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    a = ln(F.linear(x, w["W"]), w["gain_W"], w["b"]) + ln(F.linear(h, w["U"]), w["gain_U"])
    i, f, g, o = a.chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * torch.tanh(ln(c, w["gain_c"], w["b_c"])), c


def ln_gru(w: dict[str, Tensor], x: Tensor, h: Tensor, c: Tensor | None) -> tuple[Tensor, None]:
    gates, n = slice(0, 2 * H), slice(2 * H, 3 * H)

    def of(product: Tensor, gain: Tensor, b: Tensor | None, rows: slice) -> Tensor:
        return ln(product[:, rows], gain[rows], b)

    Wx, Uh = F.linear(x, w["W"]), F.linear(h, w["U"])
    a = of(Wx, w["gain_W"], w["b"][gates], gates) + of(Uh, w["gain_U"], None, gates)
    r, z = a.sigmoid().chunk(2, -1)
    candidate = torch.tanh(of(Wx, w["gain_W"], w["b"][n], n) + r * of(Uh, w["gain_U"], w["b_Un"], n))
    return (1 - z) * candidate + z * h, None


def mogrifier_lstm(w: dict[str, Tensor], x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    x = 2 * torch.sigmoid(F.linear(h, w["Q1"])) * x
    h = 2 * torch.sigmoid(F.linear(x, w["R2"])) * h
    x = 2 * torch.sigmoid(F.linear(h, w["Q3"])) * x
    h = 2 * torch.sigmoid(F.linear(x, w["R4"])) * h
    x = 2 * torch.sigmoid(F.linear(h, w["Q5"])) * x
    return torch.lstm_cell(x, (h, c), w["W"], w["U"], w["b"], torch.zeros_like(w["b"]))


TWINS: dict[str, Any] = {"ln-rnn": ln_rnn, "ln-lstm": ln_lstm, "ln-gru": ln_gru, "mogrifier-lstm": mogrifier_lstm}


@pytest.mark.parametrize("name", TWINS)
def test_outputs_are_those_of_the_papers_formulas(name: str) -> None:
    core = make(name)
    torch.manual_seed(1)
    state = [torch.randn(B, H, dtype=torch.float64) for _ in core.initial_state(B)]
    inputs = torch.randn(B, T, D, dtype=torch.float64)
    h, c, expected = state[0], state[-1], []
    for t in range(T):
        h, c = TWINS[name](core.weights(), inputs[:, t], h, c)
        expected.append(h)
    torch.testing.assert_close(run(core, inputs), torch.stack(expected, 1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NORMALISED)
def test_the_scale_of_the_weights_does_not_matter(name: str) -> None:
    """Ba et al., section 5.1: the rows of a sum's weights may be rescaled together; ε alone sees it."""
    core = make(name)
    before = run(core)
    with torch.no_grad():
        for letter in ("W", "U"):
            core.weights()[letter].mul_(3)
    torch.testing.assert_close(run(core), before, rtol=1e-3, atol=1e-3)
    if name != "ln-rnn":  # where W x and U h are normalised apart
        with torch.no_grad():
            core.weights()["U"].mul_(3)
        torch.testing.assert_close(run(core), before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NORMALISED)
def test_a_shift_of_all_rows_of_a_sum_does_not_matter(name: str) -> None:
    """Ba et al., section 5.1: what is added to every row alike is taken away with the mean."""
    core = make(name)
    before = run(core)
    with torch.no_grad():
        for letter in ("W", "U"):
            weight = core.weights()[letter]
            weight.add_(torch.randn(1, weight.shape[1], dtype=torch.float64))
    torch.testing.assert_close(run(core), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NORMALISED)
def test_the_gain_does_matter(name: str) -> None:
    core = make(name)
    before = run(core)
    with torch.no_grad():
        core.weights()["gain" if name == "ln-rnn" else "gain_U"].mul_(2)
    assert (run(core) - before).abs().max() > 0.05


def test_a_mogrifier_of_zeros_leaves_an_lstm() -> None:
    core, twin = make("mogrifier-lstm"), nn.LSTM(D, H, batch_first=True, dtype=torch.float64)
    weights = core.weights()
    with torch.no_grad():
        for name in ("Q1", "R2", "Q3", "R4", "Q5"):
            weights[name].zero_()
        twin.weight_ih_l0.copy_(weights["W"])
        twin.weight_hh_l0.copy_(weights["U"])
        twin.bias_ih_l0.copy_(weights["b"])
        twin.bias_hh_l0.zero_()
        inputs = torch.randn(B, T, D, dtype=torch.float64)
        outputs, last = core(inputs, core.initial_state(B))
        expected, (h, c) = twin(inputs)
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(tuple(last), (h[0], c[0]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", TWINS)
def test_one_stream_of_zeros_from_the_zero_state_stays_finite_in_both_directions(name: str) -> None:
    """Nothing deviates from the mean of zeros, so that ε alone is what the normalisation divides by."""
    core = core_class(name)(D, H)
    inputs = torch.zeros(1, 50, D, requires_grad=True)
    outputs, _ = core(inputs, core.initial_state(1))
    outputs.square().sum().backward()
    leaves = [inputs, *core.parameters()]
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)
    assert outputs.isfinite().all()
