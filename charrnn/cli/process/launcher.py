"""Several processes that train together: `--nproc` starts them, as torchrun does, and looks after them."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from charrnn.cli.process.signals import SIGNALS, stop_on_signals
from charrnn.cli.process.terminal import note
from charrnn.errors import DivergedError, PeerGoneError, UsageError
from charrnn.settings.fields import check_range

__all__ = ["ProcessRank", "leave", "own_process_rank", "start", "take_part"]

_MEETING = "CHARRNN_MEETING"  # the file by which processes that were started here meet

# Once a process has failed, the others notice, save what they are saving and end. Who does not is asked, then killed.
_PATIENCE, _MERCY = 5.0, 25.0  # seconds


@dataclass(frozen=True)
class ProcessRank:
    """Which of how many processes this one was started as."""

    rank: int = 0
    count: int = 1
    meeting: str | None = None


def own_process_rank(nproc: int) -> ProcessRank:
    """What torchrun, or `start`, has put in the environment; rank 0 of 1 when it was neither.

    Raises:
        UsageError: `nproc` is not a number of processes, or another one than has been started.
    """
    check_range("nproc", nproc, least=1, most=1024)
    if "LOCAL_RANK" not in os.environ:  # others leave a RANK and a WORLD_SIZE of their own there
        return ProcessRank()
    rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    process = ProcessRank(rank, count, os.environ.get(_MEETING))
    if nproc > 1 and 1 < process.count != nproc:
        raise UsageError(f"torchrun has started {process.count} processes, not {nproc}; leave --nproc out")
    return process


def take_part(process: ProcessRank) -> None:
    """Train as another rank than the first, without a word unless something is wrong here and nowhere else."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it waits for the others it can hear no other handler
    from charrnn.distributed import joined
    from charrnn.training import loop

    try:
        with joined(process.rank, process.count, process.meeting), stop_on_signals(os.getppid()) as stop:
            stop.run = Path()  # rank 0 knows whether there is one to save
            for _ in loop.follow(stop):
                pass
    except (DivergedError, PeerGoneError) as error:  # rank 0 tells of the one, and whoever has ended of the other
        raise typer.Exit(error.exit_code) from error
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)


def start(count: int) -> int:
    """Run this very command line in `count` processes that train together; the exit code of the first that failed.

    Signals are passed on to all of them. They are in sessions of their own, so that a terminal sends it to this one.
    """
    with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:
        processes: list[subprocess.Popen[bytes]] = []
        with _passed_on(processes) as received:
            try:
                for rank in range(count):
                    processes.append(_start_one(rank, count, str(Path(folder, "meeting"))))
                failed = _wait(processes)
            finally:
                for process in processes:
                    process.kill()
                    process.wait()
    if failed is None:
        return 0
    rank, code = failed
    if received:
        return 128 + received[0]
    if code < 0:
        note(f"process {rank} of {count} was ended by {signal.Signals(-code).name}")
    return code if code > 0 else 128 - code


def leave(code: int) -> NoReturn:
    """Exit. What is left to write and cannot be is let go of: Python would try once more, and end with its own code.

    Where others were joined at once: gloo's threads may still be letting go of what they were given, and a process
    that Python takes apart meanwhile is aborted now and then (in torch 2.13).
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if own_process_rank(1).count > 1:
        os._exit(code)
    sys.exit(code)


def _start_one(rank: int, count: int, meeting: str) -> "subprocess.Popen[bytes]":
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, _MEETING: meeting}
    loopback = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
    environment = {**loopback, **os.environ, **{name: str(value) for name, value in own.items()}}
    command = [sys.executable, "-m", "charrnn", *sys.argv[1:]]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)


def _wait(processes: "list[subprocess.Popen[bytes]]") -> tuple[int, int] | None:
    """Wait until all have ended, or have to be killed; the rank and exit code of one that failed by itself."""
    failed, since, is_asked = None, math.inf, False
    while any(process.poll() is None for process in processes):
        if not is_asked and (failed := _failed(processes)):
            since = min(since, time.monotonic())
        waited = time.monotonic() - since
        if waited > _PATIENCE and not is_asked:
            is_asked = True
            _send(processes, signal.SIGTERM)
        if waited > _PATIENCE + _MERCY:
            break
        time.sleep(0.05)
    return failed if is_asked else _failed(processes)


def _failed(processes: "list[subprocess.Popen[bytes]]") -> tuple[int, int] | None:
    """The rank and exit code of one that has failed, for a reason of its own if there is such a one."""
    failures = [(rank, code) for rank, process in enumerate(processes) if (code := process.poll())]
    return min(failures, key=lambda failure: failure[1] == PeerGoneError.exit_code, default=None)


def _send(processes: "list[subprocess.Popen[bytes]]", number: int) -> None:
    for process in processes:
        process.send_signal(number)  # which does nothing to one that has ended


@contextlib.contextmanager
def _passed_on(processes: "list[subprocess.Popen[bytes]]") -> Iterator[list[int]]:
    """Pass the signals that stop a training on to processes; which ones came is added to what is yielded."""
    received: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        received.append(number)
        _send(processes, number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN or number == signal.SIGINT]
    for number in heard:
        signal.signal(number, pass_on)
    try:
        yield received
    finally:
        for number in heard:
            signal.signal(number, before[number])
