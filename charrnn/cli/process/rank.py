"""The place of this process among those that train together, and how a process ends. Quick to import."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

from charrnn.errors import UsageError
from charrnn.messages import named

__all__ = ["MEETING", "ProcessRank", "leave", "own_process_rank"]

MEETING = "CHARRNN_MEETING"  # the file by which processes that were started here meet


@dataclass(frozen=True)
class ProcessRank:
    """This process's rank, the number of processes that train together, and the file by which they meet."""

    rank: int = 0
    count: int = 1
    meeting: str | None = None


def own_process_rank(nproc: int) -> ProcessRank:
    """Read the rank that torchrun or `launcher.start` has put in the environment; rank 0 of 1 without them.

    Raises:
        UsageError: `nproc` is not the number of processes that torchrun has started.
    """
    if "LOCAL_RANK" not in os.environ:  # others leave a RANK and a WORLD_SIZE of their own there
        return ProcessRank()
    rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    process = ProcessRank(rank, count, os.environ.get(MEETING))
    if nproc > 1 and 1 < process.count != nproc:
        raise UsageError(f"torchrun has started {process.count} processes, not {nproc}; leave {named('nproc')} out")
    return process


def leave(code: int) -> NoReturn:
    """Exit with a code. Unwritten output that fails is dropped: Python would try again and exit with its own code.

    A process that has joined others exits at once, without Python's clean-up: gloo's threads may still be releasing
    memory, and a process that Python takes apart meanwhile is sometimes aborted (in torch 2.13).
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
