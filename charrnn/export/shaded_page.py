"""Shaded text as one self-contained page of HTML: no scripts, no fonts, nothing from elsewhere."""

import html
from collections.abc import Callable, Iterable, Iterator

from charrnn.export.html import document, shown
from charrnn.export.shading import SPECIAL, Scale, TextCell, is_dark

__all__ = ["legend", "page", "rules", "shades", "spans"]


def page(cells: Iterable[TextCell], scale: Scale, title: str, footer: Callable[[], str]) -> Iterator[str]:
    """A page of HTML in pieces. The pointer shows the title of a cell; `footer` is called for the last line after all
    cells have been written.
    """
    return document(title, _body(cells, scale, title, footer), style=shades(scale))


def _body(cells: Iterable[TextCell], scale: Scale, title: str, footer: Callable[[], str]) -> Iterator[str]:
    yield f'<h1>{shown(title)}</h1>\n<p class="legend">{legend(scale)}</p>\n<pre>'
    yield from spans(cells, scale)
    yield f"</pre>\n<p>{shown(footer())}</p>\n"


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


def shades(scale: Scale) -> str:
    """CSS rules for the levels of a scale, on light and on dark."""
    return f"{rules(scale)}\n@media (prefers-color-scheme: dark) {{\n{rules(scale.on_dark())}\n}}\n"


def rules(scale: Scale) -> str:
    """CSS rules with a class for each level that has a colour."""
    return "\n".join(
        f".l{level} {{ background: rgb{colour}; color: {'white' if is_dark(colour) else 'black'}; }}"
        for level, colour in enumerate(scale.colours)
        if colour is not None
    )
