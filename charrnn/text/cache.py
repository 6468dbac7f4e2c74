"""Files in the cache folder for arrays that are too large for memory, written once and mapped. Knows no text.

A file is whole or absent: it is written aside and renamed when it is on the disk. It is never changed
afterwards, so a process that has it mapped is safe from changes of the texts. It may be deleted at any time.
"""

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import ResourceError
from charrnn.files import remove_abandoned, write_placed
from charrnn.text.spool import cache_folder, cannot_write

__all__ = ["Cached", "build", "find"]

_MAGIC = b"charrnn\n"
_PREFIX = struct.Struct("<8sQ32s")  # magic; length of the header, which is JSON; its sha256
_ALIGNMENT = 64
_SUFFIX = ".ids"

Key = Mapping[str, object]
Shapes = Mapping[str, tuple[np.dtype[Any], int]]


class Cached(NamedTuple):
    """The content of a file: the notes written with the arrays, and the arrays, mapped for reading."""

    path: Path
    size: int
    notes: Any
    arrays: dict[str, NDArray[Any]]


def find(key: Key) -> Cached | None:
    """The file that was built for `key`, if there is one and it is as long as it should be."""
    path = _path(key)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            magic, length, digest = _PREFIX.unpack(file.read(_PREFIX.size))
            text = file.read(length) if magic == _MAGIC and length < size else b""
            if hashlib.sha256(text).digest() != digest:
                return None
            header = json.loads(text)
            if header["key"] != key or header["size"] != size:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, struct.error):
        return None
    arrays = {
        name: np.frombuffer(mapped, np.dtype(kind), count, place)
        for name, (kind, count, place) in header["arrays"].items()
    }
    return Cached(path, size, header["notes"], arrays)


def build(key: Key, notes: Any, shapes: Shapes, pieces: Iterable[tuple[str, NDArray[Any]]]) -> Cached:
    """Write arrays, whose `pieces` come in turn under their names, into the file for `key`.

    Processes that build the same file at once each write a file of their own; leftovers of dead ones are removed.

    Raises:
        ResourceError: the disk is full, or the cache folder cannot be written; nothing of the file is left then.
    """
    path = _path(key)
    header, places, size = _header(key, notes, shapes)

    def placed() -> Iterator[tuple[int, bytes]]:
        """The header and each piece, with its place in the file."""
        yield 0, header
        for name, piece in pieces:
            yield places[name], piece.tobytes()
            places[name] += piece.nbytes

    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        remove_abandoned(path.parent, lambda name: name.endswith(_SUFFIX))
        write_placed(path, placed(), size, mode=0o600)
    except OSError as error:
        raise cannot_write(error) from error
    if (cached := find(key)) is None:
        raise ResourceError(f"{path}, which was just written, is gone or damaged; start again")
    return cached


def _path(key: Key) -> Path:
    return cache_folder() / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}{_SUFFIX}"


def _header(key: Key, notes: Any, shapes: Shapes) -> tuple[bytes, dict[str, int], int]:
    """The first bytes of a file, the places of its arrays, and its size."""

    def laid_out(place: int) -> tuple[bytes, dict[str, int], int]:
        """The header as JSON, the places of the arrays from `place` on, and the size of the file."""
        places = {}
        for name, (dtype, count) in shapes.items():
            places[name] = place
            place += -(-count * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT
        arrays = {name: (dtype.str, count, places[name]) for name, (dtype, count) in shapes.items()}
        return json.dumps({"key": key, "notes": notes, "arrays": arrays, "size": place}).encode(), places, place

    room = len(laid_out(2**50)[0])  # with longer numbers than any real ones
    start = -(-(_PREFIX.size + room) // _ALIGNMENT) * _ALIGNMENT
    text, places, size = laid_out(start)
    return _PREFIX.pack(_MAGIC, len(text), hashlib.sha256(text).digest()) + text, places, size
