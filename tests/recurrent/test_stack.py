"""Layers above each other, and dropout between them."""

import torch

from charrnn.recurrent.registry import core_class
from charrnn.recurrent.stack import Stack


def make(dropout: float, *, residual: bool = False) -> Stack:
    torch.manual_seed(0)
    return Stack([core_class("gru")(3, 5), core_class("gru")(5, 5)], dropout, residual=residual)


def test_each_layer_reads_the_one_below() -> None:
    stack, inputs = make(0.0), torch.randn(2, 4, 3)
    outputs, state = stack(inputs, stack.initial_state(2))
    below, below_state = stack.layers[0](inputs, stack.initial_state(2)[0])
    above, above_state = stack.layers[1](below, stack.initial_state(2)[1])
    torch.testing.assert_close(outputs, above)
    torch.testing.assert_close(state, (below_state, above_state))


def test_dropout_acts_in_training_only_and_never_on_the_carried_state() -> None:
    stack, inputs = make(0.5), torch.randn(2, 400, 3)
    plain, plain_state = stack.eval()(inputs, stack.initial_state(2))
    dropped, dropped_state = stack.train()(inputs, stack.initial_state(2))
    assert not plain.eq(0).any()
    assert 0.4 < dropped.eq(0).float().mean() < 0.6
    torch.testing.assert_close(plain_state[0], dropped_state[0])  # dropout comes after the first layer's recurrence


def test_residual_layers_add_to_what_they_read() -> None:
    stack, inputs = make(0.0, residual=True), torch.randn(2, 4, 3)
    outputs, _ = stack(inputs, stack.initial_state(2))
    below, _ = stack.layers[0](inputs, stack.initial_state(2)[0])
    above, _ = stack.layers[1](below, stack.initial_state(2)[1])
    torch.testing.assert_close(outputs, below + above)
    assert stack.state_dict().keys() == make(0.0).state_dict().keys()  # it has no weights of its own


def test_dropout_is_exact_in_expectation() -> None:
    stack, inputs = make(0.25), torch.randn(1, 1, 3).expand(20_000, 1, 3)
    with torch.no_grad():
        plain = stack.layers[0](inputs[:1], stack.initial_state(1)[0])[0]
        dropped = Stack([stack.layers[0]], 0.25)(inputs, stack.initial_state(20_000)[:1])[0]  # type: ignore[list-item]
    assert ((dropped.mean(0) - plain[0]).abs() <= 5 * dropped.std(0) / 20_000**0.5).all()
