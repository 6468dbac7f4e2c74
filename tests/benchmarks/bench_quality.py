"""What is learned of a text in a given time: charrnn with some choices of flags, and a plain PyTorch script.

    python tests/benchmarks/bench_quality.py TEXT [--time 3m] [--run "--cell gru"] [--run "--cell lstm"] ...

Each is trained on the first 90 % of TEXT for the time, one after the other, and scored on the last 10 %: `windowed`
(256 targets from a zero state) and `carried` (one stream). Losses in nats per character.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from charrnn.settings.training import parse_duration

PLAIN = Path(__file__).with_name("plain_char_rnn.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--time", default="3m")
    parser.add_argument("--run", action="append", default=[], help="flags of charrnn train; can be repeated")
    parser.add_argument("--no-plain", action="store_true", help="leave out the plain script")
    arguments = parser.parse_args()
    text = arguments.text.resolve()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {arguments.time} each")
    print(f"{'':40} {'characters read':>16} {'parameters':>11} {'carried':>8} {'windowed':>8}")
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.no_plain:
            seconds = str(parse_duration(arguments.time))
            command = [sys.executable, PLAIN, "train", text, "plain.pt", seconds]
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            read, loss = done.stdout.split()
            print(f"{'plain PyTorch script':40} {int(read):16,} {'':>11} {'':>8} {float(loss):8.4f}", flush=True)
        for flags in arguments.run or [""]:
            charrnn = [sys.executable, "-m", "charrnn"]
            train = [*charrnn, "train", str(text), "--time", arguments.time, "--name", "run", *shlex.split(flags)]
            told = subprocess.run(train, cwd=folder, check=True, capture_output=True, text=True).stderr
            parameters = next(line for line in told.splitlines() if "parameters" in line).split(": ")[-1].split()[0]
            run = max(Path(folder, "checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
            read = characters_read(run)
            losses = []
            for protocol in ("carried", "windowed"):
                score = [*charrnn, "eval", "--model", str(run), "--protocol", protocol, "--json", "-q"]
                done = subprocess.run(score, cwd=folder, check=True, capture_output=True, text=True)
                losses.append(json.loads(done.stdout)["nats_per_character"])
            name = f"charrnn {flags}".strip()
            print(f"{name:40} {read:16,} {parameters:>11} {losses[0]:8.4f} {losses[1]:8.4f}", flush=True)


def characters_read(run: Path) -> int:
    """Characters that a run has trained on, as its last checkpoint counts them."""
    from charrnn.checkpoint.format import from_file
    from charrnn.checkpoint.store import Run

    latest = Run(run).pointed("latest")
    assert latest is not None
    return from_file(latest, training=True).counters.characters


if __name__ == "__main__":
    main()
