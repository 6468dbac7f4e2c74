"""Commands whose streams are terminals, full, or without a reader, from a process that has imported everything.

Run as a script it answers each line of JSON by becoming the command in a forked child, and with the child's exit code.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, NamedTuple, Self

__all__ = ["Commands", "Outcome"]

Target = Literal["file", "terminal", "full", "no reader"]


class Outcome(NamedTuple):
    """How a command ended, and what its streams got; nothing that a full one or one without a reader would have got."""

    code: int
    stdout: bytes
    stderr: bytes


class Commands:
    """`charrnn` in a folder, without the seconds that it takes to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # a process of several threads cannot be forked
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.kill()
        self._server.communicate()

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
        order = {
            "arguments": arguments,
            "streams": [stream.path for stream in streams],
            "interrupt_at": interrupt_at,
            "environment": {"COLUMNS": "100", "TERM": "xterm-256color", **(environment or {})},
        }
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps(order), file=self._server.stdin, flush=True)
        code = int(self._server.stdout.readline())
        return Outcome(code, *(stream.close() for stream in streams))


class _Stream:
    """Where a standard stream of a command goes: `path`, "" for a pipe that nobody reads."""

    def __init__(self, path: Path, target: Target) -> None:
        self._read = b""
        self.path = {"file": str(path), "full": "/dev/full", "no reader": "", "terminal": ""}[target]
        self._file: IO[bytes] | None = None
        if target == "file":
            path.write_bytes(b"")
            self._file = path.open("rb")
        self._thread: threading.Thread | None = None
        if target == "terminal":
            import pty

            self._master, self._slave = pty.openpty()
            self.path = os.ttyname(self._slave)
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
            os.close(self._slave)
            self._thread.join()
            os.close(self._master)
        if self._file:
            with self._file:
                self._read = self._file.read()
        return self._read


def _serve() -> None:
    import torch

    import charrnn.cli.app
    import charrnn.cli.render.display
    import charrnn.evaluation.evaluate
    import charrnn.training.comparison  # noqa: F401

    torch.optim.AdamW([torch.zeros(1)])  # the first one imports as much again
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(
    arguments: Sequence[str], streams: Sequence[str], interrupt_at: str, environment: Mapping[str, str]
) -> None:
    import importlib

    from charrnn.cli.app import main

    signal.alarm(120)  # so that none goes on for ever
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(streams, 1):
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(os.open(path, os.O_WRONLY | os.O_NOCTTY) if path else writer, number)
    if interrupt_at:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a run in the background would ignore
        module, _, name = interrupt_at.rpartition(".")
        owner = importlib.import_module(module)
        real = getattr(owner, name)

        def interrupted(*arguments: Any, **options: Any) -> Any:
            setattr(owner, name, real)
            os.kill(os.getpid(), signal.SIGINT)
            return real(*arguments, **options)

        setattr(owner, name, interrupted)
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            os._exit(120)  # as Python does; to tear all down, as it also does, would take seconds
        os._exit(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    _serve()
