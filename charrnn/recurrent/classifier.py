"""Many-to-one: recurrent layers read a sequence, and their last output decides its class."""

from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from charrnn.recurrent.bidirectional import Bidirectional, last_outputs
from charrnn.recurrent.contract import Core

__all__ = ["SequenceClassifier"]


@final
class SequenceClassifier(nn.Module):
    """Layers, each a core or a bidirectional pair, and a linear readout of the topmost one's `last_outputs`.

    Raises:
        ValueError: there are no layers, or one does not fit the layer below.
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

        `lengths` (B,) are those of the rows of a padded batch; padding then has no effect.
        """
        for layer in self.layers:
            state = layer.initial_state(len(inputs))  # type: ignore[operator]
            bidirectional = isinstance(layer, Bidirectional)
            more = (lengths,) if bidirectional else ()  # a core reads forward, so that padding comes after all
            inputs, _ = layer(inputs, state, *more)
        logits: Tensor = self.readout(last_outputs(inputs, lengths, bidirectional=bidirectional))
        return logits
