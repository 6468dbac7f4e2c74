"""Commands in processes of their own, met at an exact point."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.prepared import Process, prepared

__all__ = ["TINY", "command_at", "shell_code"]

TINY = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9", "--dropout", "0.2")

_PROGRAM = """
import importlib, os, sys, time
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
    stdout: int = subprocess.DEVNULL,
    ignored: Sequence[int] = (),
) -> Iterator[Process]:
    """`charrnn` with these arguments, at the moment when it calls a function of the package for the `count`-th time
    (and rests there for some seconds). Signals that are `ignored` it ignores, as under `nohup`."""
    module, _, name = function.rpartition(".")
    odd = [module, name, str(count), str(seconds)]
    command = [*odd, *arguments]
    with prepared().start(command, folder, program=_PROGRAM, stdout=stdout, ignored=ignored) as process:
        assert process.stderr is not None
        told = b""
        while not told.endswith(b"here\n"):
            byte = os.read(process.stderr.fileno(), 1)
            assert byte, told
            told += byte
        yield process


def shell_code(process: "Process | subprocess.Popen[bytes]") -> int:
    """The exit code of a process as a shell has it."""
    code = process.wait(60)
    return code if code >= 0 else 128 - code
