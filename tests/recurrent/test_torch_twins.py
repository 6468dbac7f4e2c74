"""Weights copied from torch.nn's own modules give equal numbers, gate by gate."""

import pytest
import torch
from torch import nn

from charrnn.recurrent.registry import core_class
from charrnn.recurrent.unroll import unroll

TWINS = {
    "rnn": nn.RNN,
    "rnn-relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


@pytest.mark.parametrize("name", TWINS)
def test_equations_are_those_of_torch(name: str) -> None:
    torch.manual_seed(0)
    twin = TWINS[name](4, 5, batch_first=True, dtype=torch.float64)
    inputs = torch.randn(2, 6, 4, dtype=torch.float64)
    expected, _ = twin(inputs)
    core = core_class(name)(4, 5).double()
    weights = dict(zip(("W", "U", "b_W", "b_U"), twin.parameters(), strict=True))
    outputs, _ = unroll(core.cell, weights, inputs, core.initial_state(2))
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)
