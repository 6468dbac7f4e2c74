"""The benchmark for GPUs, where there is none: it says so, and is rehearsed on a CPU in a tree of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
OFFLINE = ROOT / "tests" / "offline"  # whose sitecustomize refuses the network


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_it_says_that_there_is_no_gpu() -> None:
    done = subprocess.run([sys.executable, ROOT / "tests/benchmarks/bench_gpu.py"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "torch has no cuda here; --device cpu rehearses all parts with tiny networks\n"


@pytest.mark.slow
def test_it_is_rehearsed_on_a_cpu(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("charrnn", "tests/benchmarks", "corpora"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    script = [sys.executable, "-P", tree / "tests/benchmarks/bench_gpu.py", "machine"]
    done = subprocess.run(
        [*script, "--device", "cpu", "--budget", "60"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(OFFLINE), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    parts = re.findall(r"^(\w+)\n((?:  .*\n)+)", done.stdout, re.MULTILINE)
    assert [name for name, _ in parts] == ["machine"]
    assert "gradients' error, fp32, lstm" in done.stdout
    assert "exit code" not in done.stdout
