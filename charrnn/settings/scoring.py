"""The settings of scoring: the reading of the text, and dynamic evaluation."""

from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import DEVICE_HELP, IN, MACHINE, TEXT_ENCODING_HELP, Settings, setting
from charrnn.settings.training import Device

__all__ = ["WINDOW", "DynamicConfig", "Property", "Protocol", "ScoringConfig"]

Protocol = Literal["carried", "windowed"]
Property = Literal["quotes", "brackets", "line-length"]  # of a text, that units may correlate with

WINDOW = 256  # targets in a window by default

_READ = "How it is read"


@dataclass(frozen=True)
class ScoringConfig(Settings):
    """The settings of a scoring. `carried` reads each document in one go, `windowed` in windows from zero states."""

    encoding: str | None = setting(None, TEXT_ENCODING_HELP, panel=IN, metavar="NAME", shows_default=False)
    label: str | None = setting(
        None, "Read every document as one of this label, whatever its own.", panel=IN, metavar="LABEL"
    )
    protocol: Protocol = setting(
        "carried", "Carry the state through each document, or read windows from a zero state.", panel=_READ
    )
    window: int = setting(WINDOW, "Targets in a window.", panel=_READ, least=1, most=2**30)
    device: Device = setting("auto", DEVICE_HELP, panel=MACHINE)


@dataclass(frozen=True)
class DynamicConfig(Settings):
    """The settings of dynamic evaluation, in which weights go on learning from the text as it is read."""

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
