"""What the defaults learn of small texts of many scripts in three minutes, next to PPMd, bzip2 and xz.

    python tests/benchmarks/bench_world.py FOLDER [--time 3m] [--seeds 1,2,3] [--flags "--cell gru"] [--results FILE]

FOLDER has NAME.train.txt and NAME.tail.txt for each text. Each training is followed by `charrnn compress` of the tail;
its bits per byte are those of the archive, in which characters that the model does not know are spelled out, so that
nothing is left unpaid, less those of the archive of an empty text. The compressors' are the sizes of train and tail
together less that of train alone. Finished rows stand in FILE and are not made again.
"""

import argparse
import bz2
import json
import lzma
import math
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyppmd

Row = dict[str, str | float]
CHARRNN = [sys.executable, "-m", "charrnn"]


def ppmd(order: int) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        encoder = pyppmd.Ppmd7Encoder(order, 2**28)
        return bytes(encoder.encode(data) + encoder.flush())

    return compress


OTHERS: dict[str, list[Callable[[bytes], bytes]]] = {  # of several the best counts
    "PPMd": [ppmd(6), ppmd(16)],
    "bzip2": [bz2.compress],
    "xz": [lambda data: lzma.compress(data, preset=9)],
}


def by_others(train: bytes, tail: bytes) -> dict[str, float]:
    """Bits per byte of the tail after the training text, by each of the compressors."""
    return {
        name: min(8 * (len(compress(train + tail)) - len(compress(train))) / len(tail) for compress in ways)
        for name, ways in OTHERS.items()
    }


def by_charrnn(train: Path, tail: Path, time: str, seed: int, flags: str) -> Row:
    """Train on one text and compress the other, in a folder of their own; what came of it."""

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run([*CHARRNN, *words], cwd=folder, capture_output=True, input=b"")
        if done.returncode:
            sys.exit(f"charrnn {shlex.join(words)}: {done.stderr.decode()}")
        return done

    with tempfile.TemporaryDirectory() as folder:
        told = run(
            "train", str(train), "--name", "run", "--time", time, "--seed", str(seed), *shlex.split(flags)
        ).stderr.decode()
        archive, empty = (run("compress", text, "-o", "-", "--model", "run").stdout for text in (str(tail), "-"))
        (scored,) = run("eval", str(tail), "--model", "run", "--json").stdout.splitlines()
        metrics = map(json.loads, Path(folder, "checkpoints/run/metrics.jsonl").read_text().splitlines())
        *_, last = (line for line in metrics if line["split"] == "training")
    return {
        "chose": next((line for line in told.splitlines() if "chose" in line), ""),
        "steps": last["step"],
        "epochs": last["epoch"],
        "bits_per_byte": 8 * (len(archive) - len(empty)) / tail.stat().st_size,
        "bits_per_byte_eval": json.loads(scored)["bits_per_byte"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--time", default="3m")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--flags", default="", help="further flags of charrnn train")
    parser.add_argument("--results", type=Path, default=Path("world.jsonl"))
    options = parser.parse_args()
    found = sorted(options.folder.resolve().glob("*.train.txt"))
    if not found:
        parser.error(f"{options.folder} has no NAME.train.txt")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {options.time} each")
    print(
        "| text | " + " | ".join(f"seed {seed}" for seed in seeds) + " | median | epochs | PPMd | ratio | bzip2 | xz |"
    )
    print("|---" * (len(seeds) + 7) + "|")
    ratios = []
    for train in found:
        tail = train.with_name(train.name.replace(".train.", ".tail."))
        rows = [_kept_or_made(options, train, tail, seed) for seed in seeds]
        others = by_others(train.read_bytes(), tail.read_bytes())
        each = [float(row["bits_per_byte"]) for row in rows]
        median = statistics.median(each)
        ratios.append(median / others["PPMd"])
        epochs = statistics.median(float(row["epochs"]) for row in rows)
        figures = [*each, median]
        cells = [*(f"{bits:.3f}" for bits in figures), f"{epochs:.1f}", f"{others['PPMd']:.3f}", f"{ratios[-1]:.3f}"]
        cells += [f"{others[name]:.3f}" for name in ("bzip2", "xz")]
        print(f"| {train.name.removesuffix('.train.txt')} | " + " | ".join(cells) + " |", flush=True)
    print(f"\ngeometric mean of the ratios to PPMd: {math.prod(ratios) ** (1 / len(ratios)):.4f}")


def _kept_or_made(options: argparse.Namespace, train: Path, tail: Path, seed: int) -> Row:
    """The row of a training, from the file of results if it is there."""
    key = {"text": train.name, "seed": seed, "time": options.time, "flags": options.flags}
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    for row in map(json.loads, lines):
        if key.items() <= row.items():
            return row
    row = key | by_charrnn(train, tail, options.time, seed, options.flags)
    with options.results.open("a") as file:
        file.write(json.dumps(row) + "\n")
    return row


if __name__ == "__main__":
    main()
