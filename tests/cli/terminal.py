"""A command on a pseudo-terminal."""

import os
import select
from collections.abc import Sequence
from pathlib import Path

from tests.prepared import prepared

__all__ = ["on_terminal"]


def on_terminal(
    arguments: Sequence[str], folder: Path, *, streams: Sequence[str] = ("stdout", "stderr"), timeout: float = 120
) -> tuple[int, bytes, bytes]:
    """Run `charrnn` with the named streams on a terminal: exit code, what the terminal got, what the pipe got."""
    import pty

    master, slave = pty.openpty()
    read_end, write_end = os.pipe()
    targets = {name: slave if name in streams else write_end for name in ("stdout", "stderr")}
    process = prepared().start(arguments, folder, environment={"LINES": "40"}, stdin=slave, **targets)
    os.close(slave)
    os.close(write_end)
    seen = {master: b"", read_end: b""}
    open_ends = {master, read_end}
    while open_ends:
        ready, _, _ = select.select(list(open_ends), [], [], timeout)
        if not ready:
            process.kill()
            raise TimeoutError(seen)
        for end in ready:
            try:
                data = os.read(end, 65536)
            except OSError:  # Linux says EIO where the other side of a terminal is closed
                data = b""
            seen[end] += data
            if not data:
                open_ends.remove(end)
    os.close(master)
    os.close(read_end)
    return process.wait(timeout), seen[master], seen[read_end]
