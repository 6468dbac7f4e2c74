"""HTML for notebooks that shows models, scores and trainings: no scripts, nothing from elsewhere."""

import html
from collections.abc import Iterable, Mapping

from charrnn.checkpoint.records import Points
from charrnn.export.curves import curve
from charrnn.export.shaded_page import legend, rules, spans
from charrnn.export.shading import SURPRISE, TextCell
from charrnn.messages import safe

__all__ = ["described", "shaded_text"]


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
