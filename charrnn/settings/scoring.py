"""The scoring of a text: how it is read, and how weights may learn from it meanwhile."""

from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import Settings, setting
from charrnn.settings.training import Device

__all__ = ["WINDOW", "DynamicConfig", "Property", "Protocol", "ScoringConfig"]

Protocol = Literal["carried", "windowed"]
Property = Literal["quotes", "brackets", "line-length"]  # of a text, which units may follow

WINDOW = 256  # targets in a window, where nothing else is said

_IN, _READ, _MACHINE = "What goes in", "How it is read", "Machine"


@dataclass(frozen=True)
class ScoringConfig(Settings):
    """How the text is decoded and read. `carried` reads each document in one go, `windowed` from zero states."""

    encoding: str | None = setting(None, "Encoding of TEXT (default: utf-8).", panel=_IN, shows_default=False)
    protocol: Protocol = setting(
        "carried", "Carry the state through each document, or read windows from a zero state.", panel=_READ
    )
    window: int = setting(WINDOW, "Targets in a window.", panel=_READ, least=1, most=2**30)
    device: Device = setting("auto", "Device that computes. auto is cuda if there is one, else cpu.", panel=_MACHINE)


@dataclass(frozen=True)
class DynamicConfig(Settings):
    """Dynamic evaluation: whether and how fast weights go on learning from the text as it is read."""

    dynamic: bool = setting(False, "Score also with weights that learn from the text as it is read.", panel=_READ)
    dynamic_rate: float | None = setting(
        None, "Rate at which they learn.", panel=_READ, least=0, most=1, shows_default=False
    )
    dynamic_decay: float | None = setting(
        None, "Rate at which they go back to what was trained.", panel=_READ, least=0, most=1, shows_default=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dynamic and not self.dynamic_rate is self.dynamic_decay is None:
            raise UsageError(
                f"{named('dynamic_rate')} and {named('dynamic_decay')} say how {named('dynamic')} learns; "
                f"they need {named('dynamic')}"
            )
