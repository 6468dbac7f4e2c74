"""The lines below the text: bars of the likeliest next characters, settings and measures."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from charrnn.cli.render.widths import columns
from charrnn.cli.render.writing.palette import Palette
from charrnn.export.character_names import name_of
from charrnn.messages import safe
from charrnn.sampling.distribution import Candidate
from charrnn.settings.text import Unit
from charrnn.writing.voice import SHOWN

__all__ = ["BAR_KEYS", "Bars", "Field", "Fields"]

BAR_KEYS = tuple(f"f{number}" for number in range(2, 2 + SHOWN))

_LEAST = 19  # columns of a bar with its key, name and share
_MOST_ROWS = 2
_EIGHTHS = "▏▎▍▌▋▊▉█"
_SYMBOLS = {"\n": "↵", " ": "␣", "\t": "⇥", None: "∎"}


class Bars(Widget):
    """The likeliest next characters, each with its key, its share and a bar; the mouse takes one, too."""

    class Chosen(Message):
        """A character was chosen by its rank among the bars, from 0."""

        def __init__(self, rank: int) -> None:
            super().__init__()
            self.rank = rank

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self._palette = palette
        self._candidates: Sequence[Candidate] = ()
        self._unit: Unit = "character"

    def show(self, candidates: Sequence[Candidate], unit: Unit) -> None:
        """Show these candidates, the likeliest first."""
        self._candidates, self._unit = candidates, unit
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Take as many rows as all bars need, two at most."""
        self.styles.height = min(-(-SHOWN // self._in_a_row(event.size.width)), _MOST_ROWS)

    def render_line(self, y: int) -> Strip:
        """Draw a row of bars."""
        count = self._in_a_row(self.size.width)
        room = self.size.width // count
        segments, width = list[Segment](), 0
        for rank, candidate in enumerate(self._candidates[y * count : (y + 1) * count], y * count):
            segments += self._bar(rank, candidate, room)
            width += room
        return Strip(segments, width).extend_cell_length(self.size.width, Style())

    def on_click(self, event: events.Click) -> None:
        """Choose the bar under the mouse."""
        count = self._in_a_row(self.size.width)
        rank = event.y * count + min(event.x // (self.size.width // count), count - 1)
        if rank < len(self._candidates):
            self.post_message(self.Chosen(rank))

    @staticmethod
    def _in_a_row(width: int) -> int:
        return max(min(width // _LEAST, SHOWN), 1)

    def _bar(self, rank: int, candidate: Candidate, room: int) -> list[Segment]:
        name = _SYMBOLS.get(candidate.character) or name_of(candidate.character, self._unit)
        key = BAR_KEYS[rank].upper()
        share = f"{candidate.probability:4.0%}"
        name += " " * (4 - columns(name))
        rest = max(room - len(f"{key} {share}  ") - columns(name) - 1, 0)
        eighths = round(candidate.probability * rest * 8)
        bar = _EIGHTHS[7] * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
        return [
            Segment(f"{key} ", self._palette.quiet),
            Segment(name, self._palette.strong),
            Segment(f"{share} ", self._palette.plain),
            Segment(bar.ljust(rest + 2), self._palette.bar),
        ]


class Field(NamedTuple):
    """A part of a line; where there is little room, those of the least weight are left out."""

    text: str
    weight: int = 0
    style: Style | None = None


class Fields(Widget):
    """A line of fields with two spaces between them."""

    def __init__(self, palette: Palette, *, is_quiet: bool) -> None:
        super().__init__()
        self._palette, self._is_quiet = palette, is_quiet
        self._fields: Sequence[Field] = ()

    def show(self, fields: Sequence[Field]) -> None:
        """Show these fields."""
        before, self._fields = self._fields, [each._replace(text=safe(each.text)) for each in fields if each.text]
        if self._fields != before:
            self.refresh()

    def render_line(self, _: int) -> Strip:
        """Draw the line."""
        fields, room = list(self._fields), self.size.width
        while len(fields) > 1 and sum(columns(each.text) + 2 for each in fields) - 2 > room:
            fields.remove(min(reversed(fields), key=lambda field: field.weight))
        plain = self._palette.quiet if self._is_quiet else self._palette.plain
        segments, width = list[Segment](), 0
        for field in fields:
            text = _cut(field.text, room - width)
            segments += [Segment(text, plain if field.style is None else field.style), Segment("  ", Style())]
            width += columns(text) + 2
        return Strip(segments, width).adjust_cell_length(room, Style())


def _cut(text: str, room: int) -> str:
    """The text, or as much of it as there is room for, and then an ellipsis."""
    if columns(text) <= room:
        return text
    while text and columns(text) > room - 1:
        text = text[:-1]
    return f"{text}…" if room > 0 else ""
