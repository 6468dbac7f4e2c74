"""The settings of the network: its encoder, its cores and their sizes, and its regularisation."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.recurrent.registry import CORES
from charrnn.settings.fields import Settings, setting, suggestion

__all__ = ["Encoder", "ModelConfig", "bidirectional_error", "check_cell"]

Encoder = Literal["embedding", "one-hot"]

_NETWORK = "Network"


def bidirectional_error(asked: str) -> UsageError:
    """The error for a bidirectional generator; `asked` is the setting that asked for it, in words."""
    return UsageError(
        f"{asked}: a bidirectional core reads the text that comes after, too, which is not there while text is being "
        "written; it can classify (charrnn.recurrent.classifier), not generate"
    )


def check_cell(name: str, accepted: Iterable[str] = CORES, setting: str = "cell") -> None:
    """Raise `UsageError` unless the core `name` is one of `accepted`; the message names the setting."""
    if re.sub("^bi(directional)?-?", "", name) in CORES.keys() - {name}:
        raise bidirectional_error(named(setting, name))
    if name not in accepted:
        raise UsageError(
            f"{named(setting)} must be one of {', '.join(accepted)}, got {name!r:.40}{suggestion(name, accepted)}"
        )


@dataclass(frozen=True)
class ModelConfig(Settings):
    """The settings of a network: encoder, a stack of recurrent layers, dropout after each of them, a linear head.

    The cell is `auto` until it is chosen; sizes and dropout are None until then. An input dropout of None
    drops nothing.
    """

    cell: str = setting(
        "auto",
        f"Recurrent core: {', '.join(CORES)}. auto chooses by the text.",
        panel=_NETWORK,
        metavar="CELL",
    )
    layers: int | None = setting(None, "Recurrent layers.", panel=_NETWORK, least=1, most=64)
    hidden_size: int | None = setting(None, "Units in each layer.", panel=_NETWORK, least=1, most=65536)
    encoder: Encoder = setting(
        "embedding", "Input of a character: embedding or one-hot.", panel=_NETWORK, metavar="KIND"
    )
    embedding_size: int | None = setting(None, "Width of an embedding.", panel=_NETWORK, least=1, most=65536)
    dropout: float | None = setting(
        None, "Share of each layer's outputs dropped in training.", panel=_NETWORK, least=0, below=1
    )
    input_dropout: float | None = setting(
        None, "Share of the first layer's inputs dropped in training.", panel=_NETWORK, least=0, below=1
    )
    recurrent_dropout: float = setting(
        0.0, "Share dropped within the layers, by one mask a sequence.", panel=_NETWORK, least=0, below=1
    )
    zoneout: float = setting(
        0.0, "Chance of a unit to keep its last value in training.", panel=_NETWORK, least=0, below=1
    )
    residual: bool = setting(
        False, "Each layer but the first adds to what it reads.", panel=_NETWORK, off="--no-residual"
    )
    ngrams: int | None = setting(
        None,
        "Mix the network with n-grams of the text, up to this length; 0: none (default: by the text).",
        panel=_NETWORK,
        metavar="N",
        least=0,
        most=12,
    )

    def __post_init__(self) -> None:
        check_cell(self.cell, ("auto", *CORES))
        super().__post_init__()
        if self.ngrams == 1:
            raise UsageError(f"{named('ngrams')} must be 0, or from 2 to 12, got 1; single characters have no context")
        if self.residual and self.layers == 1:
            raise UsageError(
                f"{named('residual')} adds a layer's outputs to those of the layer below it; "
                f"it needs {named('layers', 2)}"
            )
        if self.encoder == "one-hot" and self.embedding_size is not None:
            raise UsageError(
                f"{named('embedding_size')} goes with {named('encoder', 'embedding')}; "
                "a one-hot vector has no size of its own"
            )
