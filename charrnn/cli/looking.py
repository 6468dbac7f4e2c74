"""Options shared by the commands that look at a text or into a model."""

from dataclasses import dataclass

from charrnn.settings.fields import DEVICE_HELP, FORCE_HELP, JSON_LINES_HELP, MACHINE, OUT, Settings, setting
from charrnn.settings.training import Device

__all__ = ["DeviceChoice", "LineJson", "PictureOutput", "TextInput"]


@dataclass(frozen=True)
class TextInput(Settings):
    """The text to look at."""

    text: tuple[str, ...] = setting(
        (),
        "The text to score, given as for train (default: the model's own validation text).",
        argument=True,
        shows_default=False,
    )


@dataclass(frozen=True)
class LineJson(Settings):
    """The option to write the product as JSON, one object a line."""

    as_json: bool = setting(False, JSON_LINES_HELP, panel=OUT, flag="--json")


@dataclass(frozen=True)
class DeviceChoice(Settings):
    """The option that chooses the device."""

    device: Device = setting("auto", DEVICE_HELP, panel=MACHINE)


@dataclass(frozen=True)
class PictureOutput(Settings):
    """Options for the file of a picture."""

    plot: str | None = setting(
        None,
        "Draw a picture in a new file, .png or .svg (pip install 'charrnn-text[plot]').",
        panel=OUT,
        metavar="FILE",
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)
