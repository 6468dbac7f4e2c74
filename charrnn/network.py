"""The whole network in numpy, without gradients and torch, for sampling and for looking at its inner values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.layout import EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, layer_prefix
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.numpy_layers import numpy_layer
from charrnn.recurrent.registry import core_equations
from charrnn.recurrent.states import State
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Ids

__all__ = ["LayerTrace", "NetworkState", "NumpyNetwork", "quiet_overflow"]

Floats = NDArray[np.float32]
NetworkState = tuple[State, ...]


class LayerTrace(NamedTuple):
    """A layer's values at each of T steps: outputs (T, H), and state and gates, whose parts are (T, H) each.

    The gates are those of `equations`, None for a cell that names none.
    """

    outputs: Floats
    state: State
    gates: Any


class NumpyNetwork:
    """Encoder, stack of layers and head, with the arrays of a checkpoint.

    Args:
        config: the sizes, which must be chosen.
        arrays: by the names and with the shapes of `layout.model_shapes`.
    """

    def __init__(self, config: ModelConfig, arrays: Mapping[str, Floats]) -> None:
        self._cell = core_equations(config.cell)
        # Zoneout keeps its share of every unit; all other regularisation is for training.
        self._noise = Noise(k_h=config.zoneout, k_c=config.zoneout) if config.zoneout else Noise()
        self._residual = config.residual
        self._weights: list[dict[str, Floats]] = []
        for index in range(config.layers or 0):
            prefix = layer_prefix(index)
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            self._weights.append(own)
        self._vectors = arrays[EMBEDDING] if config.encoder == "embedding" else None
        self._head, self._head_bias = np.ascontiguousarray(arrays[HEAD_WEIGHT].T), arrays[HEAD_BIAS][None]
        with quiet_overflow():
            self._layers = [numpy_layer(self._cell, own, self._noise) for own in self._weights]
            # The first layer's projection of each token is always the same, so it is computed once: (V, k·H).
            self._table = self._layers[0].project(self._encoded(np.arange(self._head_bias.size)))

    def initial_state(self, batch_size: int) -> NetworkState:
        """The zero state of every layer."""
        kind: Any = self._cell.state
        shape = (batch_size, len(self._head))
        return tuple(kind(*(np.zeros(shape, np.float32) for _ in kind._fields)) for _ in self._layers)

    def step(self, ids: Ids, state: NetworkState) -> tuple[Floats, NetworkState]:
        """Outputs of the topmost layer (B, H), which the head reads, after token ids (B,), and the next state."""
        outputs, first = self._layers[0].step(self._table.take(ids, axis=0), state[0])
        next_state = [first]
        for layer, before in zip(self._layers[1:], state[1:], strict=True):
            above, after = layer.step(layer.project(outputs), before)
            outputs = self._stacked(outputs, above)
            next_state.append(after)
        return outputs, tuple(next_state)

    def logits(self, outputs: Floats) -> Floats:
        """Logits (B, V) of outputs (B, H)."""
        logits: Floats = np.dot(outputs, self._head)
        logits += self._head_bias
        return logits

    def trace(self, ids: Ids) -> list[LayerTrace]:
        """Every layer's values after each of token ids (T,), read from the zero state.

        They come straight from the equations, all inputs of a layer in one product.
        """
        traces: list[LayerTrace] = []
        x = self._encoded(ids.astype(np.int64))
        for weights, state in zip(self._weights, self.initial_state(1), strict=True):
            found = self._trace_layer(x, state, weights)
            x = self._stacked(x, found.outputs) if traces else found.outputs
            traces.append(found)
        return traces

    def _trace_layer(self, x: NDArray[Any], state: State, weights: Mapping[str, Floats]) -> LayerTrace:
        """A layer's values over inputs (T, D), or token ids (T,)."""
        projected = self._cell.project(x, weights)
        outputs, states = [], [state]
        for step in projected[:, None]:
            output, state = self._cell.step(np, step, state, weights, self._noise)
            outputs.append(output[0])
            states.append(state)
        gates = None
        if self._cell.gates is not None:
            gates = self._cell.gates(np, projected, np.concatenate([each.h for each in states[:-1]]), weights)
        return LayerTrace(np.stack(outputs), type(state)(*map(np.concatenate, zip(*states[1:], strict=True))), gates)

    def _encoded(self, ids: NDArray[np.int64]) -> NDArray[Any]:
        """The first layer's inputs for token ids: their vectors, or the ids themselves for one-hot vectors."""
        return ids if self._vectors is None else self._vectors[ids]

    def _stacked(self, below: Floats, above: Floats) -> Floats:
        """The outputs of a layer from the second on, with its inputs `below` added if the network is residual."""
        return below + above if self._residual else above


def quiet_overflow() -> np.errstate:
    """Silence numpy's warnings of overflow by huge weights: callers refuse numbers that are not finite."""
    return np.errstate(over="ignore", invalid="ignore")
