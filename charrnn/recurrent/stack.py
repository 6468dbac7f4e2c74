"""Layers of cores, one above the other."""

from collections.abc import Sequence

from torch import Tensor, nn

from charrnn.recurrent.contract import Core
from charrnn.recurrent.states import State

__all__ = ["Stack", "StackState"]

StackState = tuple[State, ...]


class Stack(nn.Module):
    """Cores one above the other, with dropout on each one's outputs: between layers, and after the topmost.

    With `residual`, every layer from the second on adds its outputs to its inputs.
    """

    def __init__(self, cores: Sequence[Core], dropout: float, *, residual: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(cores)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual

    def forward(self, inputs: Tensor, state: StackState) -> tuple[Tensor, StackState]:
        """Run every layer over inputs (B, T, D), or token ids (B, T); outputs (B, T, H) are those of the topmost."""
        next_state: list[State] = []
        for core, core_state in zip(self.layers, state, strict=True):
            outputs, core_state = core(inputs, core_state)
            outputs = self.dropout(outputs)
            inputs = inputs + outputs if self.residual and next_state else outputs
            next_state.append(core_state)
        return inputs, tuple(next_state)

    def initial_state(self, batch_size: int) -> StackState:
        """The zero state of every layer."""
        return tuple(core.initial_state(batch_size) for core in self.layers)  # type: ignore[operator]
