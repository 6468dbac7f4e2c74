"""Commands in processes of their own, met at an exact point."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TINY", "command_at", "shell_code"]

TINY = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9", "--dropout", "0.2")

_PROGRAM = """
import importlib, os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts a test run in the background ignores it
module, name, count, seconds, *sys.argv[1:] = sys.argv[1:]
owner, left = importlib.import_module(module), int(count)
real = getattr(owner, name)

def announced(*arguments, **options):
    global left
    left -= 1
    if not left:
        os.write(2, b"here\\n")
        time.sleep(float(seconds))
    return real(*arguments, **options)

setattr(owner, name, announced)
from charrnn.cli.app import main
main()
"""


@contextmanager
def command_at(
    function: str,
    count: int,
    arguments: Sequence[str],
    folder: Path,
    *,
    seconds: float = 0.3,
    before: Callable[[], object] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """`charrnn` with these arguments, at the moment when it calls a function of the package for the `count`-th time
    (and rests there for some seconds). `before` is called in the process first."""
    module, _, name = function.rpartition(".")
    command = [sys.executable, "-c", _PROGRAM, module, name, str(count), str(seconds), *arguments]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=before
    )
    assert process.stderr is not None
    try:
        told = b""
        while not told.endswith(b"here\n"):
            byte = os.read(process.stderr.fileno(), 1)
            assert byte, told
            told += byte
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def shell_code(process: "subprocess.Popen[bytes]") -> int:
    """The exit code of a process as a shell has it."""
    code = process.wait(60)
    return code if code >= 0 else 128 - code
