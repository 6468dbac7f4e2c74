"""How fast every core learns, beside torch.nn's LSTM and GRU and beside its own plain loop.

    python tests/benchmarks/bench_cores.py [--cells gru,ln-lstm] [--hidden-sizes 128,256,512] [--sequence-length 128]
                                           [--keep-memory]

One layer, forward and backward, above another of its size. Whatever is compared runs in turn, in one process; medians,
and the medians of the ratios of each turn. A ratio of 2 is twice as fast. The plain loop is the cell's equations under
autograd; being slow, it runs in two turns only. With --keep-memory the process keeps freed memory, as a training does.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from charrnn.recurrent.registry import CORES, core_class
from charrnn.recurrent.unroll import unroll
from charrnn.runtime import keep_memory

LOOP_ROUNDS = 2

Seconds = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=lambda names: names.split(","), default=list(CORES), metavar="NAMES")
    parser.add_argument(
        "--hidden-sizes", type=lambda sizes: [int(size) for size in sizes.split(",")], default=[128, 256, 512]
    )
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, help="that torch computes with on the CPU")
    parser.add_argument("--keep-memory", action="store_true", help="instead of giving it back to the system")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    arguments = parser.parse_args()
    unknown = set(arguments.cells) - set(CORES)
    if unknown:
        parser.error(f"no such cell: {', '.join(sorted(unknown))}; there are {', '.join(CORES)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.keep_memory:
        keep_memory()
    print(f"{machine(arguments.device)}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"B = {arguments.batch_size}, T = {arguments.sequence_length}, {arguments.repeats} turns, fp32")
    print(f"{'cell':16}{'H':>5}{'ms':>9}{'of nn.LSTM':>12}{'of nn.GRU':>12}{'of its loop':>13}")
    for H in arguments.hidden_sizes:
        inputs = torch.randn(arguments.batch_size, arguments.sequence_length, H, device=arguments.device)
        for cell in arguments.cells:
            seconds = in_turn(arguments.repeats, contestants(cell, inputs.requires_grad_()), arguments.device)
            own = seconds["core"]
            print(
                f"{cell:16}{H:5}{1000 * statistics.median(own):9.1f}{ratio(seconds['nn.LSTM'], own):12.2f}"
                f"{ratio(seconds['nn.GRU'], own):12.2f}{ratio(seconds['loop'], own):13.1f}",
                flush=True,
            )


def machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def contestants(cell: str, inputs: Tensor) -> dict[str, Callable[[], object]]:
    """One training step of each: the core, its loop and torch.nn's layers, all of the same size."""
    B, _, H = inputs.shape
    core = core_class(cell)(None, H).to(inputs.device)
    weights, state, noise = core.weights(), core.initial_state(B), core.noise(*inputs.shape[:2])
    lstm, gru = (layer(H, H, batch_first=True, device=inputs.device) for layer in (nn.LSTM, nn.GRU))
    d_outputs = torch.randn_like(inputs)

    def backward_from(run: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(run(), leaves, d_outputs)

    return {
        "core": backward_from(lambda: core(inputs, state)[0], [inputs, *core.parameters()]),
        "nn.LSTM": backward_from(lambda: lstm(inputs)[0], [inputs, *lstm.parameters()]),
        "nn.GRU": backward_from(lambda: gru(inputs)[0], [inputs, *gru.parameters()]),
        "loop": backward_from(
            lambda: unroll(core.cell, weights, inputs, state, noise)[0], [inputs, *core.parameters()]
        ),
    }


def in_turn(turns: int, contestants: Mapping[str, Callable[[], object]], device: torch.device) -> Seconds:
    """Seconds of each contestant in each turn; a turn before the first warms up all but the loop."""
    seconds: Seconds = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, run in contestants.items():
            if name == "loop" and not 1 <= turn <= LOOP_ROUNDS:
                continue
            synchronise(device)
            began = time.perf_counter()
            run()
            synchronise(device)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def ratio(slow: list[float], fast: list[float]) -> float:
    """How many times faster; of the turns in which both ran."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=False))


if __name__ == "__main__":
    main()
