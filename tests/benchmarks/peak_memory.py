"""The most memory that a process has had.

What `wait4` tells of a child may be its parent's, from before it ran a program of its own; so it is asked itself.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["COMMAND", "run_measured"]

COMMAND = "from charrnn.cli.app import main; main()"

_AT_EXIT = """
import atexit, os, re, resource

def _report():
    try:
        with open("/proc/self/status") as status:
            most = 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", status.read())[1])
    except FileNotFoundError:  # macOS, which has bytes there
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(os.environ["PEAK_FILE"], "w") as file:
        file.write(str(most))

atexit.register(_report)
"""


def run_measured(program: str, *arguments: str, **options: Any) -> tuple["subprocess.CompletedProcess[bytes]", int]:
    """Run a Python program, which must end well, in a process of its own; and the most bytes that were resident."""
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder, "peak")
        options["env"] = {**options.get("env", os.environ), "PEAK_FILE": str(peak)}
        done = subprocess.run([sys.executable, "-c", _AT_EXIT + program, *arguments], check=True, **options)
        return done, int(peak.read_text())
