"""A table of words in aligned columns, without rich, which takes its time for a thousand rows."""

from collections.abc import Iterator, Sequence

from charrnn.cli.render.score_rows import on_one_line
from charrnn.cli.render.widths import columns
from charrnn.messages import safe

__all__ = ["aligned"]

_GAP = 2
_ASCII = str.maketrans("…", "~")  # the mark of what is cut, in one column
_LEAST = 8  # columns of the last column; it is left out where there is less room


def aligned(rows: Sequence[Sequence[str]], width: int, *, is_ascii: bool = False) -> Iterator[str]:
    """Lines of at most `width` columns: the first row is the headings, columns of numbers stand at the right.

    The last column is cut at its beginning to what room there is, the first at its end to half of the width.
    `is_ascii` escapes all that is not ASCII.
    """
    shown = [[_shown(cell, is_ascii=is_ascii) for cell in row] for row in rows]
    shown = [[_cut_end(row[0], width // 2), *row[1:]] for row in shown]
    widths = [max(map(columns, column)) for column in zip(*shown, strict=True)]
    room = width - sum(widths[:-1]) - _GAP * (len(widths) - 1)
    if room < min(_LEAST, widths[-1]):
        shown, widths = [row[:-1] for row in shown], widths[:-1]
    else:
        shown = [[*row[:-1], _cut_start(row[-1], room)] for row in shown]
    at_right = [all(_is_number(row[place]) for row in shown[1:]) for place in range(len(widths))]
    for row in shown:
        cells = zip(row, widths, at_right, strict=True)
        line = (" " * _GAP).join(_filled(cell, wide, right) for cell, wide, right in cells)
        yield f"{line.rstrip().translate(_ASCII) if is_ascii else line.rstrip()}\n"


def _shown(text: str, *, is_ascii: bool) -> str:
    text = safe(on_one_line(text))
    return text.replace("×", "x").encode("ascii", "backslashreplace").decode() if is_ascii else text


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "").isdigit()


def _filled(text: str, width: int, is_at_right: bool) -> str:
    space = " " * (width - columns(text))
    return space + text if is_at_right else text + space


def _cut_end(text: str, width: int) -> str:
    while columns(text) > width:
        text = f"{text.removesuffix('…')[:-1]}…"
    return text


def _cut_start(text: str, width: int) -> str:
    while columns(text) > width:
        text = f"…{text.removeprefix('…')[1:]}"
    return text
