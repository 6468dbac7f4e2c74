"""Encoders, which turn token ids into inputs of the first core."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.settings.model import ModelConfig

__all__ = ["Embedding", "OneHot", "build_encoder"]


class OneHot(nn.Module):
    """One-hot vectors of width V, given as their indices, by which cores look up their input weights.

    The product of a matrix with a one-hot vector is a column of the matrix, so nothing is multiplied by zero. Dropout
    of such a vector, in training, drops the whole character, and needs the vectors themselves.
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
            self.vectors.weight[unknown] = 0  # it is never trained, so it should be zero and not random

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors (B, T, D) of token ids (B, T)."""
        vectors: Tensor = self.dropout(self.vectors(ids))
        return vectors


def build_encoder(config: ModelConfig, vocabulary_size: int, unknown: int) -> OneHot | Embedding:
    """Make the encoder that `config` names. ValueError if an embedding's size is not chosen yet."""
    dropout = config.input_dropout or 0.0
    if config.encoder == "one-hot":
        return OneHot(vocabulary_size, dropout)
    if config.embedding_size is None:
        raise ValueError("embedding_size is not chosen yet")
    return Embedding(vocabulary_size, config.embedding_size, unknown, dropout)
