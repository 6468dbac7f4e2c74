"""What the cores begin with."""

import pytest
import torch

from charrnn.recurrent.equations import U, b_U, b_W
from charrnn.recurrent.registry import CORES, core_class


@pytest.mark.parametrize("name", CORES)
def test_recurrent_blocks_are_orthogonal(name: str) -> None:
    for block in core_class(name)(3, 16).weights()[U].split(16):
        torch.testing.assert_close(block @ block.T, torch.eye(16))


def test_rectified_units_begin_at_the_identity() -> None:
    assert torch.equal(core_class("rnn-relu")(3, 16).weights()[U], torch.eye(16))


def test_the_forget_bias_in_effect_is_one() -> None:
    weights = core_class("lstm")(3, 16).weights()
    i, f, g, o = (weights[b_W] + weights[b_U]).split(16)
    assert torch.equal(f, torch.ones(16))
    assert not torch.stack([i, g, o]).any()


@pytest.mark.parametrize("name", sorted(set(CORES) - {"lstm"}))
def test_all_other_biases_begin_at_zero(name: str) -> None:
    weights = core_class(name)(3, 16).weights()
    assert not weights[b_W].any()
    assert not weights[b_U].any()
