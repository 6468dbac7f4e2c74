"""What the cores begin with."""

import pytest
import torch
from torch import Tensor, nn

from charrnn.recurrent.registry import CORES, core_class

RECURRENT = [name for name in CORES if "U" in core_class(name)(3, 16).weights()]
GATED = ["lstm", "ln-lstm", "mogrifier-lstm"]
LETTERED = ["ln-rnn", "ln-lstm", "ln-gru", "mogrifier-lstm"]


def biases(name: str) -> dict[str, Tensor]:
    weights = core_class(name)(3, 16).weights()
    if name in LETTERED:
        return {key: value for key, value in weights.items() if key.startswith("b")}
    return {"b": weights["b_W"] + weights["b_U"]}  # torch has two that add up


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_blocks_are_orthogonal(name: str) -> None:
    for block in core_class(name)(3, 16).weights()["U"].split(16):
        torch.testing.assert_close(block @ block.T, torch.eye(16))


def test_rectified_units_begin_at_the_identity() -> None:
    assert torch.equal(core_class("rnn-relu")(3, 16).weights()["U"], torch.eye(16))


@pytest.mark.parametrize("name", GATED)
def test_the_forget_bias_in_effect_is_one(name: str) -> None:
    i, f, g, o = biases(name).pop("b").split(16)
    assert torch.equal(f, torch.ones(16))
    assert not torch.stack([i, g, o]).any()


@pytest.mark.parametrize("name", RECURRENT)
def test_all_other_biases_begin_at_zero(name: str) -> None:
    for key, bias in biases(name).items():
        assert (name in GATED and key == "b") or not bias.any()


@pytest.mark.parametrize("name", LETTERED)
def test_gains_begin_at_one_or_a_tenth_and_input_weights_within_those_of_torch(name: str) -> None:
    weights = core_class(name)(3, 16).weights()
    for key, gain in weights.items():
        if key.startswith("gain"):
            assert torch.equal(gain, torch.full_like(gain, 0.1 if key == "gain_U" else 1.0))
    assert 0.2 < weights["W"].abs().max() <= 0.25  # 1/√H


def test_a_mogrifier_lstm_begins_close_to_an_lstm() -> None:
    torch.manual_seed(0)
    core, twin = core_class("mogrifier-lstm")(16, 16), nn.LSTM(16, 16, batch_first=True)
    weights, inputs = core.weights(), torch.randn(4, 20, 16)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(weights["W"])
        twin.weight_hh_l0.copy_(weights["U"])
        twin.bias_ih_l0.copy_(weights["b"])
        twin.bias_hh_l0.zero_()
        outputs, expected = core(inputs, core.initial_state(4))[0], twin(inputs)[0]
    assert (outputs - expected).norm() < 0.1 * expected.norm()
