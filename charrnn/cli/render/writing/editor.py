"""The widget in which the text is written. It draws rows, moves the cursor and edits; models it does not know."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from charrnn.cli.render.widths import columns
from charrnn.cli.render.writing.layout import Cell, Layout, cells, next_place, place_at, previous_place
from charrnn.cli.render.writing.page import Part, page_rows
from charrnn.cli.render.writing.palette import Palette
from charrnn.export.shading import SURPRISE
from charrnn.writing.manuscript import Change, Manuscript, Writer
from charrnn.writing.voice import Costs

__all__ = ["Editor"]

_MARGIN = 4  # rows that stay visible below the cursor, for the suggestion
_NEWLINE = "↵"
_MOST_CACHED = 1000  # rows
_WHEEL = 3  # rows


class Editor(Widget, can_focus=True):
    """The text with the cursor, a suggestion behind it, and shades.

    Keys are worked off one after the other, those that are for others, too, so that none overtakes another.

    Args:
        moved: called when the cursor has moved, or the text has changed: then with the change.
        commands: what other keys do. Escape also refuses the suggestion, and Tab writes it where there is one.
    """

    def __init__(
        self,
        manuscript: Manuscript,
        palette: Palette,
        moved: Callable[[Change | None], None],
        commands: Mapping[str, Callable[[], None]],
    ) -> None:
        super().__init__()
        self.manuscript, self._palette = manuscript, palette
        self._moved, self._commands = moved, commands
        self._layout = Layout(manuscript.text, 80)
        self._suggestion = ""
        self._costs: Costs | None = None
        self._shows_writers = self._shows_costs = False
        self._top = 0  # the first row that is shown
        self._column: int | None = None  # that up and down keep to
        self._rows: list[list[Part]] = []
        self._strips: list[Strip] = []
        self._drawn: dict[object, Strip] = {}  # the rows of late, by all that they depend on

    # What is shown

    @property
    def suggestion(self) -> str:
        """The suggestion that is shown behind the cursor."""
        return self._suggestion

    def suggest(self, text: str) -> None:
        """Show a suggestion behind the cursor, or none."""
        if text != self._suggestion:
            self._suggestion = text
            self._show()

    def shade(self, costs: Costs | None) -> None:
        """Take in what each character cost the model."""
        self._costs = costs
        if self._shows_costs:
            self._show()

    def toggle(self, *, writers: bool = False, costs: bool = False) -> tuple[bool, bool]:
        """Show, or hide, who wrote what, or what it cost; whether each is shown now."""
        self._shows_writers ^= writers
        self._shows_costs ^= costs
        self._show()
        return self._shows_writers, self._shows_costs

    def changed(self, change: Change) -> None:
        """Take in a change of the manuscript."""
        self._layout.change(self.manuscript.text, change)
        if self._costs is not None:  # a stale cost is never shown
            self._costs = self._costs.before(change.place)
        self._suggestion, self._column = "", None
        self._follow()
        self._moved(change)

    # What is drawn

    def on_resize(self, event: events.Resize) -> None:
        """Lay the text out anew if the width is another one."""
        if (width := max(event.size.width - 1, 2)) != self._layout.width:  # one column for the cursor at a row's end
            self._layout = Layout(self.manuscript.text, width)
        self._follow()

    def _follow(self) -> None:
        """Show the part of the text that has the cursor."""
        row, height = self._layout.row_of(self.manuscript.cursor), max(self.size.height, 1)
        margin = min(_MARGIN, (height - 1) // 3)
        last = len(self._layout.starts) + margin - height  # where the end of the text is seen
        self._top = max(min(self._top, row, last), row + margin - height + 1, 0)
        self._show()

    def _show(self) -> None:
        """Draw the rows, and have those that are others than before sent to the terminal."""
        place, size = self.manuscript.cursor, self.size
        self._rows = page_rows(self._layout, self.manuscript.text, place, self._suggestion, self._top, size.height)
        if len(self._drawn) > _MOST_CACHED:
            self._drawn.clear()
        before, self._strips = self._strips, [self._drawn_row(y) for y in range(size.height)]
        if len(before) != size.height:
            self.refresh()
            return
        different = [y for y, strip in enumerate(self._strips) if strip is not before[y]]
        if different:
            self.refresh(*(Region(0, y, size.width, 1) for y in different))

    def render_line(self, y: int) -> Strip:
        """A row as it was drawn."""
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, Style())

    def _drawn_row(self, y: int) -> Strip:
        if y >= len(self._rows):
            return self._drawn.setdefault(self.size.width, Strip.blank(self.size.width, Style()))
        parts = self._rows[y]
        text, place = self.manuscript.text, self.manuscript.cursor
        start, end = self.manuscript.selection
        has_cursor = self._has_cursor(y)
        shown = [(self._suggestion if part.is_suggested else text)[part.start : part.end] for part in parts]
        own = [part for part in parts if not part.is_suggested]
        key = repr(
            (
                *shown,
                [part.is_suggested for part in parts],
                [(self.manuscript.writers[part.start : part.end], self._shown_costs(part)) for part in own],
                [place - part.start for part in own[:1]] if has_cursor else None,
                [(max(start - part.start, 0), max(min(end, part.end) - part.start, 0)) for part in own if start < end],
                *(self._shows_writers, self.size.width),
            )
        )
        if key not in self._drawn:
            self._drawn[key] = self._strip(parts, has_cursor)
        return self._drawn[key]

    def _has_cursor(self, y: int) -> bool:
        """True if the cursor stands in row `y` of the screen."""
        place = self.manuscript.cursor
        if self._suggestion:
            return any(part.is_suggested and part.start == 0 for part in self._rows[y])
        return self._top + y == self._layout.row_of(place)

    def _levels(self, part: Part) -> list[int]:
        """The level of surprise of each character; -1 for what is unknown, nothing where it is not shown."""
        if self._costs is None or not self._shows_costs:
            return []
        return self._costs.levels(SURPRISE.bounds, part.start, part.end)

    def _shown_costs(self, part: Part) -> tuple[bytes, bytes] | None:
        """The costs of a part of the text, to tell one from another; None if they are not shown."""
        if self._costs is None or not self._shows_costs:
            return None
        own = slice(part.start, part.end)
        return self._costs.bits[own].tobytes(), self._costs.unknown[own].tobytes()

    def _strip(self, parts: list[Part], has_cursor: bool) -> Strip:
        runs: list[tuple[str, Style]] = []
        column, place, is_due = 0, self.manuscript.cursor, has_cursor
        for part in parts:
            text = self._suggestion if part.is_suggested else self.manuscript.text
            style_of = self._suggested_style if part.is_suggested else self._style_of(part)
            for cell in cells(text, part.start, part.end, column):
                style, shown, width = style_of(cell), cell.shown, cell.width
                if text[cell.start] == "\n" and (part.is_suggested or self._shows_costs):
                    shown, width = _NEWLINE, 1
                at_cursor = part.is_suggested or cell.start == place
                if is_due and at_cursor:
                    shown, width = (shown, width) if width else (" ", 1)
                    style, is_due = style + self._palette.cursor, False
                if column + width > self.size.width:
                    break  # white space that hangs
                runs.append((shown, style))
                column += width
        if is_due:
            while column >= self.size.width:  # behind white space that hangs
                column -= columns(runs.pop()[0])
            runs.append((" ", self._palette.cursor))
            column += 1
        return Strip([Segment(text, style) for text, style in _joined(runs)], column).extend_cell_length(
            self.size.width, Style()
        )

    def _suggested_style(self, _: Cell) -> Style:
        return self._palette.suggestion

    def _style_of(self, part: Part) -> Callable[[Cell], Style]:
        """The style of each cell of a part of the text."""
        palette, costs, writers = self._palette, self._costs, self.manuscript.writers
        start, end = self.manuscript.selection
        levels = self._levels(part)

        def style(cell: Cell) -> Style:
            if start <= cell.start < end:
                return palette.selection
            found = palette.model if self._shows_writers and writers[cell.start] == Writer.MODEL else palette.plain
            if (place := cell.start - part.start) >= len(levels):
                return found
            if -1 in levels[place : cell.end - part.start]:
                return Style.combine([found, palette.unknown])
            level = levels[place]
            if cell.end - cell.start > 1 and costs is not None:  # the costs of what shares a cell add up
                level = SURPRISE.level(float(costs.bits[cell.start : cell.end].sum()))
            return Style.combine([found, palette.levels[level]])

        return style

    # What is done with keys and the mouse

    def write(self, text: str, writer: Writer = Writer.PERSON) -> None:
        """Write a text in the place of the selection, or at the cursor. What was suggested and is written goes on."""
        kept = self._suggestion.removeprefix(text) if self._suggestion.startswith(text) else ""
        if self.manuscript.cursor != self.manuscript.anchor:
            kept = ""
        self.changed(self.manuscript.write(text, writer))
        self.suggest(kept)

    def take(self, *, one: bool = False) -> None:
        """Write what is suggested, or the first character of it."""
        end = next_place(self._suggestion, 0) if one else len(self._suggestion)
        if end:
            self.write(self._suggestion[:end], Writer.MODEL)

    def undo(self, *, again: bool = False) -> bool:
        """Take back the last step, or do it again; False if there is none."""
        change = self.manuscript.redo() if again else self.manuscript.undo()
        if change:
            self.changed(change)
        return change is not None

    def move(self, place: int, *, selects: bool = False, column: int | None = None) -> None:
        """Move the cursor to a place."""
        self.manuscript.move(place, selects=selects)
        self._suggestion, self._column = "", column
        self._follow()
        self._moved(None)

    def delete(self, start: int, end: int) -> None:
        """Delete the selection, or else the characters from `start` up to `end`."""
        selection = self.manuscript.selection
        if selection[0] != selection[1]:
            start, end = selection
        if start < end:
            self.changed(self.manuscript.replace(start, end, "", Writer.PERSON))

    _MOVES: ClassVar[dict[str, str]] = {
        "left": "left", "right": "right", "up": "up", "down": "down", "home": "home", "end": "end",
        "pageup": "pageup", "pagedown": "pagedown", "ctrl+left": "word_left", "ctrl+right": "word_right",
        "ctrl+home": "top", "ctrl+end": "bottom",
    }  # fmt: skip

    async def _on_key(self, event: events.Key) -> None:
        """Write, delete, move, or do what others want with the key."""
        key, at, text = event.key, self.manuscript.cursor, self.manuscript.text
        move = key.replace("shift+", "")
        if key == "tab" and self._suggestion:
            self.take()
        elif key in self._commands:
            self._commands[key]()
        elif key == "right" and self._suggestion:
            self.take(one=True)
        elif move in self._MOVES:
            self._go(self._MOVES[move], selects=move != key)
        elif key == "backspace":
            self.delete(previous_place(text, at), at)
        elif key == "delete":
            self.delete(at, next_place(text, at))
        elif key == "ctrl+backspace":
            self.delete(_word_left(text, at), at)
        elif key == "enter":
            self.write("\n")
        elif event.is_printable and event.character:
            self.write(event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def _go(self, move: str, *, selects: bool) -> None:
        at, text, layout = self.manuscript.cursor, self.manuscript.text, self._layout
        row, page = layout.row_of(at), max(self.size.height - 1, 1)
        rows = {"up": -1, "down": 1, "pageup": -page, "pagedown": page}
        if move in rows:
            column = layout.column_of(at) if self._column is None else self._column
            wanted = row + rows[move]
            if not 0 <= wanted < len(layout.starts):
                wanted = max(min(wanted, len(layout.starts) - 1), 0)
                if wanted == row:  # beyond the first and the last row is the edge of the text
                    self.move(0 if rows[move] < 0 else len(text), selects=selects)
                    return
            self.move(place_at(text, *layout.span(wanted), column, layout.width), selects=selects, column=column)
            return
        places: dict[str, Callable[[], int]] = {
            "left": lambda: previous_place(text, at),
            "right": lambda: next_place(text, at),
            "word_left": lambda: _word_left(text, at),
            "word_right": lambda: _word_right(text, at),
            "home": lambda: layout.starts[row],
            "end": lambda: place_at(text, *layout.span(row), layout.width + 1, layout.width + 1),
            "top": lambda: 0,
            "bottom": lambda: len(text),
        }
        self.move(places[move](), selects=selects)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.write(event.text.replace("\r\n", "\n").replace("\r", "\n"))

    def _place_under(self, x: int, y: int) -> int:
        """The place in the text under the mouse; behind the cursor's for what is suggested."""
        row = self._rows[min(y, len(self._rows) - 1)] if self._rows else []
        own = [part for part in row if not part.is_suggested]
        if not own:
            return self.manuscript.cursor if row else len(self.manuscript.text)
        column = 0
        for part in row:
            text = self._suggestion if part.is_suggested else self.manuscript.text
            for cell in cells(text, part.start, part.end, column):
                if column <= x < column + cell.width:
                    return self.manuscript.cursor if part.is_suggested else cell.start
                column += cell.width
        text, last = self.manuscript.text, own[-1]
        return place_at(text, last.start, last.end, self.size.width, self.size.width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor under the mouse; take the suggestion where that is."""
        row = self._rows[event.y] if event.y < len(self._rows) else []
        place = self._place_under(event.x, event.y)
        if self._suggestion and place == self.manuscript.cursor and any(part.is_suggested for part in row):
            self.take()
            return
        self.capture_mouse()
        self.move(place, selects=event.shift)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Select while a button is down."""
        if event.button and self.app.mouse_captured is self:
            y = max(min(event.y, self.size.height - 1), 0)
            self.move(self._place_under(max(event.x, 0), y), selects=True)

    def on_mouse_up(self) -> None:
        """Let the mouse go."""
        self.release_mouse()

    def on_mouse_scroll_down(self) -> None:
        """Show what is below."""
        self._scroll(_WHEEL)

    def on_mouse_scroll_up(self) -> None:
        """Show what is above."""
        self._scroll(-_WHEEL)

    def _scroll(self, rows: int) -> None:
        self._top = max(min(self._top + rows, len(self._layout.starts) - 1), 0)
        self._show()


def _joined(runs: list[tuple[str, Style]]) -> list[tuple[str, Style]]:
    """Successive runs of one style as one."""
    found: list[tuple[str, Style]] = []
    for text, style in runs:
        if found and found[-1][1] == style:
            found[-1] = (found[-1][0] + text, style)
        else:
            found.append((text, style))
    return found


def _word_left(text: str, place: int) -> int:
    while place > 0 and not text[place - 1].isalnum():
        place -= 1
    while place > 0 and text[place - 1].isalnum():
        place -= 1
    return place


def _word_right(text: str, place: int) -> int:
    while place < len(text) and not text[place].isalnum():
        place += 1
    while place < len(text) and text[place].isalnum():
        place += 1
    return place
