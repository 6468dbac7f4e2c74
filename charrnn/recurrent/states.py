"""States as values, whatever a core keeps in them: tuples, over layers and parts, of arrays (B, ...)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined", "map_state", "take_rows"]


def take_rows(state: Any, rows: NDArray[np.integer[Any]]) -> Any:
    """The state (N, ...) that has those of the streams, in that order: some, all in another order, or one twice."""
    return map_state(lambda part: part[rows], state)


def joined(states: Sequence[Any], concatenate: Callable[[list[Any]], Any]) -> Any:
    """One state with the streams of several, one after the other; `concatenate` joins arrays."""
    return map_state(lambda *parts: concatenate(list(parts)), *states)


def map_state(function: Callable[..., Any], *states: Any) -> Any:
    """Map a function over the arrays, or tensors, that have the same place in one or several states: a state again."""
    first = states[0]
    if not isinstance(first, tuple):
        return function(*states)
    parts = [map_state(function, *each) for each in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
