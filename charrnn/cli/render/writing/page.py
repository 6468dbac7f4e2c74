"""The rows that a screen shows of a text, with a suggestion behind the cursor that pushes what follows it aside."""

from typing import NamedTuple

from charrnn.cli.render.writing.layout import Layout, row_end

__all__ = ["Part", "page_rows"]


class Part(NamedTuple):
    """Some characters of a row, from `start` up to `end`: of the text, or of the suggestion."""

    is_suggested: bool
    start: int
    end: int


def page_rows(layout: Layout, text: str, cursor: int, suggestion: str, top: int, height: int) -> list[list[Part]]:
    """The rows from row `top` of the layout on, at most `height` of them, each as its parts from left to right.

    What is suggested takes rows of its own where it must; nothing before the cursor moves because of it.
    """
    at = layout.row_of(cursor)
    before = range(top, min(at if suggestion else len(layout.starts), top + height, len(layout.starts)))
    rows = [[Part(False, *layout.span(row))] for row in before]
    if not suggestion or top > at:
        return rows
    start = layout.starts[at]
    follows = text.find("\n", cursor) + 1 or len(text)  # the line goes on up to here
    behind = text[cursor : min(follows, cursor + height * layout.width)]
    together, place, column = suggestion + behind, 0, layout.column_of(cursor)
    first = [Part(False, start, cursor)]
    while len(rows) < height:
        end = row_end(together, place, layout.width, column)
        rows.append([*first, *_parts(place, end, len(suggestion), cursor)])
        if end >= len(together) and not (end > place and together.endswith("\n")):
            return rows
        if end == len(together) and behind.endswith("\n"):
            break
        place, column, first = end, 0, []
    below = layout.row_of(follows)
    rest = range(below, min(below + height - len(rows), len(layout.starts)))
    return rows + [[Part(False, *layout.span(row))] for row in rest]


def _parts(start: int, end: int, border: int, cursor: int) -> list[Part]:
    """The parts of a row of the suggestion, which ends at `border`, and of the text behind the cursor after it."""
    found = []
    if start < min(end, border):
        found.append(Part(True, start, min(end, border)))
    if end > max(start, border):
        found.append(Part(False, cursor + max(start, border) - border, cursor + end - border))
    return found
