"""The whole network: encoder, core stack, linear head. It maps token ids to logits and knows nothing of text."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charrnn.encoders import OneHot, build_encoder
from charrnn.recurrent.registry import core_class
from charrnn.recurrent.stack import Stack, StackState
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary

__all__ = ["CharacterModel", "model_arrays", "model_from_arrays", "parameter_count"]


class CharacterModel(nn.Module):
    """Logits for the next token from the tokens so far.

    Args:
        config: the cell and sizes, which must be chosen, else ValueError.
        vocabulary_size: V, special tokens included.
        unknown: the id of the unknown token, whose input is silent: the zero vector.
    """

    def __init__(self, config: ModelConfig, vocabulary_size: int, unknown: int) -> None:
        super().__init__()
        if config.layers is None or config.hidden_size is None or config.dropout is None:
            raise ValueError(f"the sizes of the model are not chosen yet: {config}")
        self.encoder = build_encoder(config, vocabulary_size, unknown)
        core = core_class(config.cell)
        widths = [self.encoder.output_size, *[None] * (config.layers - 1)]
        regularisation = {"recurrent_dropout": config.recurrent_dropout, "zoneout": config.zoneout}
        cores = [core(width, config.hidden_size, **regularisation) for width in widths]
        if isinstance(self.encoder, OneHot):
            with torch.no_grad():
                for name in cores[0].cell.reads:
                    cores[0].weights()[name][:, unknown] = 0
        self.stack = Stack(cores, config.dropout, residual=config.residual)
        self.head = nn.Linear(config.hidden_size, vocabulary_size)

    def forward(self, ids: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """Logits (B, T, V) after each of the token ids (B, T), and the state after the last."""
        outputs, state = self.stack(self.encoder(ids), state)
        return self.head(outputs), state

    def initial_state(self, batch_size: int) -> StackState:
        """The zero state of every layer."""
        return self.stack.initial_state(batch_size)


def parameter_count(model: nn.Module) -> int:
    """The number of parameters of a model, counted as single numbers."""
    return sum(parameter.numel() for parameter in model.parameters())


def model_from_arrays(config: ModelConfig, vocabulary: Vocabulary, arrays: Mapping[str, Any]) -> CharacterModel:
    """Make a model, in evaluation mode, whose parameters are the arrays of a checkpoint."""
    model = CharacterModel(config, vocabulary.size, vocabulary.unknown)
    put_arrays(model, arrays)
    return model.eval()


def put_arrays(model: CharacterModel, arrays: Mapping[str, Any]) -> None:
    """Give a model's parameters the values of arrays of the same names and shapes."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=True)


def model_arrays(model: CharacterModel, *, copy: bool = False) -> dict[str, NDArray[np.float32]]:
    """The model's parameters as numpy arrays, which share the memory of parameters on a CPU unless `copy`."""
    return {name: parameter.detach().to("cpu", copy=copy).numpy() for name, parameter in model.named_parameters()}
