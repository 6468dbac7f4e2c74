"""Shaded text on a terminal. Without colours, a symbol stands below each character."""

import os
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from charrnn.cli.process.terminal import is_terminal
from charrnn.cli.render.widths import columns
from charrnn.export.shading import RGB, SPECIAL, TAB, Scale, TextCell, is_dark

__all__ = ["Colours", "colours", "is_light", "nearest", "picture"]

Colours = Literal["truecolor", "256"]

_TAB_STOPS = 8
_RESET, _UNKNOWN = "\x1b[0m", "\x1b[0;4m"  # underlined


def colours() -> Colours | None:
    """The number of colours for stdout: none in a pipe unless FORCE_COLOR is set, and none if NO_COLOR is set."""
    settings = os.environ
    forced = settings.get("FORCE_COLOR", "") not in ("", "0")
    term = settings.get("TERM", "")
    if settings.get("NO_COLOR") or not (forced or (is_terminal("stdout") and term not in ("", "dumb", "unknown"))):
        return None
    return "truecolor" if settings.get("COLORTERM") in ("truecolor", "24bit") or "direct" in term else "256"


def is_light() -> bool:
    """True if COLORFGBG, which some terminals set, says that the background is light; most are dark."""
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


class _Placed(NamedTuple):
    """A cell's text, with the columns that it takes in its row, and its value."""

    text: str
    width: int
    value: float | None


def _rows(cells: Iterable[TextCell], width: int) -> Iterator[list[_Placed]]:
    """Rows of the cells that fit side by side; tabs are filled up with spaces."""
    row, column = list[_Placed](), 0
    for cell in cells:
        wide = 1 if cell.text == "\t" else columns(cell.text)
        if column + wide > width and row:
            yield row
            row, column = [], 0
        text = cell.text
        if text == "\t":
            wide = max(min(_TAB_STOPS - column % _TAB_STOPS, width - column), 1)
            text = TAB.ljust(wide)
        row.append(_Placed(text, wide, cell.value))
        column += wide
        if cell.ends_line:
            yield row
            row, column = [], 0
    if row:
        yield row


def _style(colour: RGB | None, colours: Colours) -> str:
    """The escape sequence that sets only the background colour and a readable text colour."""
    if colour is None:
        return _RESET
    front = (255, 255, 255) if is_dark(colour) else (0, 0, 0)
    if colours == "truecolor":
        return "\x1b[0;38;2;{};{};{};48;2;{};{};{}m".format(*front, *colour)
    return f"\x1b[0;38;5;{nearest(front)};48;5;{nearest(colour)}m"


def nearest(colour: RGB) -> int:
    """The number of the nearest colour in the 6 × 6 × 6 cube of the 256 colours."""
    steps = (0, 95, 135, 175, 215, 255)
    red, green, blue = (min(range(6), key=lambda k: abs(steps[k] - part)) for part in colour)
    return 16 + 36 * red + 6 * green + blue
