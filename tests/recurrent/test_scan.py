"""The linear recurrence in its three ways, against itself written out, and the parts of the block around it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.recurrent import block
from charrnn.recurrent.contract import Core
from charrnn.recurrent.kernels import scan as scan_module
from charrnn.recurrent.kernels.scan import by_doubling, by_loop, in_log_space, scan
from charrnn.recurrent.registry import core_class
from charrnn.recurrent.unroll import unroll

B, H = 2, 3
SCAN_CORES = ["min-gru", "min-lstm", "rg-lru"]

all_ways = pytest.mark.parametrize("way", [by_loop, by_doubling, in_log_space])
all_lengths = pytest.mark.parametrize("T", [1, 2, 7, 8, 33])
precisions = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str
)


def plain(a: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """The recurrence to the letter, with autograd's own gradients."""
    hs = []
    for a_t, b_t in zip(a, b, strict=True):
        h = a_t * h + b_t
        hs.append(h)
    return torch.stack(hs)


def values(T: int, dtype: torch.dtype = torch.float64, *, signed: bool = False) -> list[Tensor]:
    """a, b and a carried state of either sign; some a and b are zero, as zoneout and recurrent dropout make them."""
    torch.manual_seed(T)
    a, b, h = torch.rand(T, B, H), torch.rand(T, B, H), torch.randn(B, H)
    b = b - 0.5 * signed
    a[T // 2, 0], b[T // 3, 1], b[:, 0, 1] = 0, 0, 0
    return [value.to(dtype).requires_grad_() for value in (a, b, h)]


def forward_and_backward(run: Callable[..., Tensor], leaves: list[Tensor]) -> list[Tensor]:
    hs = run(*leaves)
    weights = torch.linspace(-1, 1, hs.numel(), dtype=hs.dtype).view_as(hs)
    return [hs.detach(), *torch.autograd.grad((hs * weights).sum(), leaves)]


@pytest.fixture
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU scan the parallel way."""
    ways = scan_module.ways
    monkeypatch.setattr(scan_module, "ways", lambda positive, **_: ways(on_cpu=False, positive=positive))


@all_ways
@all_lengths
@precisions
def test_each_way_is_the_recurrence(way: scan_module.Scan, T: int, dtype: torch.dtype, tolerance: float) -> None:
    a, b, h = (value.detach() for value in values(T, dtype))
    expected = plain(a.double(), b.double(), h.double())
    before = [value.clone() for value in (a, b, h)]
    torch.testing.assert_close(way(a, b, h).double(), expected, rtol=tolerance, atol=tolerance)
    assert all(map(torch.equal, (a, b, h), before))


@pytest.mark.parametrize("way", [by_loop, by_doubling])
@all_lengths
def test_signed_inputs_need_no_logarithm(way: scan_module.Scan, T: int) -> None:
    a, b, h = (value.detach() for value in values(T, signed=True))
    torch.testing.assert_close(way(a, b, h), plain(a, b, h), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("on_cpu", "positive"), [(True, True), (False, True), (False, False)])
@all_lengths
@precisions
def test_the_hand_written_gradients_are_those_of_autograd(
    monkeypatch: pytest.MonkeyPatch, on_cpu: bool, positive: bool, T: int, dtype: torch.dtype, tolerance: float
) -> None:
    chosen = scan_module.ways(on_cpu=on_cpu, positive=positive)
    monkeypatch.setattr(scan_module, "ways", lambda **_: chosen)
    leaves = values(T, dtype, signed=not positive)
    expected = forward_and_backward(plain, [leaf.detach().double().requires_grad_() for leaf in leaves])
    got = forward_and_backward(lambda a, b, h: scan(a, b, h, positive=positive)[0], leaves)
    assert got[0].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for value, exact in zip(got, expected, strict=True):
        torch.testing.assert_close(value.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("_as_on_a_gpu")
@pytest.mark.parametrize("positive", [True, False])
def test_pieces_with_carried_state_equal_one_pass(positive: bool) -> None:
    a, b, h = (value.detach() for value in values(9, signed=not positive))
    whole, last = scan(a, b, h, positive=positive)
    first, middle = scan(a[:4], b[:4], h, positive=positive)
    second, end = scan(a[4:], b[4:], middle, positive=positive)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-12)
    assert torch.equal(last, whole[-1])
    torch.testing.assert_close(end, last, rtol=1e-12, atol=1e-12)


@all_ways
@pytest.mark.parametrize("a", [0.0, 1e-30, 1e-3, 1 - 1e-6, 1.0])
def test_long_sequences_under_extreme_gates_stay_exact(way: scan_module.Scan, a: float) -> None:
    T = 4096
    torch.manual_seed(0)
    b, h = (1 - a) * torch.rand(T, 1, 2), torch.tensor([[-3.0, 2.0]])
    gates = torch.full_like(b, a)
    expected = plain(gates.double(), b.double(), h.double())
    torch.testing.assert_close(way(gates, b, h).double(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("_as_on_a_gpu")
@pytest.mark.parametrize("name", SCAN_CORES)
@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_saturated_gates_give_finite_outputs_and_gradients(name: str, scale: float) -> None:
    torch.manual_seed(0)
    core = core_class(name)(4, 5, recurrent_dropout=0.5, zoneout=0.5)
    with torch.no_grad():
        for key, parameter in core.named_parameters():
            if key.startswith("b_"):
                parameter.fill_(scale)
    outputs, last = core(torch.randn(2, 64, 4), core.initial_state(2))
    (outputs.square().sum() + last.h.square().sum()).backward()
    assert outputs.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in core.parameters())


def run(core: Core, inputs: Tensor, *, twin: bool) -> list[Tensor]:
    """Outputs, last state and gradients of a core, or of its slow twin."""
    core.zero_grad()
    state = core.initial_state(len(inputs))
    outputs, last = unroll(core.cell, core.weights(), inputs, state) if twin else core(inputs, state)
    outputs.square().mul(torch.linspace(0, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return [outputs, *last, *(parameter.grad.clone() for parameter in core.parameters())]


@pytest.mark.parametrize("name", SCAN_CORES)
@pytest.mark.parametrize("as_on_a_gpu", [True, False])
def test_a_core_in_pieces_or_in_parallel_equals_its_slow_twin(
    name: str, as_on_a_gpu: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """With H = 32, where the blocks of rg-lru's gates are more than one, and pieces of three steps."""
    torch.manual_seed(0)
    core, inputs = core_class(name)(4, 32).double(), torch.randn(2, 8, 4, dtype=torch.float64)
    monkeypatch.setattr(block, "PIECE_SIZE", 3 * 2 * 32)
    if as_on_a_gpu:
        request.getfixturevalue("_as_on_a_gpu")
    torch.testing.assert_close(run(core, inputs, twin=False), run(core, inputs, twin=True), rtol=1e-9, atol=1e-9)


def test_the_convolution_is_that_of_torch() -> None:
    torch.manual_seed(0)
    x, before, C = torch.randn(6, B, H), torch.randn(3, B, H), torch.randn(4, H)
    y, last = block.causal_convolution(x, tuple(before), C)
    whole = torch.cat([before.flip(0), x])
    expected = F.conv1d(whole.permute(1, 2, 0), C.flip(0).t().unsqueeze(1), groups=H).permute(2, 0, 1)
    torch.testing.assert_close(y, expected)
    assert all(map(torch.equal, last, x[-3:].flip(0)))


def test_the_norm_is_that_of_torch_forward_and_backward() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    y, expected = block.rms_norm(x, x.dtype), F.rms_norm(x, (5,), eps=1e-6)
    torch.testing.assert_close(y, expected)
    weights = torch.arange(10.0, dtype=torch.float64).view(2, 5)
    torch.testing.assert_close(
        torch.autograd.grad((y * weights).sum(), x), torch.autograd.grad((expected * weights).sum(), x)
    )
