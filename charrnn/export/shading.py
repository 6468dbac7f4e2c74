"""Shading of text by a number for each character: scale, colours and cells.

`shaded_page` makes HTML of the cells, the command line a picture on a terminal.
"""

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from charrnn.export.character_names import escaped, is_joined, is_joined_to, name_of
from charrnn.settings.text import Unit
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.evaluation.characters import CharacterScore

__all__ = [
    "ALTERNATIVES",
    "RGB",
    "SPECIAL",
    "SURPRISE",
    "TAB",
    "Scale",
    "Shaded",
    "TextCell",
    "cells",
    "is_dark",
    "ramp",
    "shaded",
]

RGB = tuple[int, int, int]
_NEWLINE, TAB, _END = "↵", "⇥", "∎"
SPECIAL = f"{_NEWLINE} newline, {TAB} tab, {_END} end"
ALTERNATIVES = 5  # likeliest characters that a page has at the pointer
_MOST_JOINED = 32  # characters, or their bytes, in a cell, so that a text of marks alone takes several


class Shaded(NamedTuple):
    """A character, or the end of a document (None), with its value, None if unknown, and a title that describes it."""

    character: str | None
    value: float | None
    title: str = ""


@dataclass(frozen=True)
class Scale:
    """The levels of values: n bounds make n + 1 levels; level k is from `bounds[k - 1]` up to `bounds[k]`.

    Each level has a label, a symbol of one character, and the colour behind the text on a light background, None for
    the background's own. `join` makes one value of those of several characters that share a cell, such as a letter and
    its accent.
    """

    name: str
    bounds: Sequence[float]
    labels: Sequence[str]
    symbols: Sequence[str]
    colours: Sequence[RGB | None]
    join: Callable[[list[float]], float]

    def level(self, value: float) -> int:
        """The level of a value, 0 to n."""
        return bisect_right(self.bounds, value)

    def on_dark(self) -> "Scale":
        """The scale for a dark background, where striking colours must be light: the lightness of each colour is
        inverted."""
        return replace(self, colours=[colour and _inverted(colour) for colour in self.colours])


def _inverted(colour: RGB) -> RGB:
    hue, lightness, saturation = rgb_to_hls(*(part / 255 for part in colour))
    red, green, blue = (round(255 * part) for part in hls_to_rgb(hue, 1 - lightness, saturation))
    return red, green, blue


def ramp(stops: Sequence[RGB], count: int) -> list[RGB]:
    """A list of `count` colours in equal steps through the `stops`, from the first to the last."""
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
    join=math.fsum,  # costs of successive characters add up
)


class TextCell(NamedTuple):
    """Harmless text that has one shade."""

    text: str
    value: float | None
    title: str
    ends_line: bool = False


def shaded(characters: "Iterable[CharacterScore]", unit: Unit) -> Iterator[Shaded]:
    """The characters with their bits as values, and titles with bits, probability, rank and alternatives."""
    for each in characters:
        name = _isolated(name_of(each.character, unit))
        if each.bits is None:
            yield Shaded(each.character, None, f"{name}: unknown, not scored")
        else:
            title = f"{name}: {each.bits:.2f} bits, probability {each.probability:.4g}, rank {each.rank}"
            likeliest = (f"{_isolated(name_of(other, unit))} {share:.2g}" for other, share in each.alternatives)
            instead = f", likeliest: {', '.join(likeliest)}" if each.alternatives else ""
            yield Shaded(each.character, each.bits, title + instead)


def _isolated(name: str) -> str:
    """The name, in isolates (Unicode's FSI and PDI) if it would turn the direction of the words around it."""
    return f"\u2068{name}\u2069" if unicodedata.bidirectional(name[-1]) in ("R", "AL", "AN") else name


def cells(characters: Iterable[Shaded], scale: Scale, unit: Unit = "character") -> Iterator[TextCell]:
    """The cells of a text. What is drawn as one shares a cell, such as a letter and its marks, or joined emoji.

    So do the bytes of a character.
    """
    text, members = "", list[Shaded]()
    for character, own in _whole(characters, unit):
        if character is None or character in "\n\t":
            if members:
                yield _cell(text, members, scale)
            shown = _END if character is None else _NEWLINE if character == "\n" else "\t"
            yield _cell(shown, own, scale)._replace(ends_line=character != "\t")
            text, members = "", []
        elif 0 < len(members) < _MOST_JOINED and is_joined_to(text, character):
            text, members = text + character, members + own
        else:
            if members:
                yield _cell(text, members, scale)
            text, members = f"◌{character}" if is_joined(character) else escaped(character), own
    if members:
        yield _cell(text, members, scale)


def _cell(text: str, members: list[Shaded], scale: Scale) -> TextCell:
    values = [each.value for each in members if each.value is not None]
    return TextCell(text, scale.join(values) if values else None, "; ".join(each.title for each in members))


def _whole(characters: Iterable[Shaded], unit: Unit) -> Iterator[tuple[str | None, list[Shaded]]]:
    """Each character with its members: itself, or its bytes; a byte of no character is a surrogate (PEP 383)."""
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
    """The character of some bytes; "" if more bytes must come, None if they begin no character."""
    try:
        return readable("".join(each.character or "" for each in members), "byte", "strict")
    except UnicodeDecodeError as error:
        return "" if error.reason == "unexpected end of data" else None


def _stray(member: Shaded) -> tuple[str, list[Shaded]]:
    return chr(0xDC00 + ord(member.character or "")), [member]


def is_dark(colour: RGB) -> bool:
    """True if white text has more contrast than black on the colour."""
    red, green, blue = (math.pow(part / 255, 2.2) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18  # at this luminance both have about the same contrast
