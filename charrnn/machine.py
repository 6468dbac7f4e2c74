"""What there is of a machine to compute with, as far as can be told without torch."""

import os
from pathlib import Path

__all__ = ["core_count", "has_cuda_device"]


def core_count() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_cuda_device() -> bool:
    """Whether there seems to be a CUDA device, by its device file; torch may know none all the same."""
    return Path("/dev/nvidiactl").exists()
