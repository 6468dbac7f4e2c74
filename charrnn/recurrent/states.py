"""States as values, whatever a core keeps in them: tuples, over layers and parts, of arrays (B, ...)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["joined", "mapped", "take_rows"]


def take_rows(state: Any, rows: NDArray[np.integer[Any]]) -> Any:
    """The state (N, ...) that has those of the streams, in that order: some, all in another order, or one twice."""
    return mapped(lambda part: part[rows], [state])


def joined(states: Sequence[Any], concatenate: Callable[[list[Any]], Any]) -> Any:
    """One state with the streams of several, one after the other; `concatenate` joins arrays."""
    return mapped(lambda *parts: concatenate(list(parts)), states)


def mapped(function: Callable[..., Any], states: Sequence[Any]) -> Any:
    """The state of what a function makes of the arrays that have the same place in each of some states."""
    first = states[0]
    if not isinstance(first, tuple):
        return function(*states)
    parts = [mapped(function, each) for each in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
