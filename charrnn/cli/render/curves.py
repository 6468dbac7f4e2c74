"""Curves drawn on a terminal by uniplot, which chooses round numbers for its axes and has colours, blocks and ASCII."""

from collections.abc import Iterator, Mapping
from itertools import cycle, islice

from charrnn.checkpoint.records import Points
from charrnn.cli.render.score_rows import on_one_line
from charrnn.cli.render.widths import columns
from charrnn.export.curves import thinned, visible
from charrnn.messages import safe

__all__ = ["drawn"]

_MARKS = tuple("ox+*#%@&=~^")  # of curves without colours; used again where there are more
_COLOURS = {"cyan": 36, "green": 32, "yellow": 33, "magenta": 35, "blue": 34, "red": 31}  # so are these
_NARROWEST = 40
_DIGITS = 6  # of a loss, so that no range is too small to be divided
_GAP = 3  # columns between two names of the legend
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
    colours, marks = (list(islice(cycle(each), len(shown))) for each in (_COLOURS, _MARKS))
    picture = plot_to_string(
        xs=[[step for step, _ in points] for points in shown],
        ys=[[round(min(loss, high), _DIGITS) for _, loss in points] for points in shown],
        lines=True,
        title=title,
        color=colours if has_colours else False,
        character_set="ascii" if is_marked else "block",
        force_ascii_characters=marks,
        width=width,
        height=height,
        line_length_hard_cap=width,
        x_gridlines=[],
        y_gridlines=[],
    )
    samples = [mark * 2 for mark in marks] if is_marked else ["██"] * len(shown)
    if has_colours:
        samples = [f"\x1b[{_COLOURS[c]}m{sample}\x1b[0m" for c, sample in zip(colours, samples, strict=True)]
    for line in [*picture.split("\n"), *_legend(dict(zip(curves, samples, strict=True)), width, is_ascii=is_ascii)]:
        yield f"{line.translate(_ASCII) if is_ascii else line}\n"


def _legend(samples: Mapping[str, str], width: int, *, is_ascii: bool) -> Iterator[str]:
    """Lines with a sample of two columns and the name of each curve."""
    line, room = "", width
    for name, sample in samples.items():
        label = _label(name, width - 3, is_ascii=is_ascii)
        needed = 3 + columns(label)
        if line and room < needed + _GAP:
            yield line
            line, room = "", width
        line += " " * (_GAP if line else 0) + f"{sample} {label}"
        room -= needed + (_GAP if room < width else 0)
    yield line


def _label(name: str, width: int, *, is_ascii: bool) -> str:
    """A name for the legend: harmless, in one line, and cut at its beginning to a width."""
    shown = safe(on_one_line(name))
    if is_ascii:
        shown = shown.encode("ascii", "backslashreplace").decode()
    while columns(shown) > width:
        shown = shown[1:]
    return shown
