"""Arrays and metadata as a safetensors file: the same content gives the same bytes."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

__all__ = ["safetensors_bytes"]

_ALIGNMENT = 8  # of the first array's bytes


def safetensors_bytes(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The file, with its metadata in the order of their names; safetensors alone writes them in any."""
    data = save({name: np.require(array, requirements="C") for name, array in arrays.items()}, dict(metadata))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[end:]])
