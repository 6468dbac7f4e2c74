"""How fast charrnn trains: its loop beside the bare layers, and beside a plain PyTorch loop of the kind people write.

    python tests/benchmarks/bench_throughput.py [--cells gru,lstm] [--hidden-size 256] [--precision auto] [--steps 60]
                                                [--optimizer adamw] [--batch-size 32]

Two layers, the loop's own batches. `bare` is forward and backward of the very same network in the same precision on
one batch again and again: no data, clipping, optimiser or report. `plain` is the usual script with torch.nn's layer of
that name, in fp32. All take their turns in one process, which keeps its memory as a training does; medians of the
turns' ratios.
"""

import argparse
import contextlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from charrnn.events import Reported
from charrnn.model import CharacterModel
from charrnn.settings.run import RunConfig
from charrnn.training.loop import train
from charrnn.training.setup import Setup, prepare

EMBEDDING = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=lambda names: names.split(","), default=["gru", "lstm"], metavar="NAMES")
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--optimizer", choices=["adamw", "muon"], default="adamw")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=60, help="of each, in each turn")
    parser.add_argument("--turns", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'':28}{'charrnn train':>15}{'bare layers':>15}{'cost of the loop':>18}{'plain script':>15}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        text = Path("text.txt")
        text.write_bytes(np.random.default_rng(1).integers(32, 97, 300_000).astype(np.uint8).tobytes())
        for cell in arguments.cells:
            values = {"cell": cell, "layers": 2, "hidden_size": arguments.hidden_size, "dropout": 0.0}
            values |= {"corpus": (str(text),), "validation": 0.0, "precision": arguments.precision}
            values |= {"optimizer": arguments.optimizer, "batch_size": arguments.batch_size}
            intervals = {"report_every": arguments.steps // 2, "validate_every": arguments.steps}
            config = RunConfig().override(values | {"steps": arguments.steps} | intervals)
            setup = prepare(config)
            runs = {
                "loop": lambda config=config: loop(config),
                "bare": in_steps(arguments.steps, bare(setup), setup),
                "plain": in_steps(arguments.steps, plain(setup), setup),
            }
            speeds: dict[str, list[float]] = {name: [] for name in runs}
            for turn in range(arguments.turns + 1):
                for name, run in runs.items():
                    speed = run()
                    if turn:  # the first is to warm up
                        speeds[name].append(speed)
            cost = statistics.median(1 - own / of for own, of in zip(speeds["loop"], speeds["bare"], strict=True))
            ratio = statistics.median(own / of for own, of in zip(speeds["loop"], speeds["plain"], strict=True))
            own, of_bare, of_plain = (f"{statistics.median(speeds[name]):,.0f}/s" for name in ("loop", "bare", "plain"))
            name = f"{cell} 2×{arguments.hidden_size}, {setup.config.training.precision}"
            print(f"{name:28}{own:>15}{of_bare:>15}{cost:18.1%}{of_plain:>15}{ratio:8.2f}", flush=True)


def loop(config: RunConfig) -> float:
    """Characters a second of a training, as it reports them, from its second report on: the first has the start."""
    reports = [event for event in train(config) if isinstance(event, Reported)]
    return statistics.mean(report.characters_per_second for report in reports[1:])


def in_steps(steps: int, step: Callable[[], None], setup: Setup) -> Callable[[], float]:
    """Characters a second of a number of steps."""
    characters = steps * int(np.prod(shape(setup)))

    def run() -> float:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        return characters / (time.perf_counter() - start)

    return run


def bare(setup: Setup) -> Callable[[], None]:
    """Forward and backward of the network that charrnn trains, and nothing else."""
    torch.manual_seed(1)
    model = CharacterModel(setup.config.model, setup.vocabulary.size, setup.vocabulary.unknown)
    ids = torch.randint(setup.vocabulary.start, shape(setup))
    state, low = model.initial_state(len(ids)), setup.config.training.precision == "bf16"

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            logits, _ = model(ids, state)
            loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    return step


class Plain(nn.Module):
    def __init__(self, layer: type[nn.RNNBase], vocabulary_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, EMBEDDING)
        self.layers = layer(EMBEDDING, hidden_size, 2, batch_first=True)
        self.head = nn.Linear(hidden_size, vocabulary_size)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.layers(self.embedding(ids))
        logits: torch.Tensor = self.head(outputs)
        return logits


def plain(setup: Setup) -> Callable[[], None]:
    """A whole step of the usual script: random windows, Adam, clipping, the loss read at every step."""
    torch.manual_seed(1)
    hidden_size = setup.config.model.hidden_size
    assert hidden_size is not None
    kinds = {"gru": nn.GRU, "rnn": nn.RNN}
    model = Plain(kinds.get(setup.config.model.cell.removeprefix("ln-"), nn.LSTM), setup.vocabulary.size, hidden_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    data = torch.from_numpy(setup.training.ids.astype(np.int64))
    rows, length = shape(setup)

    def step() -> None:
        places = torch.randint(len(data) - length - 1, (rows, 1)) + torch.arange(length)
        logits = model(data[places])
        loss = F.cross_entropy(logits.flatten(0, 1), data[places + 1].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        loss.item()

    return step


def shape(setup: Setup) -> tuple[int, int]:
    """Rows and length of a batch."""
    rows, length = setup.config.training.batch_size, setup.config.training.sequence_length
    assert rows is not None
    assert length is not None
    return rows, length


if __name__ == "__main__":
    main()
