"""The choice of the engine that steps a model: numpy on a CPU, where torch is not even imported, else torch."""

from typing import Literal, NamedTuple

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import UsageError
from charrnn.machine import core_count, has_cuda_device
from charrnn.messages import named
from charrnn.sampling.batched import BLOCKS, ONE_BLOCK
from charrnn.sampling.generate import Engine
from charrnn.sampling.with_ngrams import numpy_engine, with_ngrams
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.training import Device

__all__ = ["OpenedEngine", "open_engine"]

# Multiplications of one step of all streams; numpy on a CPU does about 1e10 in a second, and any step on a GPU, however
# small, takes some milliseconds.
_WORTH_A_GPU = 5e7
# Multiplications of all steps; importing torch and waking a GPU takes some seconds.
_WORTH_THE_START = 1e11
# Parameters; with fewer, handing a step to a thread takes as long as taking it.
_WORTH_THREADS = 1e6


class OpenedEngine(NamedTuple):
    """An engine, its device in words, the number of threads that may step its streams, and the rows of its blocks."""

    engine: Engine
    device: str
    threads: int = 1
    blocks: tuple[int, ...] = BLOCKS


def open_engine(
    checkpoint: Checkpoint,
    config: SamplingConfig,
    engine: Literal["auto", "numpy", "torch"],
    device: Device,
    *,
    streams: int | None = None,
) -> OpenedEngine:
    """The engine asked for, or with "auto" the one that is likely to finish the text first.

    `streams` are stepped side by side; by default as many as `config` asks for.

    Raises:
        UsageError: the numpy engine on another device than a CPU, or a device that does not exist.
    """
    if engine == "numpy" and device not in ("auto", "cpu"):
        raise UsageError(f"{named('engine', 'numpy')} computes on the CPU; it cannot go with {named('device', device)}")
    if engine == "numpy" or (engine == "auto" and device == "cpu"):
        return _in_numpy(checkpoint)
    may_be_numpy = engine == device == "auto"
    if may_be_numpy and not (has_cuda_device() and _gpu_pays(checkpoint, config, streams)):
        return _in_numpy(checkpoint)

    from charrnn.runtime import choose_device

    chosen = choose_device(device)
    if may_be_numpy and chosen.type == "cpu":  # a torch that knows no GPU, or a GPU that it cannot use
        return _in_numpy(checkpoint)

    from charrnn.model import model_from_arrays
    from charrnn.runtime import describe_device
    from charrnn.sampling.torch_engine import TorchEngine

    model = model_from_arrays(checkpoint.config.model, checkpoint.vocabulary, checkpoint.model).to(chosen)
    blocks = BLOCKS if chosen.type == "cpu" else ONE_BLOCK
    in_torch = with_ngrams(TorchEngine(model), checkpoint.ngrams)
    return OpenedEngine(in_torch, f"torch on {describe_device(chosen)}", blocks=blocks)


def _in_numpy(checkpoint: Checkpoint) -> OpenedEngine:
    threads = core_count() if _parameters(checkpoint) > _WORTH_THREADS else 1
    return OpenedEngine(numpy_engine(checkpoint), "numpy on the CPU", threads)


def _gpu_pays(checkpoint: Checkpoint, config: SamplingConfig, streams: int | None) -> bool:
    """True if a step is large enough for a GPU and, where the length is known, all steps repay the time to start it."""
    step = _parameters(checkpoint) * min(streams or config.beam or config.num_samples, sum(BLOCKS))
    return step > _WORTH_A_GPU and (not config.length or step * config.length > _WORTH_THE_START)


def _parameters(checkpoint: Checkpoint) -> int:
    return sum(array.size for array in checkpoint.model.values())
