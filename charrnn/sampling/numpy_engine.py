"""Steps a model on the CPU in numpy, with no torch anywhere."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Arrays
from charrnn.layout import EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, layer_prefix
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.registry import core_equations
from charrnn.sampling.numpy_layers import numpy_layer
from charrnn.sampling.states import joined
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Ids

__all__ = ["NumpyEngine"]

State = tuple[Any, ...]


class NumpyEngine:
    """`arrays` are a checkpoint's model arrays, with the shapes of `layout.model_shapes`."""

    def __init__(self, config: ModelConfig, arrays: Arrays) -> None:
        cell = core_equations(config.cell)
        # Zoneout keeps its share of every unit; all other regularisation is for training.
        noise = Noise(k_h=config.zoneout, k_c=config.zoneout) if config.zoneout else Noise()
        self._layers = []
        for index in range(config.layers or 0):
            prefix = layer_prefix(index)
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            with _quiet_overflow():
                self._layers.append(numpy_layer(cell, own, noise))
        self._state, self._hidden_size = cell.state, arrays[HEAD_WEIGHT].shape[1]
        self._residual = config.residual
        self._head, self._head_bias = np.ascontiguousarray(arrays[HEAD_WEIGHT].T), arrays[HEAD_BIAS][None]
        # What the first layer makes of each token is the same every time, so it is computed once: (V, k·H).
        rows = arrays[EMBEDDING] if config.encoder == "embedding" else np.arange(self._head_bias.size)
        with _quiet_overflow():
            self._table = self._layers[0].project(rows)

    def initial_state(self, batch_size: int) -> State:
        """The zero state of every layer."""
        kind, shape = self._state, (batch_size, self._hidden_size)
        return tuple(kind(*(np.zeros(shape, np.float32) for _ in kind._fields)) for _ in self._layers)  # type: ignore[attr-defined]

    def join(self, states: Sequence[State]) -> State:
        """One state with the streams of several."""
        joint: State = joined(states, np.concatenate)
        return joint

    def as_arrays(self, state: State) -> State:
        """A state whose parts are arrays of numpy, as they are here."""
        return state

    def from_arrays(self, state: State) -> State:
        """The state of which `as_arrays` has made this one."""
        return state

    def step(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after token ids (B,), and the next state."""
        with _quiet_overflow():
            output, state = self._outputs(ids, state)
            logits: NDArray[np.float32] = np.dot(output, self._head)
            logits += self._head_bias
            return logits, state

    def read(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        with _quiet_overflow():
            for column in ids.T[:-1]:
                _, state = self._outputs(column, state)
        return self.step(ids[:, -1], state)

    def _outputs(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """What the head reads, (B, H), and the next state."""
        output, first = self._layers[0].step(self._table.take(ids, axis=0), state[0])
        next_state = [first]
        for layer, before in zip(self._layers[1:], state[1:], strict=True):
            above, after = layer.step(layer.project(output), before)
            output = output + above if self._residual else above
            next_state.append(after)
        return output, tuple(next_state)


def _quiet_overflow() -> np.errstate:
    """No warnings of what absurd weights overflow to: whoever draws refuses what comes of it."""
    return np.errstate(over="ignore", invalid="ignore")
