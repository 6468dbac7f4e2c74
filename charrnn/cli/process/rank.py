"""The place of this process among those that train together, and how a process ends. Quick to import."""

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import check_range

__all__ = ["MEETING", "ProcessRank", "leave", "own_process_rank"]

MEETING = "CHARRNN_MEETING"  # the file by which processes that were started here meet


@dataclass(frozen=True)
class ProcessRank:
    """Which of how many processes this one was started as."""

    rank: int = 0
    count: int = 1
    meeting: str | None = None


def own_process_rank(nproc: int) -> ProcessRank:
    """What torchrun, or `launcher.start`, has put in the environment; rank 0 of 1 when it was neither.

    Raises:
        UsageError: `nproc` is not a number of processes, or another one than has been started.
    """
    check_range("nproc", nproc, least=1, most=1024)
    if "LOCAL_RANK" not in os.environ:  # others leave a RANK and a WORLD_SIZE of their own there
        return ProcessRank()
    rank, count = (int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1)))
    process = ProcessRank(rank, count, os.environ.get(MEETING))
    if nproc > 1 and 1 < process.count != nproc:
        raise UsageError(f"torchrun has started {process.count} processes, not {nproc}; leave {named('nproc')} out")
    return process


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
