"""Which engine steps a model: numpy on a CPU, so that torch need not even be imported, else torch."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.sampling.generate import Engine
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.training import Device

__all__ = ["OpenedEngine", "open_engine"]

# Importing torch and waking a GPU takes some seconds; numpy on a CPU does about 1e10 multiplications in each.
_WORTH_A_GPU = 1e11
# Parameters; with fewer, handing a step to a thread takes as long as taking it.
_WORTH_THREADS = 1e6


class OpenedEngine(NamedTuple):
    """An engine, where it computes, in words, and how many threads may step streams in it."""

    engine: Engine
    device: str
    threads: int = 1


def open_engine(
    checkpoint: Checkpoint, config: SamplingConfig, engine: Literal["auto", "numpy", "torch"], device: Device
) -> OpenedEngine:
    """The engine asked for, or the one that will have written the text first.

    Raises:
        UsageError: the numpy engine on something else than a CPU, or a device that is not there.
    """
    if engine == "numpy" and device not in ("auto", "cpu"):
        raise UsageError(f"{named('engine', 'numpy')} computes on the CPU; it cannot go with {named('device', device)}")
    if engine == "auto":
        on_gpu = device not in ("auto", "cpu") or (device == "auto" and _gpu_pays(checkpoint, config))
        engine = "torch" if on_gpu else "numpy"
    if engine == "numpy":
        from charrnn.sampling.numpy_engine import NumpyEngine

        threads = _cores() if _parameters(checkpoint) > _WORTH_THREADS else 1
        return OpenedEngine(NumpyEngine(checkpoint.config.model, checkpoint.model), "numpy on the CPU", threads)

    from charrnn.model import model_from_arrays
    from charrnn.runtime import choose_device, describe_device
    from charrnn.sampling.torch_engine import TorchEngine

    chosen = choose_device(device)
    model = model_from_arrays(checkpoint.config.model, checkpoint.vocabulary, checkpoint.model).to(chosen)
    return OpenedEngine(TorchEngine(model), f"torch on {describe_device(chosen)}")


def _gpu_pays(checkpoint: Checkpoint, config: SamplingConfig) -> bool:
    """Whether there seems to be a CUDA device, by its device file, and work enough to go there."""
    work = _parameters(checkpoint) * config.num_samples * (config.length or float("inf"))
    return Path("/dev/nvidiactl").exists() and work > _WORTH_A_GPU


def _parameters(checkpoint: Checkpoint) -> int:
    return sum(array.size for array in checkpoint.model.values())


def _cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
