"""What is set for the whole process."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from charrnn.runtime import compute_with
if "kept" in sys.argv:
    compute_with(torch.device("cpu"), "fp32", None)

def fetched():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

fetched()
print(fetched())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have ways of their own")
def test_memory_is_kept_for_the_next_tensors() -> None:
    pages = {
        which: int(subprocess.run([sys.executable, "-c", PROGRAM, which], capture_output=True, check=True).stdout)
        for which in ("kept", "usual")
    }
    assert pages["kept"] < pages["usual"] / 4, pages
