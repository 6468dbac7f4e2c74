"""How a token id becomes the input of the first core."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.settings.model import ModelConfig

__all__ = ["Embedding", "OneHot", "build_encoder"]


class OneHot(nn.Module):
    """One-hot vectors of width V, in the form of their index: cores look a row of their input weights up by it.

    The product of a one-hot vector with a matrix is a row of the matrix, so nothing is ever multiplied by zero.
    Dropout of such a vector, in training, drops the whole character, and needs the vectors themselves.
    """

    def __init__(self, vocabulary_size: int, dropout: float) -> None:
        super().__init__()
        self.output_size = vocabulary_size
        self.dropout = dropout

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (B, T), as they are; under dropout, vectors (B, T, V)."""
        if self.training and self.dropout:
            return F.dropout(F.one_hot(ids, self.output_size).float(), self.dropout)
        return ids


class Embedding(nn.Module):
    """A learned vector (D,) for every token, with dropout on its elements."""

    def __init__(self, vocabulary_size: int, size: int, unknown: int, dropout: float) -> None:
        super().__init__()
        self.output_size = size
        self.vectors = nn.Embedding(vocabulary_size, size)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            self.vectors.weight[unknown] = 0  # never trained: it should say nothing, not something random

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (B, T, D) of token ids (B, T)."""
        vectors: Tensor = self.dropout(self.vectors(ids))
        return vectors


def build_encoder(config: ModelConfig, vocabulary_size: int, unknown: int) -> OneHot | Embedding:
    """The encoder that `config` names. ValueError where an embedding's size is still to be chosen."""
    if config.encoder == "one-hot":
        return OneHot(vocabulary_size, config.input_dropout)
    if config.embedding_size is None:
        raise ValueError("embedding_size is not chosen yet")
    return Embedding(vocabulary_size, config.embedding_size, unknown, config.input_dropout)
