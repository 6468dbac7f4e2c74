"""How fast `charrnn write` answers a key with the demo, at several lengths of the text.

    python tests/benchmarks/bench_write.py [--rounds 40] [--lengths 100 10000 100000]

The editor runs on a pseudo-terminal. When all of the text has been read, letters are typed at its end, and in another
session some rows above: the times until a letter is drawn, until all that follows from it is (likely characters, the
suggestion, the measures), and the tokens that the model was stepped by to read it. Medians and the longest of all
rounds, in milliseconds.
"""

import argparse
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from charrnn.checkpoint.store import load_model
from charrnn.settings.sampling import SamplingConfig
from charrnn.writing.voice import Question, Voice

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "checkpoints" / "demo"
QUIET = 0.12  # seconds without output after which all is drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--lengths", type=int, nargs="*", default=[100, 10_000, 100_000])
    arguments = parser.parse_args()
    tales = (ROOT / "corpora" / "tales.txt").read_text("utf-8")
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; milliseconds: median (longest)")
    print(f"{'characters':>10}  {'typed at':8}  {'drawn':>14}  {'all answered':>14}  steps")
    for length in arguments.lengths:
        text = (tales * (length // len(tales) + 1))[:length]
        for name, keys in {"end": b"", "middle": b"\x1b[A" * 12}.items():
            drawn, answered = typed(text, keys, arguments.rounds)
            steps = stepped(text, len(text) if name == "end" else len(text) - 12 * 70)
            print(f"{length:10,}  {name:8}  {shown(drawn):>14}  {shown(answered):>14}  {steps}", flush=True)


def shown(seconds: Sequence[float]) -> str:
    return f"{1e3 * statistics.median(seconds):.1f} ({1e3 * max(seconds):.1f})"


def stepped(text: str, cursor: int) -> int:
    """Tokens that the model reads for a letter at a place of a text that it has read, before it answers."""
    _, checkpoint = load_model(str(MODEL))
    config = SamplingConfig(seed=1)
    voice = Voice("demo", checkpoint, config)
    for _ in voice.answers(Question(text, len(text), config, 0, "word")):
        pass
    before = voice.steps
    changed = text[: max(cursor, 0)] + "e" + text[max(cursor, 0) :]
    next(answer for answer in voice.answers(Question(changed, max(cursor, 0) + 1, config, 0, "word")) if answer)
    return voice.steps - before


def typed(text: str, keys: bytes, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds until a letter is drawn, and until all is, for each round."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text.txt")
        path.write_text(text, "utf-8")
        master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "charrnn", "write", str(path), "--model", str(MODEL), "--seed", "1"]
        with subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        ) as process:
            until_quiet(master, 20)
            while until_quiet(master, 3)[0]:  # it tells how much has been read
                pass
            os.write(master, keys)
            until_quiet(master, 1)
            drawn, answered = [], []
            for round in range(rounds):
                began = time.perf_counter()
                os.write(master, b"etaoin "[round % 7 : round % 7 + 1])
                first, last = until_quiet(master, 1)
                drawn.append(first - began)
                answered.append(last - began)
            process.kill()
        os.close(master)
        os.close(slave)
    return drawn, answered


def until_quiet(master: int, patience: float) -> tuple[float, float]:
    """Read until nothing comes for a while; the times of the first and the last piece."""
    first = last = 0.0
    while select.select([master], [], [], QUIET if first else patience)[0]:
        os.read(master, 65536)
        last = time.perf_counter()
        first = first or last
    return first, last


if __name__ == "__main__":
    main()
