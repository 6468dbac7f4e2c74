"""How fast a large text is encoded, and how much memory a training on it takes.

    python tests/benchmarks/bench_corpus.py [--megabytes 1000] [--folder FOLDER]

Makes an English-like and a Korean text of that size in a temporary folder (in FOLDER, which needs about four times as
much room), reads each in a process of its own with one thread, once to encode it and once to find it encoded, and
trains 20 steps. The memory is the most that the process had at any time, less that of the same on a tiny text.
"""

import argparse
import json
import os
import platform
import random
import tempfile
from pathlib import Path

from peak_memory import run_measured

CHILD = """
import json, sys, time
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.training.loop import train
from charrnn.training.setup import prepare
config = RunConfig(
    text=TextConfig(corpus=(sys.argv[1],), validation=float(sys.argv[2])),
    model=ModelConfig(layers=1, hidden_size=32, dropout=0.0),
    training=TrainingConfig(steps=20, batch_size=64, sequence_length=64, device="cpu"),
)
start = time.perf_counter()
setup = prepare(config)
seconds = time.perf_counter() - start
characters = setup.training.targets
del setup
for event in train(config):
    pass
print(json.dumps({"seconds": seconds, "characters": characters}))
"""

WORDS = {
    "English": "the cat sat on a mat and “nothing” — or, so it seemed; was there; house hill river bird over under",
    "Korean": "옛날에 호랑이가 담배를 피우던 시절, 깊은 산속 작은 마을에 할머니와 손자가 살았다. 바다는 푸르렀다.",
}


def write_text(path: Path, words: list[str], size: int) -> None:
    """Some megabytes of random words in lines, over and over, with a number in between."""
    draw = random.Random(1)
    lines = (" ".join(draw.choices(words, k=12)) + "\n" for _ in range(40_000))
    block = "".join(lines).encode()
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(b"%d\n" % file.tell() + block)


def measured(path: Path, validation: float) -> dict[str, float]:
    environment = os.environ | {"CHARRNN_CACHE": "cache", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done, peak = run_measured(CHILD, str(path), str(validation), cwd=path.parent, env=environment, capture_output=True)
    return {**json.loads(done.stdout), "bytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    size = arguments.megabytes * 10**6
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, one thread")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for language, sentence in WORDS.items():
            words = sentence.split()
            tiny, large = folder / "tiny.txt", folder / "large.txt"
            tiny.write_text(" ".join(words * 50), "utf-8")
            write_text(large, words, size)
            least = measured(tiny, 0.1)["bytes"]
            few = 10_000 / size  # to validate on more would take long, and shows nothing of the reading
            for what in ("encoded", "found encoded"):
                found = measured(large, few)
                speed, growth = large.stat().st_size / found["seconds"] / 1e6, (found["bytes"] - least) / 1e6
                print(
                    f"{language:8} {large.stat().st_size / 1e6:,.0f} MB, {found['characters']:,.0f} characters, "
                    f"{what}: {speed:,.0f} MB/s; memory {growth:+,.0f} MB"
                )
            for path in (folder / "cache").iterdir():
                path.unlink()


if __name__ == "__main__":
    main()
