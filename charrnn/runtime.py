"""The machine: which device computes, and what there is on it."""

import platform

import numpy
import torch

import charrnn
from charrnn.config import Device, Precision
from charrnn.errors import UsageError

__all__ = ["choose_device", "compute_with", "describe_device", "multiplies_bf16", "versions"]


def choose_device(name: Device) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else the CPU (MPS only when asked for).

    Raises:
        UsageError: the device asked for is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[name]:
        there = " or ".join(device for device, is_there in available.items() if is_there)
        raise UsageError(f"--device {name} is not available on this machine; use --device {there} or auto")
    return torch.device(name)


def multiplies_bf16(device: str) -> bool:
    """Whether a kind of device has units for products in bfloat16, rather than imitating them in single precision."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if device == "cpu" else {}
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def compute_with(device: torch.device, precision: Precision, threads: int | None) -> None:
    """Set what torch has one switch of for the whole process: its threads, and how exact a GPU's fp32 products are."""
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")


def describe_device(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)" if device.type == "cpu" else device.type


def versions() -> dict[str, str]:
    """What a bit-exact repeat depends on besides the configuration."""
    return {
        "charrnn": charrnn.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
    }
