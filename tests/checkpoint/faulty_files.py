"""Stand-ins for `os` in charrnn.files: one fails on demand, one writes down what is done through it."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn.checkpoint.format import Arrays, Counters, to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

OPERATIONS = ("open", "write", "fsync", "close", "replace", "unlink", "mkdir")

LARGEST_WRITE = 1500  # bytes at a time, so that a checkpoint takes a few


@cache  # safetensors orders its metadata anew each time
def checkpoint_bytes(step: int) -> bytes:
    """A small checkpoint, another for every step, the same for the same."""
    model = ModelConfig(cell="gru", layers=1, hidden_size=4, embedding_size=3)
    made = random_checkpoint(model, Vocabulary.of("abc", "character"), seed=step)
    training: Arrays = {"optimizer.head.bias.step": np.array(step, np.float32), "rng.cpu": np.arange(9, dtype=np.uint8)}
    return to_bytes(replace(made, counters=Counters(step=step), training=training))


class FaultyOs:
    """`os`, but its n-th operation fails, and all later ones of the `lasting` kinds too."""

    def __init__(self, fail_at: int, fault: Callable[[], BaseException], lasting: Sequence[str] = ()) -> None:
        self.fail_at, self.fault, self.lasting = fail_at, fault, lasting
        self.operations: list[str] = []

    @property
    def fired(self) -> bool:
        return len(self.operations) >= self.fail_at

    def _perform(self, operation: str, *arguments: Any, **options: Any) -> Any:
        self.operations.append(operation)
        count = len(self.operations)
        fails = count == self.fail_at or (count > self.fail_at and operation in self.lasting)
        if fails and operation != "close":
            raise self.fault()
        result = getattr(os, operation)(*arguments, **options)
        if fails:  # a descriptor is gone even if closing it fails
            raise self.fault()
        return result

    def write(self, descriptor: int, data: Any) -> Any:
        return self._perform("write", descriptor, data[:LARGEST_WRITE])

    def __getattr__(self, name: str) -> Any:
        if name not in OPERATIONS:
            return getattr(os, name)
        return lambda *arguments, **options: self._perform(name, *arguments, **options)


def disk_error(number: int) -> Callable[[], OSError]:
    """What the system raises for an error number such as ENOSPC."""
    return lambda: OSError(number, os.strerror(number))


FULL, BROKEN, DENIED = map(disk_error, (errno.ENOSPC, errno.EIO, errno.EACCES))


class Operation(NamedTuple):
    """One change of a folder's disk. A `file` is a number of its own for each file ever made, whatever its name."""

    kind: str  # "create", "write", "sync", "rename", "remove", or "sync folder"
    name: str = ""
    file: int = -1
    data: bytes = b""
    target: str = ""


class RecordingOs:
    """`os`, writing down what is done to the files of one folder."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._open: dict[int, int | None] = {}  # a descriptor's file, None for a folder
        self._files = 0

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        if path.is_dir():
            self._open[descriptor] = None
        else:
            assert flags & os.O_EXCL  # every file that is written through here is a new one
            self._open[descriptor] = self._files
            self.operations.append(Operation("create", path.name, self._files))
            self._files += 1
        return descriptor

    def write(self, descriptor: int, data: Any) -> int:
        written = os.write(descriptor, data[:LARGEST_WRITE])
        self.operations.append(Operation("write", file=self._number(descriptor), data=bytes(data[:written])))
        return written

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)
        file = self._open[descriptor]
        self.operations.append(Operation("sync folder") if file is None else Operation("sync", file=file))

    def close(self, descriptor: int) -> None:
        os.close(descriptor)
        del self._open[descriptor]

    def replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)  # noqa: PTH105
        self.operations.append(Operation("rename", source.name, target=target.name))

    def unlink(self, path: Path) -> None:
        os.unlink(path)  # noqa: PTH108
        self.operations.append(Operation("remove", path.name))

    def _number(self, descriptor: int) -> int:
        file = self._open[descriptor]
        assert file is not None
        return file

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)
