"""What every core promises, and nothing about how one keeps it."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from charrnn.recurrent.equations import Cell

__all__ = ["Core", "State"]

State = Any  # the cell's NamedTuple of tensors, each (B, H)


class Core(nn.Module, ABC):
    """A recurrent layer over whole sequences: `(inputs, state) -> (outputs, next state)`.

    Inputs are vectors (B, T, D), or token ids (B, T) standing for one-hot vectors of width D. Outputs are (B, T, H).
    State is a value: it comes in, it goes out, and nothing is remembered between calls. What must hold of every core
    is in `tests/recurrent/test_contract.py`; each is final, to be wrapped rather than derived from.
    """

    cell: ClassVar[Cell]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Run over a chunk of T steps from `state`; the future never changes the past."""

    @final
    def initial_state(self, batch_size: int) -> State:
        """The zero state, on the parameters' device and in their precision."""
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
