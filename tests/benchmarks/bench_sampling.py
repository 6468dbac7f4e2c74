"""How fast `charrnn sample` starts and writes, beside PyTorch, and what memory it takes.

    python tests/benchmarks/bench_sampling.py [start] [stream] [streams] [memory] [--rounds 7]

start    whole processes: --help, and 500 characters of a 2x128 LSTM beside a plain PyTorch script of the same size
stream   one stream, characters a second, beside nn.LSTM and nn.GRU called for each character
streams  64 and 8 samples side by side, beside one
memory   peak memory of a million characters and of ten thousand

Whatever is compared runs in turn; medians, and the median of the ratios. All parts, if none is named.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; threads that wait for each other cost more than help

import numpy as np
from peak_memory import COMMAND, run_measured

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.layout import EMBEDDING, model_shapes
from charrnn.sampling.batched import write_batched
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import Engine, generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.prefill import after_prime
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary

ROOT = Path(__file__).parents[2]
PLAIN = Path(__file__).with_name("plain_char_rnn.py")
# The commands that are measured choose for themselves.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
CHARRNN = [sys.executable, "-m", "charrnn"]
VOCABULARY = Vocabulary("".join(map(chr, range(33, 113))))
EMBEDDING_SIZE = 64


def main() -> None:
    parts = {"start": start, "stream": stream, "streams": streams, "memory": memory}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], metavar="part")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    processor = platform.processor() or platform.machine()
    print(f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}")
    for name in arguments.parts or parts:
        print(f"\n{name}")
        parts[name](arguments.rounds)


def in_turn(rounds: int, contestants: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; a round before the first warms the caches."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for index in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if index:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def random_checkpoint(cell: str, layers: int, hidden_size: int) -> Checkpoint:
    model = ModelConfig(cell, layers, hidden_size, "embedding", EMBEDDING_SIZE, 0.0)
    random, scale = np.random.default_rng(0), np.float32(hidden_size**-0.5)
    shapes = model_shapes(model, VOCABULARY.size)
    arrays = {name: scale * random.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return Checkpoint(RunConfig(model=model), VOCABULARY, arrays)


def start(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:

        def process(*command: str | Path) -> Callable[[], object]:
            return lambda: subprocess.run(
                command, cwd=folder, env=ENVIRONMENT, check=True, stdin=subprocess.DEVNULL, capture_output=True
            )

        Path(folder, "model.safetensors").write_bytes(to_bytes(random_checkpoint("lstm", 2, 128)))
        process(sys.executable, PLAIN, "train", ROOT / "corpora" / "tales.txt", "plain.pt", "1")()
        sample = ["sample", "--model", "model.safetensors", "--no-until-end", "-n", "500", "-q"]
        contestants = {
            "charrnn sample -n 500": process(*CHARRNN, *sample),
            "plain PyTorch script": process(sys.executable, PLAIN, "sample", "plain.pt", "500"),
            "charrnn --help": process(*CHARRNN, "--help"),
            "python -c 'import numpy'": process(sys.executable, "-c", "import numpy"),
            "python -c pass": process(sys.executable, "-c", "pass"),
        }
        seconds = in_turn(rounds, contestants)
    for name, times in seconds.items():
        print(f"  {name:25} median {statistics.median(times):.3f} s  (from {min(times):.3f} to {max(times):.3f})")
    faster = ratio(seconds["plain PyTorch script"], seconds["charrnn sample -n 500"])
    print(f"  charrnn takes 1/{faster:.1f} of the plain script's time")


def stream(rounds: int) -> None:
    bandwidth = big_read_bandwidth()
    print(f"  memory gives {bandwidth / 1e9:.1f} GB/s to one core, from an array larger than the caches")
    print(f"  {'':12}{'torch':>9}{'charrnn':>9}{'ratio':>7}{'steps alone':>13}{'of the limit':>14}")
    for cell in ("lstm", "gru"):
        for hidden_size in (128, 512):
            checkpoint = random_checkpoint(cell, 2, hidden_size)
            engine = NumpyEngine(checkpoint.config.model, checkpoint.model)
            count = 12_800 // hidden_size
            contestants = {
                "torch": called_for_each_character(cell, hidden_size, count),
                "charrnn": written_by(engine, 10 * count),
                "steps": steps_of(engine, 1, 10 * count),
            }
            seconds = in_turn(rounds, contestants)
            speeds = {name: 10 * count / statistics.median(times) for name, times in seconds.items()}
            speeds["torch"] /= 10
            # Tables are looked up, a row a character; all else is read.
            read = sum(
                array.nbytes
                for name, array in checkpoint.model.items()
                if name != EMBEDDING and not name.endswith("layers.0.W")
            )
            print(
                f"  {cell} 2x{hidden_size:<4}{speeds['torch']:12,.0f}{speeds['charrnn']:9,.0f}"
                f"{10 * ratio(seconds['torch'], seconds['charrnn']):7.1f}{speeds['steps']:13,.0f}"
                f"{speeds['steps'] * read / bandwidth:14.0%}"
            )


def written_by(engine: NumpyEngine, count: int) -> Callable[[], object]:
    config = SamplingConfig(length=count, temperature=0.8, until_end=False, seed=1)
    return lambda: "".join(generate(engine, VOCABULARY, config, VOCABULARY.encode("")))


def steps_of(engine: NumpyEngine, batch_size: int, count: int) -> Callable[[], object]:
    def run() -> None:
        state = engine.initial_state(batch_size)
        for _ in range(count):
            _, state = engine.step(ids, state)

    ids = np.arange(batch_size)
    return run


def called_for_each_character(cell: str, hidden_size: int, count: int) -> Callable[[], object]:
    """What the plain script does for `count` characters, with a network of these sizes."""
    import torch
    from torch import nn

    embedding = nn.Embedding(VOCABULARY.size, EMBEDDING_SIZE)
    network = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](EMBEDDING_SIZE, hidden_size, 2, batch_first=True)
    head = nn.Linear(hidden_size, VOCABULARY.size)

    @torch.no_grad()
    def run() -> None:
        token, state = torch.zeros(1, 1, dtype=torch.long), None
        for _ in range(count):
            outputs, state = network(embedding(token), state)
            token = torch.multinomial(torch.softmax(head(outputs)[0] / 0.8, dim=-1), 1)
            token.item()

    return run


def big_read_bandwidth() -> float:
    """Bytes a second that a product with a vector reads, of a matrix that no cache holds."""
    matrix, vector = np.ones((32_768, 4096), np.float32), np.ones(4096, np.float32)
    seconds = in_turn(5, {"read": lambda: np.dot(matrix, vector)})["read"]
    return matrix.nbytes / min(seconds)


def streams(rounds: int) -> None:
    """The whole of what `charrnn sample` does: draws, stops and texts, too."""
    peak = product_speed()
    print(f"  products of 64 rows give {peak / 1e9:.0f} GFLOPS to one core")
    for cell in ("lstm", "gru"):
        for hidden_size in (128, 512):
            checkpoint = random_checkpoint(cell, 2, hidden_size)
            opened = open_engine(checkpoint, SamplingConfig(), "numpy", "cpu")
            engine, threads = opened.engine, opened.threads
            length = 25_600 // hidden_size
            contestants = {
                "one": samples_by(engine, 1, 8 * length, threads),
                "few": samples_by(engine, 8, length, threads),
                "many": samples_by(engine, 64, length, threads),
            }
            seconds = in_turn(rounds, contestants)
            one = statistics.median(seconds["one"]) / (8 * length)
            few = statistics.median(seconds["few"]) / (8 * length)
            many = statistics.median(seconds["many"]) / (64 * length)
            rate = 2 * sum(array.size for name, array in checkpoint.model.items() if name != EMBEDDING) / many
            print(
                f"  {cell} 2x{hidden_size}: one stream {1 / one:,.0f} characters/s, 8 {1 / few:,.0f}, "
                f"64 {1 / many:,.0f} in {threads} thread(s): {8 * ratio(seconds['one'], seconds['many']):.1f} times as "
                f"many, {rate / peak:.0%} of a core's products"
            )


def samples_by(engine: Engine, count: int, length: int, threads: int) -> Callable[[], object]:
    config = SamplingConfig(length=length, temperature=0.8, until_end=False, seed=1)
    begin = after_prime(engine, VOCABULARY, config, VOCABULARY.encode(""), None)
    return lambda: list(write_batched(engine, VOCABULARY, config, begin, count, threads=threads))


def product_speed() -> float:
    """Multiplications and additions a second, of 64 rows with a matrix of a layer of 512 units."""
    rows, matrix = np.ones((64, 512), np.float32), np.ones((512, 2048), np.float32)
    seconds = in_turn(9, {"product": lambda: np.dot(rows, matrix)})["product"]
    return 2 * rows.shape[0] * matrix.size / min(seconds)


def memory(_: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.safetensors")
        model.write_bytes(to_bytes(random_checkpoint("gru", 1, 32)))
        peaks = {count: peak_memory(model, count) for count in (10_000, 1_000_000)}
    for count, peak in peaks.items():
        print(f"  charrnn sample -n {count:<9} peak {peak / 2**20:.1f} MB")
    print(f"  the longer text takes {(peaks[1_000_000] - peaks[10_000]) / 2**20:+.2f} MB")


def peak_memory(model: Path, count: int) -> int:
    """The largest resident size of a process that samples, in bytes."""
    sample = ("sample", "--model", str(model), "--no-until-end", "--seed", "1", "-n", str(count), "-q")
    return run_measured(COMMAND, *sample, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)[1]


if __name__ == "__main__":
    main()
