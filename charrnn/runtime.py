"""Devices and their settings: choice, exactness, memory, description, versions."""

import contextlib
import ctypes
import math
import os
import platform
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy
import torch

import charrnn
from charrnn.distributed import own_ranks
from charrnn.errors import UsageError
from charrnn.machine import core_count
from charrnn.messages import counted, named
from charrnn.settings.training import Device, Precision

__all__ = [
    "choose_device",
    "compute_with",
    "describe_device",
    "keep_memory",
    "low_type",
    "multiplies_bf16",
    "multiply_exactly",
    "rounding_products",
    "versions",
    "without_cudnn",
]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_INT_MAX = 2**31 - 1

_TIMINGS = 8  # of which the fastest counts, as others wait for other programs
_LEAST_GAIN = 1.2  # of speed by bfloat16, for which its rounding is worth it


def choose_device(name: Device) -> torch.device:
    """Choose the device of this name; `auto` is CUDA if there is one, else the CPU (MPS only if asked for).

    A GPU multiplies exactly from then on, until `compute_with` lets it round. Choosing the CPU looks at no GPU, so a
    busy or broken one does no harm.

    Raises:
        UsageError: there is no such device, or there are fewer than the processes that train together.
    """
    ranks = own_ranks()
    if name == "cpu":
        return torch.device(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[name]:
        there = " or ".join(device for device, is_there in available.items() if is_there)
        raise UsageError(
            f"{named('device', name)} is not available on this machine; use {named('device', there)} or auto"
        )
    if name == "cuda":
        multiply_exactly(name)
    if ranks.count == 1 or name == "cpu":
        return torch.device(name)
    if name == "mps":
        raise UsageError(
            f"{named('device', 'mps')} is for one process, not {ranks.count}; "
            f"leave {named('nproc')} out or use {named('device', 'cpu')}"
        )
    index, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if index >= gpus:
        raise UsageError(
            f"each process needs a GPU of its own, and there are {gpus}; start so many, or use {named('device', 'cpu')}"
        )
    return torch.device("cuda", index)


@cache
def multiplies_bf16(device: str) -> bool:
    """True if a kind of device has units for products in bfloat16 that are faster than those in single precision.

    A CPU with the instructions is timed for a tenth of a second: many have no more units for them, and lose by it.
    """
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if device == "cpu" else {}
    if not any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16")):
        return False
    least = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(_TIMINGS):
        for dtype, seconds in least.items():
            least[dtype] = min(seconds, _product_seconds(dtype))
    return least[torch.float32] > _LEAST_GAIN * least[torch.bfloat16]


def _product_seconds(dtype: torch.dtype) -> float:
    """The time of ten products of the sizes of a training, (64, 256) by (256, 1024), in a type."""
    x, M = (torch.ones(shape, dtype=dtype) for shape in ((64, 256), (256, 1024)))
    start = time.perf_counter()
    for _ in range(10):
        torch.mm(x, M)
    return time.perf_counter() - start


def low_type(precision: Precision) -> torch.dtype | None:
    """The type of half precision in which a training multiplies; None if it stays in single precision."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)


def rounding_products(device: torch.device, low: torch.dtype | None) -> torch.autocast:
    """A context in which products are rounded to a type of half precision, or not at all without one."""
    return torch.autocast(device.type, low or torch.bfloat16, enabled=low is not None)


def multiply_exactly(device: str, *, exactly: bool = True) -> None:
    """Let a GPU multiply fp32 numbers in fp32, or rounded to TF32 if not `exactly`, also in cuDNN's networks."""
    if device == "cuda":
        torch.set_float32_matmul_precision("highest" if exactly else "high")
        # The older switch is set along with the newer ones: torch refuses to read it if they differ.
        cudnn: Any = torch.backends.cudnn  # its type annotations lack some attributes
        cudnn.allow_tf32 = not exactly
        for kernels in (cudnn.rnn, cudnn.conv):
            kernels.fp32_precision = "ieee" if exactly else "tf32"


@contextlib.contextmanager
def without_cudnn() -> Iterator[None]:
    """Disable cuDNN in the context. (torch's own `cudnn.flags` would let the GPU round to TF32 meanwhile.)"""
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def compute_with(device: torch.device, precision: Precision, threads: int | None) -> None:
    """Set the switches of the whole process: threads, exactness of a GPU's fp32 products, memory."""
    keep_memory()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if own_ranks().count > 1 else 1
    if threads is not None:
        torch.set_num_threads(threads)
    elif here > 1:
        torch.set_num_threads(max(core_count() // here, 1))  # as torchrun has set one per process
    if device.type == "cuda":
        if device.index is not None:
            torch.cuda.set_device(device)
        multiply_exactly(device.type, exactly=precision == "fp32")


def keep_memory() -> None:
    """Let the process keep the memory of freed tensors for new ones.

    glibc gives large blocks back to the kernel and fetches new ones page by page, which takes a tenth of a training
    step's time, of an LSTM's a quarter. Without glibc this does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            mallopt(threshold, _INT_MAX)


def describe_device(device: torch.device) -> str:
    """The device in words, with the number of those that train together."""
    words = device.type
    if device.type == "cuda":
        words = f"cuda ({torch.cuda.get_device_name(device)})"
    elif device.type == "cpu":
        words = f"cpu ({counted(torch.get_num_threads(), 'thread')})"
    return words if (ranks := own_ranks().count) == 1 else f"{ranks} × {words}"


def versions(device: torch.device) -> dict[str, str]:
    """Versions and settings on which a bit-exact repeat on a device depends, besides the configuration."""
    found = {
        "charrnn": charrnn.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        cudnn: Any = torch.backends.cudnn
        found |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": str(torch.version.cuda),
            "cudnn": str(cudnn.version()),
        }
    return found if (ranks := own_ranks().count) == 1 else found | {"processes": str(ranks)}
