"""States of any core as values: tuples, over layers and parts, of arrays (B, ...)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["State", "joined", "map_state", "take_rows"]

State = Any  # the NamedTuple of a cell's arrays or tensors (B, ...); of a network, a tuple of these, one for each layer


def take_rows(state: State, rows: NDArray[np.integer[Any]]) -> State:
    """The state (N, ...) of the streams with these indices, in this order; a stream may be left out or taken twice."""
    return map_state(lambda part: part[rows], state)


def joined(states: Sequence[State], concatenate: Callable[[list[Any]], Any]) -> State:
    """Join several states into one that has all their streams, one after the other; `concatenate` joins arrays."""
    return map_state(lambda *parts: concatenate(list(parts)), *states)


def map_state(function: Callable[..., Any], *states: State) -> State:
    """Map a function over the arrays, or tensors, at the same places of one or several states; a state again."""
    first = states[0]
    if not isinstance(first, tuple):
        return function(*states)
    parts = [map_state(function, *each) for each in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
