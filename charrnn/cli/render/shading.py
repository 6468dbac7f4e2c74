"""Text shaded by a number for each character: the cells that it takes, and their picture on a terminal.

Where there are no colours a digit stands below each character. `shaded_page` makes HTML of the same cells.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from charrnn.cli.process.terminal import is_terminal
from charrnn.cli.render.character_names import columns, escaped, is_joined
from charrnn.config import Unit
from charrnn.text.units import readable

__all__ = [
    "RGB",
    "SURPRISE",
    "Colours",
    "Scale",
    "Shaded",
    "TextCell",
    "cells",
    "colours",
    "is_dark",
    "is_light",
    "picture",
    "ramp",
]

RGB = tuple[int, int, int]
Colours = Literal["truecolor", "256"]

_NEWLINE, _TAB, _END = "↵", "⇥", "∎"
SPECIAL = f"{_NEWLINE} newline, {_TAB} tab, {_END} end"
_TAB_STOPS = 8
_MOST_JOINED = 32  # characters, or bytes of them, in a cell: a text of nothing but marks is not to be one
_RESET, _UNKNOWN = "\x1b[0m", "\x1b[0;4m"  # underlined


class Shaded(NamedTuple):
    """A character, or the end of a document (None), with its value, if it has one, and what is said about it."""

    character: str | None
    value: float | None
    title: str = ""


@dataclass(frozen=True)
class Scale:
    """The levels that values fall into, n + 1 of them: level k reaches from `bounds[k - 1]` up to `bounds[k]`.

    Each has a label, a symbol of one character, and the colour that is put behind the text on a light background,
    None for the background's own. `join` is the value of a place that several characters share, such as a letter and
    its accent.
    """

    name: str
    bounds: Sequence[float]
    labels: Sequence[str]
    symbols: Sequence[str]
    colours: Sequence[RGB | None]
    join: Callable[[list[float]], float]

    def level(self, value: float) -> int:
        return bisect_right(self.bounds, value)

    def on_dark(self) -> "Scale":
        """The same for a dark background, where colours that catch the eye must be light: each with its lightness
        turned around."""
        return replace(self, colours=[colour and _inverted(colour) for colour in self.colours])


def _inverted(colour: RGB) -> RGB:
    hue, lightness, saturation = rgb_to_hls(*(part / 255 for part in colour))
    red, green, blue = (round(255 * part) for part in hls_to_rgb(hue, 1 - lightness, saturation))
    return red, green, blue


def ramp(stops: Sequence[RGB], count: int) -> list[RGB]:
    """So many colours in equal steps from the first of some to the last."""
    found = []
    for k in range(count):
        place, part = divmod(k * (len(stops) - 1) / max(count - 1, 1), 1)
        below, above = stops[int(place)], stops[min(int(place) + 1, len(stops) - 1)]
        r, g, b = (round(low + part * (high - low)) for low, high in zip(below, above, strict=True))
        found.append((r, g, b))
    return found


SURPRISE = Scale(
    name="surprise in bits",
    bounds=range(1, 11),
    labels=[*map(str, range(10)), "10 or more"],
    symbols=".123456789+",
    colours=[None, *ramp([(255, 238, 213), (255, 183, 116), (222, 25, 38), (94, 0, 52)], 10)],
    join=math.fsum,  # the nats of characters that follow each other add up
)


class TextCell(NamedTuple):
    """Harmless text that takes `width` columns, shaded as one; a tab is as wide as it must be where it stands."""

    text: str
    width: int
    value: float | None
    title: str
    ends_line: bool = False


def cells(characters: Iterable[Shaded], scale: Scale, unit: Unit = "character") -> Iterator[TextCell]:
    """The cells of a text. Marks, joiners and jamo share that of the character before, the bytes of one are in one."""
    text, members = "", list[Shaded]()
    for character, own in _whole(characters, unit):
        if character is None or character in "\n\t":
            if members:
                yield _cell(text, members, scale)
            shown = _END if character is None else _NEWLINE if character == "\n" else "\t"
            yield _cell(shown, own, scale)._replace(ends_line=character != "\t")
            text, members = "", []
        elif 0 < len(members) < _MOST_JOINED and is_joined(character):
            text, members = text + character, members + own
        else:
            if members:
                yield _cell(text, members, scale)
            text, members = f"◌{character}" if is_joined(character) else escaped(character), own
    if members:
        yield _cell(text, members, scale)


def _cell(text: str, members: list[Shaded], scale: Scale) -> TextCell:
    values = [each.value for each in members if each.value is not None]
    return TextCell(
        text, columns(text), scale.join(values) if values else None, "; ".join(each.title for each in members)
    )


def _whole(characters: Iterable[Shaded], unit: Unit) -> Iterator[tuple[str | None, list[Shaded]]]:
    """Each character and what it is made of: itself, or its bytes; a byte that is part of none as PEP 383 has it."""
    pending = list[Shaded]()
    for each in characters:
        if each.character is None or unit == "character":
            yield from map(_stray, pending)
            pending = []
            yield each.character, [each]
            continue
        pending.append(each)
        while (text := _decoded(pending)) is None:
            yield _stray(pending.pop(0))
        if text:
            yield text, pending
            pending = []
    yield from map(_stray, pending)


def _decoded(members: list[Shaded]) -> str | None:
    """The character that bytes are, nothing yet where more must come, None where they begin none."""
    try:
        return readable("".join(each.character or "" for each in members), "byte", "strict")
    except UnicodeDecodeError as error:
        return "" if error.reason == "unexpected end of data" else None


def _stray(member: Shaded) -> tuple[str, list[Shaded]]:
    return chr(0xDC00 + ord(member.character or "")), [member]


def colours() -> Colours | None:
    """How many colours stdout may get: none in a pipe unless FORCE_COLOR is set, and none where NO_COLOR is."""
    settings = os.environ
    forced = settings.get("FORCE_COLOR", "") not in ("", "0")
    term = settings.get("TERM", "")
    if settings.get("NO_COLOR") or not (forced or (is_terminal("stdout") and term not in ("", "dumb", "unknown"))):
        return None
    return "truecolor" if settings.get("COLORTERM") in ("truecolor", "24bit") or "direct" in term else "256"


def is_light() -> bool:
    """Whether the terminal says that its background is light, as some do in COLORFGBG; most are dark."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")


def picture(cells: Iterable[TextCell], scale: Scale, colours: Colours | None, width: int) -> Iterator[str]:
    """A legend and the rows of a text, folded to `width` columns; without colours each has a row of symbols below."""
    if colours is None:
        levels = (s if s == label else f"{s} {label}" for s, label in zip(scale.symbols, scale.labels, strict=True))
        yield f"{scale.name}: {', '.join(levels)}, ? unknown; {SPECIAL}\n\n"
    else:
        styles = [_style(colour, colours) for colour in scale.colours]
        levels = (f"{style} {label} {_RESET}" for style, label in zip(styles, scale.labels, strict=True))
        yield f"{scale.name}: {''.join(levels)} {_UNKNOWN}unknown{_RESET}; {SPECIAL}\n\n"
    for row in _rows(cells, width):
        if colours is None:
            symbols = ("?" if cell.value is None else scale.symbols[scale.level(cell.value)] for cell in row)
            below = "".join(symbol.ljust(cell.width) for symbol, cell in zip(symbols, row, strict=True))
            yield "".join(cell.text for cell in row) + f"\n{below.rstrip()}\n"
            continue
        shown, style = [], _RESET
        for cell in row:
            own = _UNKNOWN if cell.value is None else styles[scale.level(cell.value)]
            shown.append(cell.text if own == style else own + cell.text)
            style = own
        yield "".join(shown) + f"{_RESET}\n"


def _rows(cells: Iterable[TextCell], width: int) -> Iterator[list[TextCell]]:
    """The cells that fit side by side; tabs are filled up with spaces."""
    row, column = list[TextCell](), 0
    for cell in cells:
        if column + cell.width > width and row:
            yield row
            row, column = [], 0
        if cell.text == "\t":
            wide = max(min(_TAB_STOPS - column % _TAB_STOPS, width - column), 1)
            cell = cell._replace(text=_TAB.ljust(wide), width=wide)
        row.append(cell)
        column += cell.width
        if cell.ends_line:
            yield row
            row, column = [], 0
    if row:
        yield row


def _style(colour: RGB | None, colours: Colours) -> str:
    """The escape sequence for a colour behind text that can be read on it, and for nothing else."""
    if colour is None:
        return _RESET
    front = (255, 255, 255) if is_dark(colour) else (0, 0, 0)
    if colours == "truecolor":
        return "\x1b[0;38;2;{};{};{};48;2;{};{};{}m".format(*front, *colour)
    return f"\x1b[0;38;5;{_nearest(front)};48;5;{_nearest(colour)}m"


def is_dark(colour: RGB) -> bool:
    """Whether white can be read on it better than black."""
    red, green, blue = (math.pow(part / 255, 2.2) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18  # where both have the same contrast


def _nearest(colour: RGB) -> int:
    """The number of the colour nearest to this one in the cube of 6 × 6 × 6 that 256 colours have."""
    steps = (0, 95, 135, 175, 215, 255)
    red, green, blue = (min(range(6), key=lambda k: abs(steps[k] - part)) for part in colour)
    return 16 + 36 * red + 6 * green + blue
