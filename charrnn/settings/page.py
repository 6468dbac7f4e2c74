"""The settings of a page that runs a model."""

from dataclasses import dataclass
from typing import Literal

from charrnn.settings.fields import OUT, Settings, setting

__all__ = ["PageConfig", "PagePrecision"]

PagePrecision = Literal["fp16", "fp32"]


@dataclass(frozen=True)
class PageConfig(Settings):
    """The settings of a page: its weights and its title."""

    # CHARRNN_PRECISION is that of a training, which can be others.
    precision: PagePrecision = setting(
        "fp16", "Precision of the weights. fp16 takes half the room.", panel=OUT, has_variable=False
    )
    title: str | None = setting(None, "Title of the page (default: the model's name).", panel=OUT, metavar="TEXT")
