"""The machine's CPU cores and GPUs, as far as can be told without torch."""

import os
from pathlib import Path

__all__ = ["core_count", "has_cuda_device"]


def core_count() -> int:
    """Number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_cuda_device() -> bool:
    """True if there seems to be a CUDA device, by its device file; torch may still know none."""
    return Path("/dev/nvidiactl").exists()
