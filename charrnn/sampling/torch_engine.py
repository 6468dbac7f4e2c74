"""Steps a model in torch, on any device."""

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.model import CharacterModel
from charrnn.recurrent.stack import StackState
from charrnn.text.vocabulary import Ids

__all__ = ["TorchEngine"]


class TorchEngine:
    """The same steps as `NumpyEngine`, taken by the model that trains."""

    def __init__(self, model: CharacterModel) -> None:
        self._model = model.eval()
        self._device = next(model.parameters()).device

    def initial_state(self, batch_size: int) -> StackState:
        """The zero state of every layer."""
        return self._model.initial_state(batch_size)

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
