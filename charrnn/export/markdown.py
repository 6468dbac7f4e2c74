"""Text in Markdown, in which nothing of it is markup, and nothing drives a terminal."""

import re

from charrnn.messages import safe

__all__ = ["escaped", "fenced"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def escaped(text: str) -> str:
    """A text for a paragraph or a cell of a table, on one line."""
    return _MARKS.sub(r"\\\1", safe(" ".join(text.split())))


def fenced(text: str) -> str:
    """A text as a block of code, between fences that are longer than any in it."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}text\n{safe(text)}\n{fence}\n"
