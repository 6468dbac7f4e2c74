"""The contract of every core, without any implementation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.recurrent.equations import Cell, Noise
from charrnn.recurrent.states import State

__all__ = ["Core"]


class Core(nn.Module, ABC):
    """A recurrent layer over whole sequences: `(inputs, state) -> (outputs, next state)`.

    Inputs are vectors (B, T, D), or token ids (B, T) standing for one-hot vectors of width D. Outputs are (B, T, H).
    Without an input size, inputs are the outputs of a core of the same kind and size in the layer below.
    State is a value: it comes in, it goes out, and nothing is remembered between calls. The properties of every core
    are tested in `tests/recurrent/test_contract.py`; each core is final, to be wrapped rather than derived from.
    """

    cell: ClassVar[Cell]

    def __init__(
        self, input_size: int | None, hidden_size: int, *, recurrent_dropout: float = 0.0, zoneout: float = 0.0
    ) -> None:
        super().__init__()
        self.input_size = hidden_size if input_size is None else input_size
        self.hidden_size = hidden_size
        self.recurrent_dropout = recurrent_dropout
        self.zoneout = zoneout

    @final  # type: ignore[misc]
    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over a chunk of T steps from `state`; in training, with fresh noise."""
        return self.run(inputs, state, self.noise(*inputs.shape[:2]))

    @abstractmethod
    def run(self, inputs: Tensor, state: State, noise: Noise) -> tuple[Tensor, State]:
        """Run over a chunk of T steps from `state`, under `noise`; no output depends on later inputs."""

    @final
    def noise(self, B: int, T: int) -> Noise:
        """Draw recurrent dropout (B, H) and zoneout (T, B, H) for training.

        In evaluation there is no dropout, and zoneout keeps of every unit the share that it keeps on average.
        """
        ones = next(self.parameters()).new_ones(B, self.hidden_size)
        d = F.dropout(ones, self.recurrent_dropout) if self.training and self.recurrent_dropout else None
        if not self.zoneout:
            return Noise(d)
        chance = ones.new_full((T, B, self.hidden_size) if self.training else (T, 1, 1), self.zoneout)
        k_h, k_c = (chance.bernoulli() if self.training else chance for _ in ("h", "c"))
        return Noise(d, k_h, k_c)

    @final
    def initial_state(self, batch_size: int) -> State:
        """The zero state (B, H) on the parameters' device, in their precision."""
        parameter = next(self.parameters())
        kind: Any = self.cell.state
        return kind(*(parameter.new_zeros(batch_size, self.hidden_size) for _ in kind._fields))

    @final
    def weights(self) -> dict[str, Tensor]:
        """The parameters by the names that `equations` uses."""
        return dict(self.named_parameters())

    @staticmethod
    @torch.no_grad()
    def orthogonal_(recurrent: Tensor) -> None:
        """Make each square block of a stacked recurrent weight (k·H, H) orthogonal (Saxe et al. 2013)."""
        for block in recurrent.chunk(len(recurrent) // recurrent.shape[1]):
            nn.init.orthogonal_(block)
