"""Commands without the seconds that starting takes: one process imports everything, and forks into each command.

`start` is for what a command does with its streams, signals and files. What depends on how Python starts, on what is
imported or on the memory of a process takes a process of its own, as `python -m charrnn`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

__all__ = ["Prepared", "Process", "prepared"]

PROGRAM = "from charrnn.cli.app import main\nmain()"
ANSWER = 16  # bytes of a number
PATIENCE = 300  # seconds after which a command is ended whose test is gone


class Process:
    """A command that was started, with what `subprocess.Popen` offers of it that tests use."""

    def __init__(self, pid: int, answers: socket.socket, stdout: IO[bytes] | None, stderr: IO[bytes] | None) -> None:
        self.pid, self.stdout, self.stderr = pid, stdout, stderr
        self.returncode: int | None = None
        self._answers = answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """End it, if it has not ended."""
        self.kill()
        self.wait()
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code, or minus the signal that ended it."""
        if self.returncode is None:
            self._answers.settimeout(timeout)
            self.returncode = int(self._answers.recv(ANSWER))
            self._answers.close()
        return self.returncode

    def poll(self) -> int | None:
        """Its exit code, None while it runs."""
        with contextlib.suppress(BlockingIOError):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its exit code is on the way
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Prepared:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        offline = f"{Path(__file__).parent / 'offline'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        one_thread = {"OMP_NUM_THREADS": "1"}  # a process of several cannot be forked
        environment = {**os.environ, **one_thread, "PYTHONPATH": offline}
        command = [sys.executable, __file__, str(theirs.fileno())]
        self._server = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        theirs.close()

    def close(self) -> None:
        self._orders.close()
        self._server.wait(60)

    def start(
        self,
        arguments: Sequence[str | bytes],
        folder: Path | str = ".",
        *,
        program: str = PROGRAM,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = subprocess.DEVNULL,
        stderr: int | None = subprocess.PIPE,
        ignored: Sequence[int] = (),
    ) -> Process:
        """Start `program`, which is the command, with these arguments.

        Streams are descriptors, DEVNULL, None for one that is closed, and PIPE where the command writes. `environment`
        is added to that of this process; `ignored` are signals, as under `nohup`.
        """
        order = {
            "arguments": [os.fsdecode(argument) for argument in arguments],
            "folder": str(Path(folder).absolute()),
            "program": program,
            "environment": {**os.environ, "COLUMNS": "100", **(environment or {})},
            "open": [stream is not None for stream in (stdin, stdout, stderr)],
            "ignored": list(ignored),
        }
        with contextlib.ExitStack() as opened:
            answers, theirs = socket.socketpair()
            text = opened.enter_context(tempfile.TemporaryFile())
            text.write(json.dumps(order).encode())
            text.seek(0)
            nothing = os.open(os.devnull, os.O_RDWR)
            opened.callback(os.close, nothing)
            streams, read = [stdin, stdout, stderr], []
            for number in (1, 2):
                read.append(None)
                if streams[number] == subprocess.PIPE:
                    reading, writing = os.pipe()
                    opened.callback(os.close, writing)
                    streams[number], read[-1] = writing, os.fdopen(reading, "rb", 0)
            streams = [nothing if stream in (None, subprocess.DEVNULL) else stream for stream in streams]
            descriptors = [text.fileno(), theirs.fileno(), *streams]
            socket.send_fds(self._orders, [b"."], descriptors)  # type: ignore[list-item]
            theirs.close()
        return Process(int(answers.recv(ANSWER)), answers, *read)

    def run(
        self,
        arguments: Sequence[str | bytes],
        folder: Path | str = ".",
        *,
        program: str = PROGRAM,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> "subprocess.CompletedProcess[bytes]":
        """As `subprocess.run` does with `input` and `capture_output`."""
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            child = self.start(
                arguments,
                folder,
                program=program,
                environment=environment,
                stdin=reading,
                stdout=stdout.fileno(),
                stderr=stderr.fileno(),
            )
            os.close(reading)
            with child:
                with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
                    pipe.write(stdin)
                code = child.wait()
            outputs = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0) for file in (stdout, stderr)]
        return subprocess.CompletedProcess([*arguments], code, *outputs)


@functools.cache
def prepared() -> Prepared:
    """The one of this test run, started when it is first asked for."""
    made = Prepared()
    atexit.register(made.close)
    return made


def _serve(orders: socket.socket) -> None:
    import torch

    import charrnn

    for module in pkgutil.walk_packages(charrnn.__path__, "charrnn."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    torch.optim.AdamW([torch.zeros(1)])  # the first one imports as much again
    gc.freeze()  # what is here stays, so that no child need look through it
    while received := socket.recv_fds(orders, 1, 5)[:2]:
        message, descriptors = received
        if not message:
            break
        if os.fork() == 0:
            orders.close()
            _look_after(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _look_after(text: int, answers: int, *streams: int) -> NoReturn:
    """Fork into a command, answer with its process id, and with its exit code when it has ended."""
    child = os.fork()
    if child == 0:
        os.close(answers)
        with os.fdopen(text) as file:
            order = json.load(file)
        _become(streams, **order)
    os.write(answers, b"%*d" % (ANSWER, child))
    for stream in streams:
        os.close(stream)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        os.write(answers, b"%*d" % (ANSWER, code))
    os._exit(0)


def _become(
    streams: Sequence[int],
    arguments: Sequence[str],
    folder: str,
    program: str,
    environment: Mapping[str, str],
    open: Sequence[bool],
    ignored: Sequence[int],
) -> NoReturn:
    """Run a program as Python does that has just started."""
    signal.alarm(PATIENCE)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what runs in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, (stream, is_open) in enumerate(zip(streams, open, strict=True)):
        os.dup2(stream, number)
        os.close(stream)
        if not is_open:
            os.close(number)
    sys.stdin, sys.stdout, sys.stderr = _text(0, "strict"), _text(1, "strict"), _text(2, "backslashreplace")  # type: ignore[assignment]
    sys.argv = ["charrnn", *arguments]
    code: object = None
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        code = 120  # as Python has it
    os._exit(code if isinstance(code, int) else int(code is not None))  # to tear all down would take its time


def _text(descriptor: int, errors: str) -> IO[str] | None:
    """A standard stream, None where it is closed."""
    try:
        is_terminal = os.isatty(descriptor)
        os.fstat(descriptor)
    except OSError:
        return None
    mode, encoding = ("r", "w")[descriptor > 0], sys.__stdout__.encoding  # type: ignore[union-attr]
    buffering = 1 if descriptor == 2 or is_terminal else -1
    return os.fdopen(descriptor, mode, buffering, encoding=encoding, errors=errors, closefd=False)


if __name__ == "__main__":
    _serve(socket.socket(socket.AF_UNIX, fileno=int(sys.argv[1])))
