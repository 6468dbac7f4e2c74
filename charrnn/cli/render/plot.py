"""Pictures in PNG or SVG by matplotlib, the `plot` extra, which is imported only when a picture is asked for."""

import importlib.util
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from charrnn.checkpoint.records import Points
from charrnn.errors import UsageError
from charrnn.export.curves import visible
from charrnn.files import check_new, write_new
from charrnn.messages import named

__all__ = ["check_plot", "write_curves", "write_losses", "write_map"]

_MOST_MARKS = 50


def check_plot(path: str | None, option: str = "plot", *, replaces: bool = False) -> None:
    """Refuse a picture that cannot be made, before anything is computed for it; `option` is what names its file.

    Raises:
        UsageError: the file is there, has another ending than .png or .svg, or matplotlib is not installed.
    """
    if path is None:
        return
    if Path(path).suffix not in (".png", ".svg"):
        raise UsageError(f"{named(option)} writes .png or .svg, by the file's ending, not {path}")
    if not replaces:
        check_new(Path(path))
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(f"{named(option)} needs matplotlib, which is not installed: pip install 'charrnn-text[plot]'")


def write_curves(
    path: str,
    labels: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    logarithmic: Sequence[str],
    *,
    replaces: bool = False,
) -> None:
    """Write panels of curves side by side, each with its title; those in `logarithmic` have a logarithmic y axis.

    A curve with fewer points than there are labels has them at the first labels.
    """
    figure = _figure(6 * len(panels), 4.5)
    for index, (title, curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), index)
        for name, values in curves.items():
            axes.plot(range(len(values)), values, marker="o", label=name)
        shown = labels[: max(map(len, curves.values()))]
        axes.set_xticks(range(len(shown)), shown)
        axes.set_title(title)
        if title in logarithmic and any(value > 0 for values in curves.values() for value in values):
            axes.set_yscale("log", nonpositive="mask")
        axes.legend()
    _write(figure, path, replaces=replaces)


def write_losses(path: str, title: str, curves: Mapping[str, Points], *, replaces: bool = False) -> None:
    """Write a picture of losses over steps, with a point for each of a few, such as those of validations."""
    figure = _figure(9, 5)
    axes = figure.add_subplot()
    for name, points in curves.items():
        marker = "o" if len(points) <= _MOST_MARKS else None
        axes.plot([x for x, _ in points], [y for _, y in points], marker=marker, markersize=3, label=name)
    low, high = visible(curves.values())
    margin = 0.05 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("steps")
    axes.set_ylabel("nats per character")
    for text in axes.legend().get_texts():
        text.set_parse_math(False)
    _write(figure, path, replaces=replaces)


def write_map(path: str, title: str, points: Sequence[tuple[str, float, float]], *, replaces: bool = False) -> None:
    """Write a picture of names at their places on a plane."""
    figure = _figure(9, 9)
    axes = figure.add_subplot()
    axes.scatter([x for _, x, _ in points], [y for _, _, y in points], s=0)
    for name, x, y in points:
        axes.text(x, y, name, ha="center", va="center", parse_math=False)
    axes.set_title(title)
    _write(figure, path, replaces=replaces)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _write(figure: Any, path: str, *, replaces: bool) -> None:
    import warnings

    picture, form = BytesIO(), Path(path).suffix.removeprefix(".")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # not every font has every character
        figure.savefig(picture, format=form, dpi=150, metadata={"Date": None} if form == "svg" else None)
    write_new(Path(path), [picture.getvalue()], replaces=replaces)
