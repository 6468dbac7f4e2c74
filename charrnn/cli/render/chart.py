"""Points drawn with characters: curves over columns, and a map of names on a plane."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle

from charrnn.cli.render.widths import columns

__all__ = ["chart", "scatter"]

_MARKS = "ox+*#%@&=~^"  # used again where there are more curves
_COLUMN = 6  # characters from one point of a curve to the next


def chart(title: str, labels: Sequence[str], curves: Mapping[str, Sequence[float]], height: int = 12) -> Iterator[str]:
    """Lines of a chart: one point of every curve over each label, a mark for each curve, and a legend below.

    Where points coincide, the first curve's mark is seen.
    """
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    step = (high - low) / (height - 1) or 1.0
    grid = [[" "] * (_COLUMN * len(labels)) for _ in range(height)]
    for mark, curve in reversed(list(zip(cycle(_MARKS), curves.values(), strict=False))):
        for column, value in enumerate(curve):
            grid[round((high - value) / step)][_COLUMN * column + _COLUMN // 2] = mark
    yield f"{title}\n"
    for row, line in enumerate(grid):
        yield f"{high - row * step:8.2f} │{''.join(line)}".rstrip() + "\n"
    yield f"{'':8} └{'─' * _COLUMN * len(labels)}\n"
    yield f"{'':10}{''.join(label.center(_COLUMN) for label in labels)}".rstrip() + "\n"
    yield f"{'':10}{'   '.join(f'{mark} {name}' for mark, name in zip(cycle(_MARKS), curves, strict=False))}\n"


def scatter(points: Sequence[tuple[str, float, float]], width: int, height: int) -> Iterator[str]:
    """Lines with each name at its place, x to the right and y upwards; a name that would cover another is moved.

    `width` and `height` should have room for all names; those that find none nearby are left out.
    """
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points]
    rows: list[dict[int, str]] = [{} for _ in range(height)]  # a name at its first column, and "" at its others
    for name, x, y in points:
        wide = columns(name)
        column = round((x - min(xs)) / ((max(xs) - min(xs)) or 1) * (width - wide))
        row = round((max(ys) - y) / ((max(ys) - min(ys)) or 1) * (height - 1))
        for near in sorted(range(height), key=lambda other, row=row: abs(other - row)):  # type: ignore[misc]
            starts = [
                s for s in range(width - wide + 1) if not any(k in rows[near] for k in range(s - 1, s + wide + 1))
            ]
            if starts:
                start = min(starts, key=lambda s: abs(s - column))
                if abs(start - column) <= 4 * (1 + abs(near - row)):
                    rows[near] |= {start: name, **dict.fromkeys(range(start + 1, start + wide), "")}
                    break
    for names in rows:
        yield "".join(names.get(k, " ") for k in range(width)).rstrip() + "\n"
