"""Cores on devices that are not the CPU: nothing is fetched from there or sent there, and no kernel rounds unasked."""

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from charrnn.recurrent.fused import kernel_keeps_to
from charrnn.recurrent.registry import CORES, core_class

HOST = {"tensor", "new_tensor", "as_tensor", "from_numpy", "item", "tolist", "cpu", "numpy", "__bool__", "nonzero"}


class Copies(TorchDispatchMode):
    """Notes operations that read a tensor of another device than they write to; numbers may come from the CPU."""

    def __init__(self, found: set[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: dict[str, Any] | None = None
    ) -> object:
        # What has no memory takes no number of the CPU's for an operand, which other devices do.
        given = tree_map_only(Tensor, lambda x: x if x.ndim or not x.is_cpu else x.to("meta"), (arguments, options))
        devices = {each.device for each in tree_leaves(given) if isinstance(each, Tensor)}
        if len(devices) > 1:
            self.found.add(function.overloadpacket.__name__)
        return function(*given[0], **(given[1] or {}))


class Traffic(TorchFunctionMode):
    """Notes what is made on the host, asked of the device, or copied between them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: dict[str, Any] | None = None
    ) -> object:
        if (name := getattr(function, "__name__", "")) in HOST:
            self.found.add(name)
        with Copies(self.found):
            return function(*arguments, **(options or {}))


@pytest.mark.slow
@pytest.mark.parametrize("regularisation", [{}, {"recurrent_dropout": 0.1, "zoneout": 0.1}], ids=["plain", "noise"])
@pytest.mark.parametrize("kind", ["vectors", "one-hot"])
@pytest.mark.parametrize("name", CORES)
def test_nothing_comes_from_the_host_or_goes_there(name: str, kind: str, regularisation: dict[str, float]) -> None:
    """On torch's device without memory, where a value that was asked for would be an error besides."""
    with torch.device("meta"):
        core = core_class(name)(4, 8, **regularisation)
        inputs = torch.zeros(2, 6, dtype=torch.int64) if kind == "one-hot" else torch.zeros(2, 6, 4)
    with Traffic() as traffic:
        outputs, last = core(inputs, core.initial_state(2))
        (outputs.sum() + sum(part.sum() for part in last)).backward()
    assert not traffic.found


def test_traffic_is_noticed() -> None:
    x = torch.zeros(3, device="meta")
    copying = {"new_tensor": lambda: x * x.new_tensor(0.5), "add": lambda: x + torch.zeros(3)}
    for name, operation in copying.items():
        with Traffic() as traffic, contextlib.suppress(RuntimeError):
            operation()
        assert traffic.found == {name}


@pytest.mark.parametrize("cpu_has_bf16", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_kernel_is_used_only_where_it_multiplies_as_asked(
    device: str, cpu_has_bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: cpu_has_bf16)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert kernel_keeps_to(device, None)
    in_bf16 = device == "cpu" and cpu_has_bf16  # autocast makes fp16 of it for cuDNN
    assert kernel_keeps_to(device, torch.bfloat16) == in_bf16
    assert kernel_keeps_to(device, torch.float16) == (device == "cuda")


def test_an_lstm_learns_in_bf16_on_a_cpu_whose_kernel_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    core = core_class("lstm")(4, 8)
    monkeypatch.setattr(core, "run_fused", None)  # which would be called, and fail
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = core(torch.ones(2, 6, 4), core.initial_state(2))
    outputs.float().sum().backward()
    assert core.U.grad.abs().max() > 0
