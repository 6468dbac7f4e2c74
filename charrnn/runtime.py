"""The machine: which device computes, and what there is on it."""

import platform

import numpy
import torch

import charrnn
from charrnn.config import Device
from charrnn.errors import UsageError

__all__ = ["choose_device", "describe_device", "versions"]


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
