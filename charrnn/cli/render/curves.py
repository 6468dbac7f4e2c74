"""Curves drawn on a terminal by uniplot, which chooses round numbers for its axes and has colours, blocks and ASCII."""

from collections.abc import Iterator, Mapping

from charrnn.checkpoint.records import Points
from charrnn.cli.render.score_rows import on_one_line
from charrnn.export.character_names import columns
from charrnn.export.curves import thinned, visible
from charrnn.messages import safe

__all__ = ["drawn"]

_MARKS = tuple("ox+*#%@&=~^")  # of curves without colours; used again where there are more
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "red")  # so are these
_NARROWEST = 40
_AROUND_LABEL = 6  # columns: a sample of the curve, and spaces
_ASCII = str.maketrans("┌┐└┘─│█", "++++-|#")


def drawn(
    title: str, curves: Mapping[str, Points], width: int, height: int, *, has_colours: bool, is_ascii: bool
) -> Iterator[str]:
    """Lines of at most `width` columns, or 40 if that is less, with curves, axes and legend.

    Points above the `visible` ones are at the upper edge. Curves have a colour each, else a mark of ASCII each;
    `is_ascii` makes the frame ASCII, too.
    """
    from uniplot import plot_to_string

    width = max(width, _NARROWEST)
    _, high = visible(curves.values())
    shown = [thinned(points, 2 * width) for points in curves.values()]
    is_marked = is_ascii or not has_colours
    picture = plot_to_string(
        xs=[[step for step, _ in points] for points in shown],
        ys=[[min(loss, high) for _, loss in points] for points in shown],
        lines=True,
        title=title,
        legend_labels=[_label(name, width - _AROUND_LABEL, is_ascii=is_ascii) for name in curves],
        color=[_COLOURS[place % len(_COLOURS)] for place in range(len(shown))] if has_colours else False,
        character_set="ascii" if is_marked else "block",
        force_ascii_characters=[_MARKS[place % len(_MARKS)] for place in range(len(shown))],
        width=width,
        height=height,
        line_length_hard_cap=width,
        x_gridlines=[],
        y_gridlines=[],
    )
    for line in picture.split("\n"):
        yield f"{line.translate(_ASCII) if is_ascii else line}\n"


def _label(name: str, width: int, *, is_ascii: bool) -> str:
    """A name for the legend: harmless, in one line, and cut at its beginning to a width."""
    shown = safe(on_one_line(name))
    if is_ascii:
        shown = shown.encode("ascii", "backslashreplace").decode()
    while columns(shown) > width:
        shown = shown[1:]
    return shown
