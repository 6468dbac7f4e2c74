"""How a token id becomes the input of the first core."""

import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig

__all__ = ["Embedding", "OneHot", "build_encoder"]


class OneHot(nn.Module):
    """One-hot vectors of width V, in the form of their index: cores look a row of their input weights up by it.

    The product of a one-hot vector with a matrix is a row of the matrix, so nothing is ever multiplied by zero.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.output_size = vocabulary_size

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (B, T), as they are."""
        return ids


class Embedding(nn.Module):
    """A learned vector (D,) for every token."""

    def __init__(self, vocabulary_size: int, size: int, unknown: int) -> None:
        super().__init__()
        self.output_size = size
        self.vectors = nn.Embedding(vocabulary_size, size)
        with torch.no_grad():
            self.vectors.weight[unknown] = 0  # never trained: it should say nothing, not something random

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (B, T, D) of token ids (B, T)."""
        vectors: Tensor = self.vectors(ids)
        return vectors


def build_encoder(config: ModelConfig, vocabulary_size: int, unknown: int) -> OneHot | Embedding:
    """The encoder that `config` names. ValueError where an embedding's size is still to be chosen."""
    if config.encoder == "one-hot":
        return OneHot(vocabulary_size)
    if config.embedding_size is None:
        raise ValueError("embedding_size is not chosen yet")
    return Embedding(vocabulary_size, config.embedding_size, unknown)
