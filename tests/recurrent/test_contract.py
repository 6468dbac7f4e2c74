"""The laws that every registered core keeps, in double precision. A new core is tested on arrival."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.recurrent.contract import Core
from charrnn.recurrent.equations import SILENT, Noise
from charrnn.recurrent.registry import CORES, core_class, core_equations
from charrnn.recurrent.unroll import unroll

B, T, D, H = 2, 6, 4, 5  # small and all different, so that swapped axes show

cores = pytest.mark.parametrize("name", CORES)
both_inputs = pytest.mark.parametrize("kind", ["vectors", "one-hot"])


def make(name: str) -> Core:
    torch.manual_seed(0)
    core = core_class(name)(D, H).double()
    with torch.no_grad():  # biases begin at zero, which would hide their misuse
        for parameter in core.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return core


def make_inputs(kind: str, time: int = T) -> Tensor:
    torch.manual_seed(1)
    return torch.randint(D, (B, time)) if kind == "one-hot" else torch.randn(B, time, D, dtype=torch.float64)


def make_state(core: Core) -> Any:
    torch.manual_seed(2)
    return type(core.initial_state(B))(*(torch.randn_like(part) for part in core.initial_state(B)))


def assert_close(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@cores
@both_inputs
def test_chunks_with_carried_state_equal_one_pass(name: str, kind: str) -> None:
    core, inputs = make(name), make_inputs(kind)
    whole, last = core(inputs, make_state(core))
    first, state = core(inputs[:, :4], make_state(core))
    second, state = core(inputs[:, 4:], state)
    assert whole.shape == (B, T, H)
    assert_close(torch.cat([first, second], 1), whole)
    assert_close(tuple(state), tuple(last))


@cores
@both_inputs
def test_single_steps_equal_the_sequence(name: str, kind: str) -> None:
    core, inputs = make(name), make_inputs(kind)
    whole, last = core(inputs, make_state(core))
    state, outputs = make_state(core), []
    for t in range(T):
        output, state = core(inputs[:, t : t + 1], state)
        outputs.append(output)
    assert_close(torch.cat(outputs, 1), whole)
    assert_close(tuple(state), tuple(last))


@cores
@both_inputs
def test_the_future_never_changes_the_past(name: str, kind: str) -> None:
    core, inputs = make(name), make_inputs(kind)
    changed = inputs.clone()
    changed[:, 3] = (inputs[:, 3] + 1) % D
    outputs, _ = core(inputs, make_state(core))
    other, _ = core(changed, make_state(core))
    assert torch.equal(outputs[:, :3], other[:, :3])
    assert not torch.equal(outputs[:, 3], other[:, 3])


@cores
@both_inputs
def test_gradients_pass_a_numerical_check(name: str, kind: str) -> None:
    core, inputs = make(name), make_inputs(kind, time=3)
    parameters = dict(core.named_parameters())
    state = make_state(core)
    is_dense = inputs.is_floating_point()
    variables = (*([inputs] if is_dense else []), *state, *parameters.values())

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = list(values)
        own_inputs = given.pop(0) if is_dense else inputs
        own_state = type(state)(*(given.pop(0) for _ in state))
        own = dict(zip(parameters, given, strict=True))
        outputs, last = torch.func.functional_call(core, own, (own_inputs, own_state))
        return outputs, *last

    assert torch.autograd.gradcheck(run, tuple(v.detach().requires_grad_() for v in variables))


@cores
@both_inputs
def test_core_equals_its_slow_twin_forward_and_backward(name: str, kind: str) -> None:
    results = []
    for twin in (False, True):
        core, inputs = make(name), make_inputs(kind)
        if inputs.is_floating_point():
            inputs.requires_grad_()
        state = type(make_state(core))(*(part.requires_grad_() for part in make_state(core)))
        run = (lambda *a: unroll(core.cell, core.weights(), *a)) if twin else core  # noqa: B023
        outputs, last = run(inputs, state)
        loss = (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum()
        (loss + sum((part**3).sum() for part in last)).backward()
        gradients = [parameter.grad for parameter in core.parameters()]
        results.append([outputs, *last, *gradients, *(part.grad for part in state), inputs.grad])
    assert_close(*results)


@cores
def test_one_hot_by_look_up_equals_the_dense_product(name: str) -> None:
    core, ids = make(name), make_inputs("one-hot")
    state = make_state(core)
    looked_up, last = core(ids, state)
    dense, dense_last = core(F.one_hot(ids, D).double(), state)
    assert_close(looked_up, dense)
    assert_close(tuple(last), tuple(dense_last))


@cores
@both_inputs
def test_numpy_steps_equal_torch(name: str, kind: str) -> None:
    core, inputs = make(name), make_inputs(kind)
    outputs, last = core(inputs, make_state(core))
    cell = core_equations(name)
    weights = {key: value.detach().numpy() for key, value in core.weights().items()}
    state = type(make_state(core))(*(part.numpy() for part in make_state(core)))
    projected = cell.project(inputs.numpy(), weights)
    for t in range(T):
        output, state = cell.step(np, projected[:, t], state, weights, SILENT)
        np.testing.assert_allclose(output, outputs[:, t].detach().numpy(), rtol=1e-10, atol=1e-10)
    for part, expected in zip(state, last, strict=True):
        np.testing.assert_allclose(part, expected.detach().numpy(), rtol=1e-10, atol=1e-10)


@cores
def test_shapes_are_those_of_the_equations(name: str) -> None:
    core = core_class(name)(D, H)
    assert core.cell is core_equations(name)
    assert {key: tuple(value.shape) for key, value in core.weights().items()} == core.cell.shapes(D, H)


@cores
def test_state_is_a_value(name: str) -> None:
    core, inputs = make(name), make_inputs("vectors")
    state = make_state(core)
    before = [part.clone() for part in state]
    first, _ = core(inputs, state)
    again, _ = core(inputs, state)
    assert torch.equal(first, again)
    assert_close(before, list(state))
    assert not list(core.buffers())


@cores
def test_the_initial_state_is_zero_and_follows_the_parameters(name: str) -> None:
    state = make(name).initial_state(3)
    assert all(part.shape == (3, H) and part.dtype == torch.float64 and not part.any() for part in state)
