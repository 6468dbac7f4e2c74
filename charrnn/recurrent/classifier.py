"""Many-to-one: a recurrent layer, or layers of them, reads a sequence, and what it comes to says its class."""

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from charrnn.recurrent.bidirectional import Bidirectional, last_outputs
from charrnn.recurrent.contract import Core

__all__ = ["SequenceClassifier"]


@final
class SequenceClassifier(nn.Module):
    """Layers, each a core or a bidirectional pair, and a linear readout of what the last one's outputs come to.

    Raises:
        ValueError: no layers, or one that does not fit what is below it.
    """

    def __init__(self, layers: Sequence[Core | Bidirectional], classes: int) -> None:
        super().__init__()
        if not layers:
            raise ValueError("a classifier needs at least one layer")
        self.layers = nn.ModuleList(layers)
        width = None
        for layer in layers:
            core = layer.forward_core if isinstance(layer, Bidirectional) else layer
            if width not in (None, core.input_size):
                raise ValueError(f"a layer reads vectors of width {core.input_size}, the one below writes {width}")
            width = core.hidden_size * (2 if isinstance(layer, Bidirectional) else 1)
        self.readout = nn.Linear(width or 0, classes)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B, classes) of sequences (B, T, D), or of token ids (B, T), each read from the zero state.

        `lengths` (B,) tell where the rows of a padded batch end; padding then has no part in anything.
        """
        for layer in self.layers:
            state = layer.initial_state(len(inputs))  # type: ignore[operator]
            bidirectional = isinstance(layer, Bidirectional)
            more = (lengths,) if bidirectional else ()  # a core reads forward, so that padding comes after all
            inputs, _ = layer(inputs, state, *more)
        logits: Tensor = self.readout(last_outputs(inputs, lengths, bidirectional=bidirectional))
        return logits
