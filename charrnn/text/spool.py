"""Storage for data too large for memory: a private folder and nameless files in it. Knows no text."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Self

from charrnn.errors import ResourceError
from charrnn.files import DISK_FULL

__all__ = ["CHUNK", "SMALL", "Spool", "cache_folder", "cannot_write"]

# Bytes of the largest text that is kept in memory, where it takes some tens of MB: far less than torch does.
SMALL = 2**24

CHUNK = 2**20  # bytes that are read at once


def cache_folder() -> Path:
    """`CHARRNN_CACHE`, or `charrnn` in the user's own cache folder; it may not exist yet."""
    if own := os.environ.get("CHARRNN_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path("~/.cache").expanduser()) / "charrnn"  # noqa: PTH117


def cannot_write(error: OSError) -> ResourceError:
    """The error for a cache folder that has no more room, or cannot be written."""
    advice = "make room for twice the size of the text" if error.errno in DISK_FULL else "make it writable"
    return ResourceError(
        f"cannot write {cache_folder()}, where large texts are kept: {error.strerror or error}\n"
        f"{advice}, or name another folder by CHARRNN_CACHE"
    )


class Spool:
    """Bytes that are written once and read any number of times: in memory up to `limit` of them, else in a file.

    The file has no name, so nothing of it is left however the process ends.
    """

    def __init__(self, limit: float) -> None:
        self.size = 0
        self._limit = limit
        self._file: IO[bytes] = io.BytesIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
        except OSError:  # closing writes again what a full disk did not take
            self._file.close()

    def append(self, data: bytes | memoryview) -> None:
        """Write at the end.

        Raises:
            ResourceError: the disk is full, or the cache folder cannot be written.
        """
        try:
            if isinstance(self._file, io.BytesIO) and self.size + len(data) > self._limit:
                self._move_to_disk(self._file)
            self._file.seek(self.size)
            self._file.write(data)
        except OSError as error:
            raise cannot_write(error) from error
        self.size += len(data)

    def read(self, start: int, count: int) -> bytes:
        """`count` bytes from `start` on, or fewer where they end."""
        try:
            self._file.seek(start)  # seek writes the buffer, and may fail
        except OSError as error:
            raise cannot_write(error) from error
        return self._file.read(count)

    def chunks(self) -> Iterator[bytes]:
        """All the bytes, `CHUNK` at a time."""
        for start in range(0, self.size, CHUNK):
            yield self.read(start, CHUNK)

    def _move_to_disk(self, memory: io.BytesIO) -> None:
        folder = cache_folder()
        folder.mkdir(0o700, parents=True, exist_ok=True)
        self._file = TemporaryFile(dir=folder, buffering=2**20)  # noqa: SIM115
        self._file.write(memory.getbuffer())
