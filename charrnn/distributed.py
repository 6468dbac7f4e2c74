"""The processes that train one model together, and their joint operations. Only this module uses torch.distributed."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy
import torch
from torch import Tensor, distributed

from charrnn.errors import PeerGoneError, ResourceError, is_out_of_memory
from charrnn.messages import named

__all__ = ["Ranks", "joined", "own_ranks"]

# A process that is killed closes its connections, which the others notice at once. This is for a machine that does not
# answer, and longer than rank 0 may take to read a text or to validate while the others wait.
_SILENCE = timedelta(hours=2)


@dataclass(frozen=True)
class Ranks:
    """The processes that train one model together. This one is `rank` of `count`; each has its part of every batch.

    All processes must call the joint operations in the same order. A process alone is rank 0 of 1 and never waits.

    Raises:
        PeerGoneError: another process has ended.
    """

    rank: int = 0
    count: int = 1

    def part(self, rows: int) -> slice:
        """The part of `rows` rows that is this rank's; the numbers of rows of any two ranks differ by at most one."""
        return slice(self.rank * rows // self.count, (self.rank + 1) * rows // self.count)

    def seed(self, seed: int, step: int) -> None:
        """Seed ranks other than 0 with numbers of their own, a function of the step, so that none must be saved."""
        if self.rank:
            torch.manual_seed(int(numpy.random.SeedSequence((seed, self.rank, step)).generate_state(1)[0]))

    def all_reduce(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all ranks."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _together():
            distributed.all_reduce(flat)
        for tensor, total in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))

    def gather(self, own: Tensor, rows: int) -> Tensor:
        """Gather a tensor (rows, ...) from the ranks' parts; rows of `own` beyond this rank's part are left out."""
        if self.count == 1:
            return own
        everything, part = own.new_zeros(rows, *own.shape[1:]), self.part(rows)
        everything[part] = own[: part.stop - part.start]
        self.all_reduce([everything])
        return everything

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, True if it is true on any rank."""
        if self.count == 1:
            return flags
        votes = torch.tensor(flags, dtype=torch.int32)
        with _together():
            distributed.all_reduce(votes)
        return tuple(votes.bool().tolist())

    def broadcast(self, value: Any) -> Any:
        """Broadcast rank 0's value by JSON, which makes lists of tuples."""
        if self.count == 1:
            return value
        written = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
        size = torch.tensor(len(written))
        with _together():
            distributed.broadcast(size, 0)
            written = written if self.rank == 0 else torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(written, 0)
        return json.loads(bytes(written.tolist()))


def own_ranks() -> Ranks:
    """The ranks that this process has joined, or rank 0 of 1 if it is alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return Ranks()
    return Ranks(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined(rank: int, count: int, meeting: str | None) -> Iterator[None]:
    """Join `count` processes as rank `rank`, and leave them at the end; with a `count` of 1 do nothing.

    `meeting` is a file to meet by, if all run on this machine; else they meet by torchrun's environment variables.

    Raises:
        ResourceError: they did not meet.
    """
    if count == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        where = f"file://{meeting}" if meeting else "env://"
        distributed.init_process_group(backend, where, timeout=_SILENCE, rank=rank, world_size=count)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(f"the {count} processes of this training did not meet: {error}") from error
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise PeerGoneError(
            "another process of this training has ended, so that it cannot go on\n"
            f"what was last saved is good: {named('resume')} goes on from there, with as many processes as you like"
        ) from error
