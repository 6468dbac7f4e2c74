"""What charrnn does on a GPU, as one table, within eight minutes.

    python tests/benchmarks/bench_gpu.py [machine] [learn] [cores] [sampling] [resume] [exact] [laws]
                                         [--text FILE] [--device cuda] [--budget 480]

machine   versions; what rounding does to gradients; which cores wait for the GPU; whether lack of memory is told
learn     `charrnn train FILE` as it is: pace, losses, and the share of time that was not learning
cores     every core, 2x512: characters/s, kernels a step and how busy they keep the GPU, and a larger batch
sampling  steps of 1 and of 64 streams, in numpy and on the device
resume    whether a repeat and a resumed run are the same to the bit
exact     the same with CUBLAS_WORKSPACE_CONFIG set, with which torch promises it of cuDNN's networks
laws      pytest -m gpu

All parts, if none is named. Each is a process of its own, so that one that spoils the device spoils no other, and has
its share of the budget. The tree need not be installed, and the network is not used. `--device cpu` rehearses it.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARES = {"machine": 60, "learn": 205, "cores": 80, "sampling": 25, "resume": 30, "exact": 30, "laws": 50}
ENVIRONMENTS = {"exact": {"CUBLAS_WORKSPACE_CONFIG": ":4096:2"}}
MARGIN = 0.85  # of its time, that a part is told of: the rest is for importing torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*SHARES, []], metavar="part")
    parser.add_argument("--text", default=str(ROOT / "corpora" / "tales.txt"))
    parser.add_argument("--device", choices=["cuda", "mps", "cpu"], default="cuda")
    parser.add_argument("--budget", type=float, default=480, help="seconds, for all parts together")
    arguments = parser.parse_args()
    if not is_there(arguments.device):
        parser.exit(2, f"torch has no {arguments.device} here; --device cpu rehearses all parts with tiny networks\n")
    text = str(Path(arguments.text).resolve())
    show(list(arguments.parts) or list(SHARES), text, arguments.device, arguments.budget)


def is_there(device: str) -> bool:
    """True if torch can compute on a kind of device."""
    import torch  # here, so that --help needs none

    backends = {"cuda": torch.cuda, "mps": torch.backends.mps, "cpu": torch.cpu}
    return backends[device].is_available()


def show(parts: list[str], text: str, device: str, budget: float) -> None:
    """Run each part in its share of what is left of the budget, then print the table."""
    start, table = time.monotonic(), {}
    for index, part in enumerate(parts):
        left = budget - (time.monotonic() - start) - 5
        share = left * SHARES[part] / sum(SHARES[name] for name in parts[index:])
        print(f"{part}, at most {share:.0f} s", file=sys.stderr, flush=True)
        table[part] = list(rows_of(part, text, device, share))
    width = max(len(name) for rows in table.values() for name, _ in rows)
    for part, rows in table.items():
        print(f"\n{part}", *(f"  {name:{width}}  {value}" for name, value in rows), sep="\n")
    print(f"\n{time.monotonic() - start:.0f} s in all")


def rows_of(part: str, text: str, device: str, seconds: float) -> Iterator[tuple[str, str]]:
    """The rows that a part, in a process of its own, has come to when its time is over."""
    script = Path(__file__).with_name("gpu_parts.py")
    options = ["--text", text, "--device", device, "--seconds", str(MARGIN * seconds)]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, str(script), part, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, **ENVIRONMENTS.get(part, {})},
    )
    try:
        said, errors = process.communicate(timeout=seconds)
        ended = "" if process.returncode == 0 else f"exit code {process.returncode}: {errors.strip()[-160:]}"
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        ended = "out of time"
    for line in said.splitlines():
        with contextlib.suppress(ValueError):
            name, value = json.loads(line)
            yield name, value
    if ended:
        yield "ended early", ended.replace("\n", " ")


if __name__ == "__main__":
    main()
