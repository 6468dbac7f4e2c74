"""Shaded text as one self-contained page of HTML: no scripts, no fonts, nothing from elsewhere."""

import html
from collections.abc import Callable, Iterable, Iterator

from charrnn.export.shading import SPECIAL, Scale, TextCell, is_dark

__all__ = ["legend", "page", "rules", "spans"]

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2em auto; max-width: 100ch; padding: 0 1em; font: 1em/1.6 ui-monospace, monospace; }}
pre {{ font: inherit; tab-size: 8; white-space: pre-wrap; overflow-wrap: anywhere; }}
.legend span {{ padding: 0 0.5ch; }}
.unknown {{ text-decoration: underline dotted; }}
{light}
@media (prefers-color-scheme: dark) {{
{dark}
}}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="legend">{legend}</p>
<pre>"""

_FOOT = """</pre>
<p>{footer}</p>
</body>
</html>
"""


def page(cells: Iterable[TextCell], scale: Scale, title: str, footer: Callable[[], str]) -> Iterator[str]:
    """A page of HTML in pieces. The pointer shows the title of a cell; `footer` is called for the last line after all
    cells have been written.
    """
    yield _HEAD.format(
        title=html.escape(title),
        light=rules(scale),
        dark=rules(scale.on_dark()),
        legend=legend(scale),
    )
    yield from spans(cells, scale)
    yield _FOOT.format(footer=html.escape(footer()))


def spans(cells: Iterable[TextCell], scale: Scale) -> Iterator[str]:
    """An HTML element for each cell, and a newline after the last cell of a line."""
    for cell in cells:
        name = "unknown" if cell.value is None else f"l{scale.level(cell.value)}"
        yield f'<span class="{name}" title="{html.escape(cell.title)}">{html.escape(cell.text)}</span>'
        if cell.ends_line:
            yield "\n"


def legend(scale: Scale) -> str:
    """The legend of a scale as HTML: the label of each level in its colour, and the special symbols."""
    levels = " ".join(f'<span class="l{level}">{html.escape(label)}</span>' for level, label in enumerate(scale.labels))
    return f'{html.escape(scale.name)}: {levels} <span class="unknown">unknown</span>; {SPECIAL}'


def rules(scale: Scale) -> str:
    """CSS rules with a class for each level that has a colour."""
    return "\n".join(
        f".l{level} {{ background: rgb{colour}; color: {'white' if is_dark(colour) else 'black'}; }}"
        for level, colour in enumerate(scale.colours)
        if colour is not None
    )
