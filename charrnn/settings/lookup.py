"""The settings of two lookups in a model's distribution: the next characters, and the fillings of a gap."""

from dataclasses import dataclass

from charrnn.settings.fields import LABEL_HELP, UNKNOWN_HELP, Settings, setting
from charrnn.settings.sampling import Unknown

__all__ = ["FillConfig", "NextConfig"]


@dataclass(frozen=True)
class NextConfig(Settings):
    """The settings of a list of next characters."""

    top: int = setting(10, "Number of characters, the likeliest first.", least=1, most=2**31)
    label: str | None = setting(None, LABEL_HELP, metavar="LABEL")
    unknown: Unknown = setting("error", UNKNOWN_HELP)
    encoding: str | None = setting(
        None, "Encoding of a prime's file (default: utf-8).", metavar="NAME", shows_default=False
    )


@dataclass(frozen=True)
class FillConfig(Settings):
    """The settings of filling a gap: each `blank` is a missing character; with `most`, 1 to `most` are missing."""

    most: int | None = setting(
        None, "Up to N characters are missing, not one for each _.", metavar="N", least=1, most=1000
    )
    blank: str = setting("_", "Mark that stands for a missing character.", metavar="MARK")
    top: int = setting(10, "Number of fillings, the likeliest first.", least=1, most=2**31)
    beam: int = setting(100, "Fillings kept side by side at each length.", least=1, most=10_000)
    allow: str | None = setting(None, r"Fill with these only: characters, \d, \p{Lu}.", metavar="SET")
    ban: str | None = setting(None, r"Never fill with these: characters, \d, \p{Lu}.", metavar="SET")
    label: str | None = setting(None, LABEL_HELP, metavar="LABEL")
    unknown: Unknown = setting("error", "What becomes of characters of the text that the model never saw.")
