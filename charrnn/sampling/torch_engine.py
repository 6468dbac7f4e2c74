"""The engine that steps a model in torch, on any device."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.model import CharacterModel
from charrnn.recurrent.stack import StackState
from charrnn.recurrent.states import joined, map_state
from charrnn.text.vocabulary import Ids

__all__ = ["TorchEngine"]


class TorchEngine:
    """An engine in torch: the same steps as `NumpyEngine`, taken by the model that trains."""

    def __init__(self, model: CharacterModel) -> None:
        self._model = model.eval()
        self._device = next(model.parameters()).device

    def initial_state(self, batch_size: int) -> StackState:
        """The zero state of every layer."""
        return self._model.initial_state(batch_size)

    def join(self, states: Sequence[StackState]) -> StackState:
        """One state with the streams of several states."""
        joint: StackState = joined(states, torch.cat)
        return joint

    def as_arrays(self, state: StackState) -> StackState:
        """The state with numpy arrays for its parts, as those of a `NumpyEngine`."""
        arrays: StackState = map_state(lambda part: part.float().cpu().numpy(), state)
        return arrays

    def from_arrays(self, state: StackState) -> StackState:
        """The state on the model's device from the arrays that `as_arrays` made."""
        tensors: StackState = map_state(lambda part: torch.from_numpy(part).to(self._device), state)
        return tensors

    def step(self, ids: Ids, state: StackState) -> tuple[NDArray[np.float32], StackState]:
        """Logits (B, V) after token ids (B,), and the next state."""
        return self.read(ids[:, None], state)

    @torch.inference_mode()
    def read(self, ids: Ids, state: StackState) -> tuple[NDArray[np.float32], StackState]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        inputs = torch.from_numpy(ids.astype(np.int64)).to(self._device)
        outputs, state = self._model.stack(self._model.encoder(inputs), state)
        logits: NDArray[np.float32] = self._model.head(outputs[:, -1]).float().cpu().numpy()
        return logits, state
