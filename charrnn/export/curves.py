"""Curves of losses over the steps of a training: what of them to show, and a picture of them as SVG."""

import html
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from charrnn.checkpoint.records import Points

__all__ = ["curve", "thinned", "visible"]

_WIDTH, _HEIGHT = 480, 220  # units of the picture; the rest are its margins
_LEFT, _RIGHT, _TOP, _BELOW = 40, 12, 24, 36
_COLOURS = {"training": "#4c9a9a", "validation": "#d1495b"}
_MOST_POINTS, _MOST_MARKS = 400, 100
_EVEN = 1e-9  # nats, within which losses count as the same


def visible(curves: Iterable[Points]) -> tuple[float, float]:
    """The lowest and the highest loss to show: the first ones, which are far above the others, would make the rest
    flat. ValueError if there are no points."""
    losses = sorted(loss for points in curves for _, loss in points)
    if not losses:
        raise ValueError("there are no losses to show")
    return losses[0], losses[int(0.95 * (len(losses) - 1))]


def thinned(points: Points, most: int) -> Points:
    """At most so many points, each the mean of as many successive ones."""
    if len(points) <= most:
        return points
    edges = [len(points) * k // most for k in range(most + 1)]
    groups = [points[start:end] for start, end in pairwise(edges)]
    return [(_mean(step for step, _ in group), _mean(loss for _, loss in group)) for group in groups]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def curve(losses: Mapping[str, Points]) -> str:
    """Losses in nats per character over steps as an SVG; empty if there are fewer than two.

    Losses above the `visible` ones are at the upper edge. The pointer shows the validation losses.
    """
    if sum(map(len, losses.values())) < 2:
        return ""
    last, (low, high) = max(points[-1][0] for points in losses.values()), visible(losses.values())
    scale = (high - low) or 1.0

    def at(step: float, loss: float) -> tuple[float, float]:
        """The place of a loss in the picture."""
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * step / (last or 1)
        return x, _TOP + (_HEIGHT - _TOP - _BELOW) * (1 - (min(loss, high) - low) / scale)

    parts = [*_grid(at, last, low, high), *_legend(losses)]
    for split, points in losses.items():
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in thinned(points, _MOST_POINTS)))
        parts.append(f'<polyline fill="none" stroke="{_COLOURS[split]}" stroke-width="1.5" points="{places}"/>')
    marked = losses.get("validation", [])
    for step, loss in marked if len(marked) <= _MOST_MARKS else ():
        x, y = at(step, loss)
        told = f"<title>step {step:,.0f}: {loss:.4f} nats per character</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_COLOURS["validation"]}">{told}</circle>')
    ends = ", ".join(f"{split} ends at {points[-1][1]:.4f}" for split, points in losses.items())
    return (
        f'<svg role="img" aria-label="losses in nats per character up to step {last:,.0f}: {html.escape(ends)}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-size="11" fill="currentColor" font-family="sans-serif">{"".join(parts)}</svg>'
    )


def _grid(at: Callable[[float, float], tuple[float, float]], last: float, low: float, high: float) -> Iterator[str]:
    """Lines and labels at round losses and steps, and the names of both axes."""
    for loss in _ticks(low, high, 6):
        _, y = at(0, loss)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity="0.15"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{loss:g}</text>'
    for step in _ticks(0, last, 5) if last > 4 else (0, last):
        x, _ = at(step, high)
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _BELOW + 16}" text-anchor="middle">{step:,.0f}</text>'
    yield f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">steps</text>'
    yield '<text x="0" y="12">nats per character</text>'


def _legend(losses: Mapping[str, Points]) -> Iterator[str]:
    for place, split in enumerate(losses):
        x = _WIDTH - _RIGHT - 90 * (len(losses) - place)
        yield f'<path d="M{x} 8h16" stroke="{_COLOURS[split]}" stroke-width="3"/>'
        yield f'<text x="{x + 20}" y="12">{html.escape(split)}</text>'


def _ticks(low: float, high: float, most: int) -> Iterator[float]:
    """Round numbers from `low` to `high`, at most so many: multiples of 1, 2 or 5 times a power of ten."""
    span = high - low if high - low > _EVEN else 1.0
    power = 10 ** math.floor(math.log10(span / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most - 1)
    first = math.ceil(low / step - 1e-9)
    for number in range(first, math.floor(high / step + 1e-9) + 1):
        yield round(number * step, 12)
