"""The laws that every registered core keeps, in double precision. A new core is tested on arrival."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.contract import Core
from charrnn.recurrent.equations import SILENT, Noise
from charrnn.recurrent.registry import CORES, core_class, core_equations
from charrnn.recurrent.unroll import unroll
from charrnn.runtime import multiply_exactly

B, T, D, H = 2, 6, 4, 5  # small and all different, so that swapped axes show

_HAS_AVX512 = "AVX512" in torch.backends.cpu.get_cpu_capability()
slow = pytest.mark.slow


@pytest.fixture(autouse=True, params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """The device on which every tensor of a test is made: `pytest -m gpu` tries all laws on a GPU."""
    name: str = request.param
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    multiply_exactly(name)
    with torch.device(name):
        yield name


cores = pytest.mark.parametrize("name", CORES)
all_inputs = pytest.mark.parametrize("kind", ["vectors", "one-hot", "layer below"])
all_noises = pytest.mark.parametrize("mode", ["silent", "training", "evaluation"])


def make(name: str, kind: str = "vectors", **regularisation: float) -> Core:
    torch.manual_seed(0)
    core = core_class(name)(None if kind == "layer below" else D, H, **regularisation).double()
    with torch.no_grad():  # biases begin at zero, which would hide their misuse
        for parameter in core.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return core


def make_inputs(kind: str, time: int = T) -> Tensor:
    torch.manual_seed(1)
    if kind == "one-hot":
        return torch.randint(D, (B, time))
    return torch.randn(B, time, H if kind == "layer below" else D, dtype=torch.float64)


def make_state(core: Core) -> Any:
    torch.manual_seed(2)
    return type(core.initial_state(B))(*(torch.randn_like(part) for part in core.initial_state(B)))


def make_noise(mode: str, core: Core, time: int = T) -> Noise:
    """None, or what a core draws in training, or what zoneout keeps in evaluation."""
    torch.manual_seed(3)
    core.recurrent_dropout, core.zoneout = (0.0, 0.0) if mode == "silent" else (0.4, 0.3)
    noise = core.train(mode != "evaluation").noise(B, time)  # in which cuDNN has no backward pass
    assert noise.is_silent == (mode == "silent")
    return noise


def assert_close(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@cores
@all_inputs
def test_chunks_with_carried_state_equal_one_pass(name: str, kind: str) -> None:
    core, inputs = make(name, kind), make_inputs(kind)
    whole, last = core(inputs, make_state(core))
    first, state = core(inputs[:, :4], make_state(core))
    second, state = core(inputs[:, 4:], state)
    assert whole.shape == (B, T, H)
    assert_close(torch.cat([first, second], 1), whole)
    assert_close(tuple(state), tuple(last))


@cores
@all_inputs
def test_single_steps_equal_the_sequence(name: str, kind: str) -> None:
    core, inputs = make(name, kind), make_inputs(kind)
    whole, last = core(inputs, make_state(core))
    state, outputs = make_state(core), []
    for t in range(T):
        output, state = core(inputs[:, t : t + 1], state)
        outputs.append(output)
    assert_close(torch.cat(outputs, 1), whole)
    assert_close(tuple(state), tuple(last))


@cores
@all_inputs
def test_the_future_never_changes_the_past(name: str, kind: str) -> None:
    core, inputs = make(name, kind), make_inputs(kind)
    changed = inputs.clone()
    changed[:, 3] = (inputs[:, 3] + 1) % D
    outputs, _ = core(inputs, make_state(core))
    other, _ = core(changed, make_state(core))
    assert torch.equal(outputs[:, :3], other[:, :3])
    assert not torch.equal(outputs[:, 3], other[:, 3])


@pytest.mark.slow
@cores
@pytest.mark.parametrize("kind", ["vectors", *(pytest.param(kind, marks=slow) for kind in ("one-hot", "layer below"))])
@pytest.mark.parametrize("mode", ["silent", pytest.param("training", marks=slow)])
def test_gradients_pass_a_numerical_check(name: str, kind: str, mode: str) -> None:
    core, inputs = make(name, kind), make_inputs(kind, time=3)
    parameters = dict(core.named_parameters())
    state, noise = make_state(core), make_noise(mode, core, time=3)
    is_dense = inputs.is_floating_point()
    variables = (*([inputs] if is_dense else []), *state, *parameters.values())

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = list(values)
        own_inputs = given.pop(0) if is_dense else inputs
        own_state = type(state)(*(given.pop(0) for _ in state))
        own = dict(zip(parameters, given, strict=True))
        outputs, last = torch.func.functional_call(Run(core), prefixed(own), (own_inputs, own_state, noise))
        return outputs, *last

    assert torch.autograd.gradcheck(run, tuple(v.detach().requires_grad_() for v in variables))


class Run(nn.Module):
    """Calls a core's `run`, for functional_call, which calls modules."""

    def __init__(self, core: Core) -> None:
        super().__init__()
        self.core = core

    def forward(self, inputs: Tensor, state: Any, noise: Noise) -> Any:
        return self.core.run(inputs, state, noise)


def prefixed(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"core.{name}": value for name, value in parameters.items()}


def forward_and_backward(core: Core, inputs: Tensor, noise: Noise, *, twin: bool) -> list[Tensor]:
    """Outputs, last state and all gradients, of a core or of its slow twin."""
    if inputs.is_floating_point():
        inputs = inputs.detach().requires_grad_()
    state = type(make_state(core))(*(part.requires_grad_() for part in make_state(core)))
    if twin:
        outputs, last = unroll(core.cell, core.weights(), inputs, state, noise)
    else:
        outputs, last = core.run(inputs, state, noise)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)
    ((outputs * weights).sum() + sum((part**3).sum() for part in last)).backward()
    leaves = [*core.parameters(), *state, *([inputs] if inputs.is_floating_point() else [])]
    return [outputs, *last, *(leaf.grad for leaf in leaves)]  # type: ignore[list-item]


@cores
@all_inputs
@all_noises
def test_core_equals_its_slow_twin_forward_and_backward(name: str, kind: str, mode: str) -> None:
    inputs = make_inputs(kind)
    fast, slow = (make(name, kind) for _ in range(2))
    noise = make_noise(mode, fast)
    assert_close(
        forward_and_backward(fast, inputs, noise, twin=False), forward_and_backward(slow, inputs, noise, twin=True)
    )


@pytest.mark.slow
@cores
@all_inputs
@all_noises
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)], ids=["fp32", "bf16"])
def test_in_lower_precision_a_core_stays_close_to_its_slow_twin(
    name: str, kind: str, mode: str, dtype: torch.dtype, tolerance: float
) -> None:
    """The twin has the very same weights and inputs, in double precision."""
    inputs = make_inputs(kind)
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    fast = make(name, kind).to(dtype)
    slow = make(name, kind)
    slow.load_state_dict(fast.state_dict())
    noise = make_noise(mode, slow)
    low = Noise(*(part if part is None else part.to(dtype) for part in noise))
    exact = Noise(*(part if part is None else part.double() for part in low))
    wide = inputs.double() if inputs.is_floating_point() else inputs
    expected = forward_and_backward(slow, wide, exact, twin=True)
    got = forward_and_backward(fast, inputs, low, twin=False)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == dtype
        assert (a.double() - b).norm() <= tolerance * b.norm() + 1e-12


@cores
def test_one_hot_by_look_up_equals_the_dense_product(name: str) -> None:
    core, ids = make(name), make_inputs("one-hot")
    state = make_state(core)
    looked_up, last = core(ids, state)
    dense, dense_last = core(F.one_hot(ids, D).double(), state)
    assert_close(looked_up, dense)
    assert_close(tuple(last), tuple(dense_last))


@cores
@all_inputs
@pytest.mark.parametrize("zoneout", [0.0, 0.3])
def test_numpy_steps_equal_torch(name: str, kind: str, zoneout: float) -> None:
    core, inputs = make(name, kind, zoneout=zoneout).eval(), make_inputs(kind)
    outputs, last = core(inputs, make_state(core))
    cell = core_equations(name)
    weights = {key: value.detach().cpu().numpy() for key, value in core.weights().items()}
    state = type(make_state(core))(*(part.cpu().numpy() for part in make_state(core)))
    projected = cell.project(inputs.cpu().numpy(), weights)
    noise = Noise(k_h=zoneout, k_c=zoneout) if zoneout else SILENT
    for t in range(T):
        output, state = cell.step(np, projected[:, t], state, weights, noise)
        np.testing.assert_allclose(output, outputs[:, t].detach().cpu().numpy(), rtol=1e-10, atol=1e-10)
    for part, expected in zip(state, last, strict=True):
        np.testing.assert_allclose(part, expected.detach().cpu().numpy(), rtol=1e-10, atol=1e-10)


@cores
@pytest.mark.parametrize("input_size", [D, H, None])
def test_shapes_are_those_of_the_equations(name: str, input_size: int | None) -> None:
    core = core_class(name)(input_size, H)
    shapes = core.cell.layer_shapes(input_size, H)
    assert core.cell is core_equations(name)
    assert {key: tuple(value.shape) for key, value in core.weights().items()} == shapes
    is_block = name in ("min-gru", "min-lstm", "rg-lru")  # whose input is the stream itself above the first layer
    assert (core.cell.shapes(H, H).keys() - shapes.keys()) == ({"W"} if is_block and input_size is None else set())


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


def remembered(name: str, last: Any) -> Tensor:
    """The part of a state that lasts: c where there is one, else h."""
    return getattr(last, "c", last.h)


def one_step(name: str, rows: int, *, training: bool, **regularisation: float) -> Any:
    """The state after one step, of so many rows of the same inputs and states."""
    core = make(name, **regularisation).train(training)
    torch.manual_seed(4)
    inputs, state = make_inputs("vectors")[:1, :1], make_state(core)
    with torch.no_grad():
        return core(inputs.expand(rows, 1, D), type(state)(*(part[:1].expand(rows, H) for part in state)))[1]


@cores
def test_zoneout_in_evaluation_is_the_mean_of_what_it_is_in_training(name: str) -> None:
    rows = 20_000
    for trained, expected in zip(
        one_step(name, rows, training=True, zoneout=0.3), one_step(name, 1, training=False, zoneout=0.3), strict=True
    ):
        error = 5 * trained.std(0) / rows**0.5 + 1e-9  # five standard errors
        assert ((trained.mean(0) - expected[0]).abs() <= error).all()


@pytest.mark.parametrize("name", sorted(set(CORES) - {"rnn", "rnn-relu", "ln-rnn"}))
def test_recurrent_dropout_leaves_the_mean_of_a_gated_memory_as_it_is(name: str) -> None:
    rows = 20_000
    dropped = remembered(name, one_step(name, rows, training=True, recurrent_dropout=0.4))
    plain = remembered(name, one_step(name, 1, training=True))
    assert (dropped.std(0) > 0).all()
    assert ((dropped.mean(0) - plain[0]).abs() <= 5 * dropped.std(0) / rows**0.5).all()


@cores
def test_recurrent_dropout_is_one_unbiased_mask_for_all_steps_and_only_in_training(name: str) -> None:
    core = make(name, recurrent_dropout=0.25)
    d = core.noise(10_000, T).d
    assert d.shape == (10_000, H)  # and of no time
    assert set(d.unique().tolist()) == {0.0, 1 / 0.75}
    assert abs(d.mean() - 1) < 0.02
    assert not torch.equal(d, core.noise(10_000, T).d)
    assert core.eval().noise(B, T).is_silent


@cores
def test_noise_leaves_nothing_on_the_module(name: str) -> None:
    core = make(name, recurrent_dropout=0.4, zoneout=0.3)
    before, inputs, state = dict(vars(core)), make_inputs("vectors"), make_state(core)
    first, _ = core(inputs, state)
    second, _ = core(inputs, state)
    assert not torch.equal(first, second)
    assert vars(core) == before
    assert not list(core.buffers())


@pytest.mark.slow
@cores
@all_inputs
@pytest.mark.parametrize("mode", ["silent", "training"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_under_autocast_products_are_coarse_and_all_else_stays_fine(
    name: str, kind: str, mode: str, dtype: torch.dtype, device: str
) -> None:
    if (name, device, dtype, mode) == ("lstm", "cpu", torch.bfloat16, "silent") and not _HAS_AVX512:
        pytest.skip("oneDNN computes an LSTM in bf16 only where the CPU has AVX-512")
    inputs = make_inputs(kind)
    inputs = inputs.float() if inputs.is_floating_point() else inputs
    exact, coarse = (make(name, kind).float() for _ in range(2))
    noise = make_noise(mode, exact)
    noise = Noise(*(part if part is None else part.float() for part in noise))

    def run(core: Core, *, low: bool) -> tuple[Tensor, Any, list[Tensor]]:
        state = type(make_state(core))(*(part.float().requires_grad_() for part in make_state(core)))
        with torch.autocast(device, dtype, enabled=low):
            outputs, last = core.run(inputs, state, noise)
        weights = torch.linspace(-1, 1, outputs.numel()).view_as(outputs)
        ((outputs * weights).sum() + sum((part**3).sum() for part in last)).mul(2**-8).backward()  # fp16 ends at 65504
        return outputs, last, [leaf.grad for leaf in (*core.parameters(), *state) if leaf.grad is not None]

    outputs, last, gradients = run(exact, low=False)
    got, got_last, got_gradients = run(coarse, low=True)
    assert {part.dtype for part in (*got_last, *got_gradients)} == {torch.float32}
    assert len(gradients) == len(got_gradients) >= len(list(exact.parameters()))
    for a, b in zip((got, *got_last, *got_gradients), (outputs, *last, *gradients), strict=True):
        assert (a.float() - b).norm() <= 0.1 * b.norm()
    assert not torch.equal(got, outputs)
