"""One self-contained page of HTML: escaping, the style that all pages share, and a policy that lets nothing else in.

A page fetches nothing and runs nothing but its own script, if it has one: the policy names style and script by their
sha256. So an attribute `style` or `onclick` has no effect; classes, and attributes of SVG such as `fill`, have.
"""

import html
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from charrnn.messages import safe

__all__ = ["document", "shown"]

_STYLE = Path(__file__).with_name("style.css")


def shown(text: str) -> str:
    """Any text as HTML, in an element or an attribute: no markup, and control characters as escapes."""
    return html.escape(safe(text))


def document(title: str, body: Iterable[str], *, style: str = "", script: str = "") -> Iterator[str]:
    """A page in pieces, each made when it is asked for.

    Args:
        title: a text, which is escaped here. The page shows it only in the browser's frame; `body` has the heading.
        body: HTML.
        style: rules besides those that all pages share (`style.css`).
        script: JavaScript that runs after the body is there. It must have no `</script` and no `<!--` in it.
    """
    rules = f"{_STYLE.read_text('utf-8')}{style}"
    allowed = [f"style-src {_hashed(rules)}", *([f"script-src {_hashed(script)}"] if script else [])]
    policy = "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{shown(title)}</title>\n<style>{rules}</style>\n</head>\n<body>\n"
    )
    yield from body
    yield f"<script>{script}</script>\n" if script else ""
    yield "</body>\n</html>\n"


def _hashed(source: str) -> str:
    """The source of a policy that allows exactly this text."""
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"
