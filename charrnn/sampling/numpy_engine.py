"""The engine that steps a model on the CPU in numpy, without torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Arrays
from charrnn.network import NetworkState, NumpyNetwork, quiet_overflow
from charrnn.recurrent.states import joined
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Ids

__all__ = ["NumpyEngine"]


class NumpyEngine:
    """An engine in numpy; `arrays` are a checkpoint's model arrays, with the shapes of `layout.model_shapes`."""

    def __init__(self, config: ModelConfig, arrays: Arrays) -> None:
        self._network = NumpyNetwork(config, arrays)

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of every layer."""
        return self._network.initial_state(batch_size)

    def join(self, states: Sequence[NetworkState]) -> NetworkState:
        """One state with the streams of several states."""
        joint: NetworkState = joined(states, np.concatenate)
        return joint

    def as_arrays(self, state: NetworkState) -> NetworkState:
        """The state unchanged: its parts are numpy arrays."""
        return state

    def from_arrays(self, state: NetworkState) -> NetworkState:
        """The state unchanged: its parts are numpy arrays."""
        return state

    def step(self, ids: Ids, state: NetworkState) -> tuple[NDArray[np.float32], NetworkState]:
        """Logits (B, V) after token ids (B,), and the next state."""
        with quiet_overflow():
            outputs, state = self._network.step(ids, state)
            return self._network.logits(outputs), state

    def read(self, ids: Ids, state: NetworkState) -> tuple[NDArray[np.float32], NetworkState]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        with quiet_overflow():
            for column in ids.T[:-1]:
                _, state = self._network.step(column, state)
        return self.step(ids[:, -1], state)
