"""Read the container, safetensors, as strictly as its definition allows, in files from anyone. No torch.

numpy is imported when an array is read, so that headers alone are read quickly.

It has eight bytes with the length of a header, the header in JSON, then the arrays' bytes one after the other. The
header is used only after it agrees with the size of the file, so false sizes never cost memory. All bytes are read
once, into memory of our own: a file that changes meanwhile can only be refused.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.errors import CheckpointError
from charrnn.files import NotAFileError, open_strange

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Entry",
    "HeaderError",
    "open_container",
    "read_array",
    "read_entries",
    "read_header",
    "read_metadata",
    "strict_json",
]

MAX_BYTES = 8 * 2**20
_MAX_VALUES = 2**17  # a value may take a hundred times its text in memory
_MAX_DIMENSIONS = 8
# As numpy calls them: the last digit is the number of bytes.
_TYPES = {"F32": "<f4", "U8": "|u1", "U16": "<u2", "U32": "<u4"}
_METADATA = b'{"__metadata__":'
_PICKLES = (b"PK\3\4", b"\x80")


class HeaderError(ValueError):
    """The reason why a file is not safetensors, or not as a checkpoint has it."""


class Entry(NamedTuple):
    """An array as the header describes it; its bytes are at `start` to `end` in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def strict_json(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object without duplicate keys, without numbers that are not finite, and of limited size.

    Raises:
        ValueError: the text is anything else.
    """
    text = text.decode("utf-8") if isinstance(text, bytes) else text
    if sum(map(text.count, ",[{")) > _MAX_VALUES:
        raise ValueError("more values than any checkpoint has")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("a number is not finite")
    return number


@contextlib.contextmanager
def open_container(path: Path, kind: str, advice: str = "") -> Iterator[tuple[BufferedReader, int]]:
    """Open a file from anyone that should be of a kind, such as "checkpoint"; the file and its size.

    Args:
        advice: an addition to the message that there is no such file.

    Raises:
        CheckpointError: it is missing, no file, or cannot be read.
    """
    try:
        with open_strange(path) as (file, size):
            assert size is not None
            yield file, size
    except NotAFileError as error:
        raise CheckpointError(f"{path} is not a file") from error
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no {kind} at {path}{advice}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the {kind} {path}: {error.strerror or error}") from error


def read_header(file: BufferedReader, size: int) -> dict[str, Any]:
    """Read the header of a file of `size` bytes, up to the place where the arrays' bytes begin.

    Raises:
        HeaderError: it is not safetensors.
    """
    data = _header_bytes(file, size)
    try:
        return strict_json(data)
    except ValueError as error:
        raise HeaderError(f"the header is no plain JSON: {error}") from error


def read_metadata(file: BufferedReader, size: int) -> Any:
    """Read the metadata of a header that begins with them, as safetensors writes it, and nothing of its arrays.

    This takes a fraction of the time of `read_header`. Nothing is checked but that it is JSON.

    Raises:
        HeaderError: it is not safetensors, or does not begin with metadata.
    """
    data = _header_bytes(file, size)
    if not data.startswith(_METADATA):
        raise HeaderError("it does not begin with metadata")
    try:
        return json.JSONDecoder().raw_decode(data.decode("utf-8"), len(_METADATA))[0]
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"the header is no plain JSON: {error}") from error


def _header_bytes(file: BufferedReader, size: int) -> bytes:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or length > min(size - 8, MAX_BYTES):
        if prefix.startswith(_PICKLES):
            raise HeaderError("it is a pickle or a zip archive, which can run code and is never opened")
        raise HeaderError(f"no header of at most {MAX_BYTES:,} bytes")
    data = file.read(length)
    if not data.startswith(b"{"):
        raise HeaderError("the header does not begin with a brace")
    return data


def read_entries(tables: dict[str, Any], start: int, size: int) -> dict[str, Entry]:
    """The arrays of a header without its metadata; their bytes fill a file of `size` bytes exactly from `start` on.

    Raises:
        HeaderError: they do not, or they cannot be a checkpoint's.
    """
    entries = {name: _entry(name, table, start, size) for name, table in tables.items()}
    spans = [(start, start), *sorted((entry.start, entry.end) for entry in entries.values()), (size, size)]
    for (_, end), (begin, _) in pairwise(spans):
        if end != begin:
            raise HeaderError(f"the arrays have to follow each other to the end of the file, byte {size:,}")
    return entries


def _entry(name: str, table: Any, origin: int, size: int) -> Entry:
    if not name.isprintable() or len(name) > 200:
        raise HeaderError(f"an array cannot have the name {name!r:.40}")
    if not isinstance(table, dict) or table.keys() != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"{name} does not have dtype, shape and data_offsets")
    dtype, shape, offsets = table["dtype"], table["shape"], table["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise HeaderError(f"{name} has the dtype {dtype!r:.40}, not {' or '.join(_TYPES)}")
    if not _is_sizes(shape, 1, size) or len(shape) > _MAX_DIMENSIONS:
        raise HeaderError(f"{name} has the shape {shape!r:.40}")
    if not _is_sizes(offsets, 0, size - origin) or len(offsets) != 2:
        raise HeaderError(f"{name} has the data_offsets {offsets!r:.40} in a file of {size:,} bytes")
    start, end = offsets
    if end - start != math.prod(shape) * int(_TYPES[dtype][-1]):
        raise HeaderError(f"{name} does not have as many bytes as its shape")
    return Entry(dtype, tuple(shape), origin + start, origin + end)


def _is_sizes(values: Any, least: int, most: int) -> bool:
    return isinstance(values, list) and all(type(value) is int and least <= value <= most for value in values)


def read_array(file: BufferedReader, entry: Entry) -> "NDArray[Any]":
    """Read the array of an entry.

    Raises:
        HeaderError: the file has become shorter.
    """
    import numpy as np

    array: NDArray[Any] = np.empty(entry.shape, _TYPES[entry.dtype])
    file.seek(entry.start)
    if file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
        raise HeaderError("it became shorter while it was read")
    return array
