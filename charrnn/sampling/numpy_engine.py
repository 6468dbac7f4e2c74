"""Steps a model on the CPU in numpy, straight from `recurrent.equations`, with no torch anywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Arrays
from charrnn.config import ModelConfig
from charrnn.layout import EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, layer_prefix
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.registry import core_equations
from charrnn.text.vocabulary import Ids

__all__ = ["NumpyEngine"]

State = tuple[Any, ...]


class NumpyEngine:
    """`arrays` are a checkpoint's model arrays, with the shapes of `layout.model_shapes`."""

    def __init__(self, config: ModelConfig, arrays: Arrays) -> None:
        self._cell = core_equations(config.cell)
        self._layers = []
        for index in range(config.layers or 0):
            prefix = layer_prefix(index)
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            self._layers.append(own)
        self._residual = config.residual
        # Zoneout keeps its share of every unit; all other regularisation is for training.
        self._noise = Noise(k_h=config.zoneout, k_c=config.zoneout) if config.zoneout else Noise()
        self._hidden_size = arrays[HEAD_WEIGHT].shape[1]
        self._head, self._head_bias = arrays[HEAD_WEIGHT].T, arrays[HEAD_BIAS]
        # What the first layer makes of each token is the same every time, so it is computed once: (V, k·H).
        rows = arrays[EMBEDDING] if config.encoder == "embedding" else np.arange(len(self._head_bias))
        self._table = self._cell.project(rows, self._layers[0])

    def initial_state(self, batch_size: int) -> State:
        """The zero state of every layer."""
        kind, shape = self._cell.state, (batch_size, self._hidden_size)
        return tuple(kind(*(np.zeros(shape, np.float32) for _ in kind._fields)) for _ in self._layers)  # type: ignore[attr-defined]

    def step(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after token ids (B,), and the next state."""
        with np.errstate(over="ignore", invalid="ignore"):  # of absurd weights; whoever draws refuses what comes of it
            projected, output, next_state = self._table[ids], None, []
            for index, (weights, layer_state) in enumerate(zip(self._layers, state, strict=True)):
                if index:
                    projected = self._cell.project(output, weights)
                above, layer_state = self._cell.step(np, projected, layer_state, weights, self._noise)
                output = output + above if index and self._residual else above
                next_state.append(layer_state)
            return output @ self._head + self._head_bias, tuple(next_state)

    def read(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        for column in ids.T:
            logits, state = self.step(column, state)
        return logits, state
