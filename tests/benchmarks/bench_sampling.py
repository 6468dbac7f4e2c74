"""Whole-process time of `charrnn sample`, beside a plain PyTorch script that does the same from its own checkpoint.

    python tests/benchmarks/bench_sampling.py [--runs 7] [--length 500]

Both have a trained 2x128 LSTM of the same text. The two are run in turn; medians, and the median of the ratios.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLAIN = Path(__file__).with_name("plain_char_rnn.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--length", type=int, default=500)
    arguments = parser.parse_args()
    text = ROOT / "corpora" / "tales.txt"
    length = str(arguments.length)
    with tempfile.TemporaryDirectory() as folder:
        charrnn = [sys.executable, "-m", "charrnn"]
        sizes = ["--layers", "2", "--hidden-size", "128", "--embedding-size", "64"]
        train = [*charrnn, "train", str(text), "--cell", "lstm", *sizes, "--steps", "200", "-q", "--name", "model"]
        subprocess.run(train, cwd=folder, check=True)
        subprocess.run([sys.executable, PLAIN, "train", text, "plain.pt", "5"], cwd=folder, check=True)
        commands = {
            "charrnn sample (numpy)": [*charrnn, "sample", "--model", "checkpoints/model", "-n", length, "-q"],
            "plain PyTorch script": [sys.executable, str(PLAIN), "sample", "plain.pt", length],
            "charrnn --help": [*charrnn, "--help"],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for run in range(arguments.runs + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
                if run:  # the first round warms the caches
                    seconds[name].append(time.perf_counter() - start)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {length} characters")
    for name, times in seconds.items():
        print(f"{name:24} median {statistics.median(times):.3f} s  (from {min(times):.3f} to {max(times):.3f})")
    ours, theirs = seconds["charrnn sample (numpy)"], seconds["plain PyTorch script"]
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"charrnn is {ratio:.1f} times as fast as the plain script")


if __name__ == "__main__":
    main()
