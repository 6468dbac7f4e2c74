"""Commands whose streams are terminals, full, or without a reader."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal, NamedTuple

from tests.prepared import PROGRAM, prepared

__all__ = ["Commands", "Outcome"]

Target = Literal["file", "terminal", "full", "no reader"]

_INTERRUPTED = """
import importlib, os, signal, sys
module, name, *sys.argv[1:] = sys.argv[1:]
owner = importlib.import_module(module)
real = getattr(owner, name)

def interrupted(*arguments, **options):
    setattr(owner, name, real)
    os.kill(os.getpid(), signal.SIGINT)
    return real(*arguments, **options)

setattr(owner, name, interrupted)
"""


class Outcome(NamedTuple):
    """How a command ended, and what its streams got; nothing that a full one or one without a reader would have got."""

    code: int
    stdout: bytes
    stderr: bytes


class Commands:
    """`charrnn` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self,
        *arguments: str,
        stdout: Target = "file",
        stderr: Target = "file",
        interrupt_at: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run a command. It gets a SIGINT when it first calls the function that `interrupt_at` names."""
        streams = [_Stream(self.folder / name, target) for name, target in (("out", stdout), ("err", stderr))]
        module, _, name = interrupt_at.rpartition(".")
        process = prepared().start(
            [module, name, *arguments] if name else arguments,
            self.folder,
            program=_INTERRUPTED + PROGRAM if name else PROGRAM,
            environment=environment,
            stdout=streams[0].writer,
            stderr=streams[1].writer,
        )
        for stream in streams:
            os.close(stream.writer)
        code = process.wait(120)
        return Outcome(code, *(stream.close() for stream in streams))


class _Stream:
    """Where a standard stream of a command goes: a descriptor to write to."""

    def __init__(self, path: Path, target: Target) -> None:
        self._read = b""
        self._file: IO[bytes] | None = None
        self._thread: threading.Thread | None = None
        if target == "file":
            self._file = path.open("w+b")
            self.writer = os.dup(self._file.fileno())
        elif target == "full":
            self.writer = os.open("/dev/full", os.O_WRONLY)
        elif target == "no reader":
            reader, self.writer = os.pipe()
            os.close(reader)
        else:
            import pty

            self._master, self.writer = pty.openpty()
            self._thread = threading.Thread(target=self._drain)
            self._thread.start()

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux says EIO where the other side of a terminal is closed
                return
            self._read += data

    def close(self) -> bytes:
        """All that was written."""
        if self._thread:
            self._thread.join()
            os.close(self._master)
        if self._file:
            with self._file:
                self._file.seek(0)
                self._read = self._file.read()
        return self._read
