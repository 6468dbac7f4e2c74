"""Rows of a text in a number of columns, kept up to date while it is edited.

A row ends at a newline or before the word that does not fit; white space that does not fit hangs behind its end. Only
the rows that an edit changes are made again.
"""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from charrnn.cli.render.widths import columns
from charrnn.export.character_names import escaped, is_joined, is_joined_to
from charrnn.writing.manuscript import Change

__all__ = ["Cell", "Layout", "cells", "next_place", "place_at", "previous_place", "row_end"]

_TAB_STOPS = 8
_LONGEST = 32  # characters in a cell, so that a text of marks alone takes several
_FIRST_JOINED = "\u0300"  # no character before it is drawn as one with another


class Cell(NamedTuple):
    """Characters of a text from `start` up to `end` that stand in one place: harmless to show, and its columns."""

    start: int
    end: int
    shown: str
    width: int


def next_place(text: str, place: int) -> int:
    """The end of the cell that begins at `place`: of a letter with its marks, or of a joined emoji."""
    end, last = place + 1, min(len(text), place + _LONGEST)
    while end < last and text[end] >= _FIRST_JOINED and text[end - 1] not in "\n\t":
        if not is_joined_to(text[place:end], text[end]):
            break
        end += 1
    return min(end, len(text))


def previous_place(text: str, place: int) -> int:
    """The start of the cell that ends at `place`."""
    start, first = max(place - 1, 0), max(place - 2 * _LONGEST, 0)
    while start > first and text[start] >= _FIRST_JOINED:
        start -= 1
    while (after := next_place(text, start)) < place:
        start = after
    return start


def cells(text: str, start: int, end: int, column: int = 0) -> list[Cell]:
    """The cells of the characters from `start` up to `end`; the first stands in `column`."""
    found = []
    while start < end:
        after = next_place(text, start)
        shown, width = _shown(text[start:after], column)
        found.append(Cell(start, after, shown, width))
        start, column = after, column + width
    return found


def _shown(characters: str, column: int) -> tuple[str, int]:
    """A cell's text and its columns. What could drive a terminal is escaped; a newline takes no column."""
    first = characters[0]
    if first == "\n":
        return "", 0
    if first == "\t":
        width = _TAB_STOPS - column % _TAB_STOPS
        return " " * width, width
    shown = (f"◌{first}" if is_joined(first) else escaped(first)) + characters[1:]
    return shown, 1 if shown < "\x7f" and len(shown) == 1 else columns(shown)


def row_end(text: str, start: int, width: int, column: int = 0) -> int:
    """The end of the row that begins at `start` and in `column`: behind its newline or hanging white space.

    It is `start` if not even the first word fits behind a `column` above 0.
    """
    room = width - column
    piece = text[start : start + room + 1]
    newline = piece.find("\n")
    line = piece if newline < 0 else piece[:newline]
    if not (line.isascii() and line.isprintable()):
        return _slow_row_end(text, start, width, column)
    if len(line) <= room:
        return start + len(line) + (newline >= 0)
    if line[room] == " ":
        return _behind_spaces(text, start + room)
    place = line.rfind(" ", 0, room)
    if place >= 0:
        return start + place + 1
    return start if column else start + room


def _slow_row_end(text: str, start: int, width: int, column: int) -> int:
    first_column, may_break, place = column, start, start
    while place < len(text):
        if text[place] == "\n":
            return place + 1
        after = next_place(text, place)
        own = _shown(text[place:after], column)[1]
        if column + own > width and not (place == start and not first_column):
            if text[place] in " \t":
                return _behind_spaces(text, place)
            return may_break if may_break > start or first_column else place
        place, column = after, column + own
        if text[place - 1] in " \t" or _stands_alone(text[place - 1]):
            may_break = place
    return place


def _stands_alone(character: str) -> bool:
    """True if a row may end behind the character though no space follows: in scripts without spaces, and emoji."""
    return character >= "\u2e80" and columns(character) == 2 and not "\uac00" <= character <= "\ud7a3"


def _behind_spaces(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t":
        place += 1
    return place + (text[place : place + 1] == "\n")


def place_at(text: str, start: int, end: int, column: int, width: int) -> int:
    """The place of a row's cell in a column, or the last place that the cursor can have in the row."""
    at = 0
    for cell in cells(text, start, end):
        if text[cell.start] == "\n" or at + cell.width > min(column, width):
            return cell.start
        at += cell.width
    is_last = end == len(text) and text[end - 1 : end] != "\n"
    return end if is_last or start == end else previous_place(text, end)


class Layout:
    """The rows of a text at a width: `starts` has the place of the first character of each."""

    def __init__(self, text: str, width: int) -> None:
        self.width = max(width, 2)
        self.starts = [0]
        self._text = text
        self._wrap(0, None)

    def change(self, text: str, change: Change) -> None:
        """Take in a text that a change has made of the one before."""
        self._text = text
        # A word that has become shorter may fit into the row before.
        self._wrap(max(self.row_of(change.place) - 1, 0), change)

    def row_of(self, place: int) -> int:
        """The row in which the character at a place, or the cursor, stands."""
        return bisect_right(self.starts, place) - 1

    def span(self, row: int) -> tuple[int, int]:
        """First character and end of a row."""
        is_last = row + 1 == len(self.starts)
        return self.starts[row], len(self._text) if is_last else self.starts[row + 1]

    def column_of(self, place: int) -> int:
        """The column in which the character at a place, or the cursor, stands; the last one for what hangs."""
        start = self.starts[self.row_of(place)]
        return min(sum(cell.width for cell in cells(self._text, start, place)), self.width)

    def _wrap(self, row: int, change: Change | None) -> None:
        """Make the rows from `row` on, until they are those of the old text again."""
        text, old, made = self._text, self.starts, list[int]()
        place = old[row]
        shift = change.inserted - change.removed if change else 0
        settled = change.place + change.inserted if change else len(text) + 1
        while True:
            made.append(place)
            end = row_end(text, place, self.width)
            if end >= len(text) and not (end > place and text[end - 1] == "\n"):
                break
            place = end
            if place > settled:
                found = bisect_left(old, place - shift)
                if found < len(old) and old[found] == place - shift:
                    made += [start + shift for start in old[found:]]
                    break
        self.starts = [*old[:row], *made]
