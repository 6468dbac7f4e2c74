"""HTML for notebooks that shows models, scores and trainings: no scripts, nothing from elsewhere."""

import contextlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from charrnn.export.shaded_page import legend, rules, spans
from charrnn.export.shading import SURPRISE, TextCell
from charrnn.messages import safe

__all__ = ["curve", "described", "losses_of", "shaded_text"]

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT, _LEFT, _BELOW = 480, 160, 44, 18  # pixels; the last two are for the axes' labels
_COLOURS = {"training": "#4c9a9a", "validation": "#d1495b"}


def losses_of(run: Path) -> dict[str, list[tuple[float, float]]]:
    """Steps and losses of a run's `metrics.jsonl`, by split. A line that cannot be read, as a crash may leave, is left
    out; all are if there is no file."""
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        lines = (run / "metrics.jsonl").read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            if record["split"] in _COLOURS and isinstance(record["loss"], float):
                found.setdefault(record["split"], []).append((float(record["step"]), record["loss"]))
    return found


def curve(losses: Mapping[str, Points]) -> str:
    """Losses in nats over steps as an SVG; empty if there are fewer than two."""
    points = [point for each in losses.values() for point in each]
    if len(points) < 2:
        return ""
    last = max(step for step, _ in points)
    # The first losses of a training are far above the others, and would make the rest of the curve flat.
    ordered = sorted(loss for _, loss in points)
    low, high = ordered[0], ordered[int(0.95 * (len(ordered) - 1))]
    scale = (high - low) or 1.0

    def place(step: float, loss: float) -> str:
        """The point of a loss as `x,y` in pixels."""
        x = _LEFT + (_WIDTH - _LEFT - 4) * step / (last or 1)
        y = 4 + (_HEIGHT - _BELOW - 8) * (1 - (min(loss, high) - low) / scale)
        return f"{x:.1f},{y:.1f}"

    lines = "".join(
        f'<polyline fill="none" stroke="{_COLOURS[name]}" stroke-width="1.5" '
        f'points="{" ".join(place(*point) for point in each)}"><title>{name}</title></polyline>'
        for name, each in losses.items()
    )
    labels = [
        (0, 12, f"{high:.2f}"),
        (0, _HEIGHT - _BELOW, f"{low:.2f}"),
        (_LEFT, _HEIGHT - 3, "nats per character over steps"),
        (_WIDTH - 60, _HEIGHT - 3, f"{last:,.0f}"),
    ]
    texts = "".join(f'<text x="{x}" y="{y}">{html.escape(text)}</text>' for x, y, text in labels)
    keys = " ".join(f'<span style="color: {_COLOURS[name]}">{name}</span>' for name in losses)
    return (
        f'<svg role="img" aria-label="losses over steps" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-size="11" fill="currentColor" font-family="sans-serif">{lines}{texts}</svg><br>{keys}'
    )


def described(title: str, facts: Mapping[str, str], losses: Mapping[str, Points], sample: str | None = None) -> str:
    """A heading, a table of facts, a curve of losses, and a sample, if there is one, as HTML."""
    rows = "".join(
        f'<tr><th style="text-align: left">{_shown(name)}</th><td>{_shown(value)}</td></tr>'
        for name, value in facts.items()
    )
    written = "" if sample is None else f'<pre style="white-space: pre-wrap; max-width: 80ch">{_shown(sample)}</pre>'
    return f"<div><strong>{_shown(title)}</strong><table>{rows}</table>{curve(losses)}{written}</div>"


def shaded_text(cells: Iterable[TextCell], summary: str) -> str:
    """A text shaded by surprise as HTML, with legend and summary; the pointer shows the cost of a character."""
    style = f"{rules(SURPRISE)}\n@media (prefers-color-scheme: dark) {{ {rules(SURPRISE.on_dark())} }}"
    return (
        f'<div class="charrnn-score"><style>.charrnn-score {{ {style} }}</style>'
        f'<p>{_shown(summary)}</p><pre style="white-space: pre-wrap">{"".join(spans(cells, SURPRISE))}</pre>'
        f"<p>{legend(SURPRISE)}</p></div>"
    )


def _shown(text: str) -> str:
    return html.escape(safe(text))
