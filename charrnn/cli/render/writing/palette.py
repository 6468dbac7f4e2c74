"""Styles of the editor, for as many colours as the terminal has; without colours, attributes tell things apart."""

from typing import Literal

from rich.color import Color
from rich.style import Style

from charrnn.cli.render.shading import nearest
from charrnn.export.shading import RGB, SURPRISE, is_dark

__all__ = ["Depth", "Palette", "depth_of"]

Depth = Literal["truecolor", "256", "16", "none"]

# Of the ten levels above the first: in 16 colours, and without any.
_FEW = [*["yellow"] * 3, *["red"] * 4, *["magenta"] * 3]
_ATTRIBUTES = [*["none"] * 2, *["underline"] * 3, *["bold underline"] * 3, *["reverse"] * 2]
_GREY = (138, 138, 138)  # readable on black and on white


def depth_of(color_system: str | None, *, no_color: bool) -> Depth:
    """The number of colours to use, given what rich calls the terminal's color system."""
    if no_color or color_system is None:
        return "none"
    return "truecolor" if color_system == "truecolor" else "256" if color_system == "256" else "16"


class Palette:
    """The styles of the editor. What has no colour of its own has the terminal's."""

    def __init__(self, depth: Depth, *, is_light: bool) -> None:
        self._depth = depth
        scale = SURPRISE if is_light else SURPRISE.on_dark()
        self.levels = [self._level(level, colour) for level, colour in enumerate(scale.colours)]
        self.plain = Style()
        self.cursor = Style(reverse=True)
        self.selection = Style(reverse=True, dim=True)
        self.unknown = Style(underline=True)
        self.model = Style(italic=True, color=None if depth == "none" else "cyan")
        self.suggestion = Style(dim=True, italic=True) if depth == "none" else Style(color=self._grey())
        self.quiet = Style(dim=True) if depth == "none" else Style(color=self._grey())
        self.strong = Style(bold=True)
        self.alert = Style(bold=True, reverse=True)
        self.bar = Style(color=None if depth == "none" else "cyan")

    def _grey(self) -> Color:
        return Color.parse("bright_black") if self._depth == "16" else self._colour(_GREY)

    def _colour(self, rgb: RGB) -> Color:
        return Color.from_rgb(*rgb) if self._depth == "truecolor" else Color.from_ansi(nearest(rgb))

    def _level(self, level: int, colour: RGB | None) -> Style:
        if colour is None:
            return Style()
        if self._depth == "none":
            return Style.parse(_ATTRIBUTES[level - 1])
        if self._depth == "16":
            return Style(bgcolor=_FEW[level - 1], color="black" if level < 4 else "bright_white")
        front = (255, 255, 255) if is_dark(colour) else (0, 0, 0)
        return Style(bgcolor=self._colour(colour), color=self._colour(front))
