"""`charrnn write` on a pseudo-terminal that is its own, as in a window of a terminal."""

import fcntl
import os
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Session", "on_editor"]

_PATIENCE = 60  # seconds
_DRIVING = re.compile(rb"\x1b\[[0-9;?<>$]*[A-Za-z]|\x1b[()][AB0]|\x1b[=>]")
_PROGRAM = """
import fcntl, os, sys, termios
os.setsid()
terminal, stdin, stdout = int(sys.argv[1]), sys.argv[2], sys.argv[3]
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.dup2(os.open(stdin, os.O_RDONLY) if stdin else terminal, 0)
os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT, 0o644) if stdout else terminal, 1)
os.dup2(terminal, 2)
os.execv(sys.executable, [sys.executable, "-m", "charrnn", "write", *sys.argv[4:]])
"""


class Session:
    """An editor that runs; `seen` is what its terminal got."""

    def __init__(self, pid: int, master: int) -> None:
        self.seen = b""
        self._pid, self._master = pid, master
        self._code: int | None = None

    def type(self, keys: str) -> None:
        """Type some keys."""
        os.write(self._master, keys.encode())

    def until(self, text: str) -> None:
        """Wait until the terminal has got a text since the last key."""
        place = len(self.seen)
        self.wait_for(lambda: text.encode() in _DRIVING.sub(b"", self.seen[place:]))

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        """Read what comes until something is true."""
        until = time.monotonic() + _PATIENCE
        while not is_true():
            assert time.monotonic() < until, self.seen[-3000:]
            self._read(0.05)

    def kill(self, number: int) -> None:
        """Send a signal."""
        os.kill(self._pid, number)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self._master)
        self._master = -1

    def ended(self) -> int:
        """Wait for its end: the exit code, or minus the signal that ended it."""
        until = time.monotonic() + _PATIENCE
        while self._code is None:
            assert time.monotonic() < until, self.seen[-3000:]
            self._read(0.05)
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        self._read(0.05)
        return self._code

    def close(self) -> None:
        """End it if it has not ended."""
        if self._code is None:
            self.kill(9)
            os.waitpid(self._pid, 0)
        if self._master >= 0:
            os.close(self._master)

    def _read(self, seconds: float) -> None:
        if self._master < 0:
            time.sleep(seconds)
        elif select.select([self._master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self._master, 65536)
            except OSError:  # Linux says EIO where the other side of a terminal is closed
                time.sleep(seconds)


@contextmanager
def on_editor(
    arguments: Sequence[str], folder: Path, *, stdin: str = "", stdout: str = "", size: tuple[int, int] = (24, 100)
) -> Iterator[Session]:
    """Start the editor with a terminal of its own; stdin and stdout may be files."""
    import subprocess
    import sys

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(slave), stdin, stdout, *arguments], pass_fds=[slave], cwd=folder
    )
    os.close(slave)
    process.returncode = 0  # this session waits for it
    session = Session(process.pid, master)
    try:
        yield session
    finally:
        session.close()
