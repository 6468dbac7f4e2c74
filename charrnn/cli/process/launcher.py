"""Start several processes that train together, for `--nproc`, as torchrun does, and watch over them."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import typer

from charrnn.cli.process.rank import MEETING, ProcessRank
from charrnn.cli.process.signals import SIGNALS, stop_on_signals
from charrnn.cli.process.terminal import note
from charrnn.errors import DivergedError, PeerGoneError

__all__ = ["start", "take_part"]

# Once a process has failed, the others notice it, finish saving and end. One that does not is asked to, then killed.
_PATIENCE, _MERCY = 5.0, 25.0  # seconds


def take_part(process: ProcessRank) -> None:
    """Train as a rank other than 0, and write only errors that no other rank writes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it waits for the others it can hear no other handler
    from charrnn.distributed import joined
    from charrnn.training import loop

    try:
        with joined(process.rank, process.count, process.meeting), stop_on_signals(os.getppid()) as stop:
            stop.run = Path()  # rank 0 knows whether there is one to save
            for _ in loop.follow(stop):
                pass
    except (DivergedError, PeerGoneError) as error:  # reported by rank 0, or by the process that ended
        raise typer.Exit(error.exit_code) from error
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)


def start(count: int) -> int:
    """Run this command line in `count` processes that train together; the exit code of the first that failed.

    Signals are passed on to all of them. They have sessions of their own, so that a terminal signals only this process.
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


def _start_one(rank: int, count: int, meeting: str) -> "subprocess.Popen[bytes]":
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, MEETING: meeting}
    loopback = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
    environment = {**loopback, **os.environ, **{name: str(value) for name, value in own.items()}}
    command = [sys.executable, "-m", "charrnn", *sys.argv[1:]]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)


def _wait(processes: "list[subprocess.Popen[bytes]]") -> tuple[int, int] | None:
    """Wait until all have ended, or must be killed; the rank and exit code of one that failed by itself."""
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
    """The rank and exit code of a process that has failed, preferably for a reason of its own."""
    failures = [(rank, code) for rank, process in enumerate(processes) if (code := process.poll())]
    return min(failures, key=lambda failure: failure[1] == PeerGoneError.exit_code, default=None)


def _send(processes: "list[subprocess.Popen[bytes]]", number: int) -> None:
    for process in processes:
        process.send_signal(number)  # which does nothing to one that has ended


@contextlib.contextmanager
def _passed_on(processes: "list[subprocess.Popen[bytes]]") -> Iterator[list[int]]:
    """Pass the signals that stop a training on to processes; each signal is appended to the list that is yielded."""
    received: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        """Note a signal and send it to all processes."""
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
