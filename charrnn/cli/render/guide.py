"""A page of the guide on a terminal, in the reader's own pager."""

import os

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.text import Text

__all__ = ["show"]

_WIDEST = 88  # lines that are longer are hard to read


class _Heading(Heading):
    """A heading at the left, in bold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        self.text.stylize("bold underline" if self.tag == "h1" else "bold yellow" if self.tag == "h2" else "bold")
        if self.tag != "h1":
            yield Text("")
        yield self.text


class _Code(CodeBlock):
    """A block of code in one colour that every background allows."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip(), style="cyan"), (0, 0, 0, 4))


class _Page(Markdown):
    elements = Markdown.elements | {"heading_open": _Heading, "fence": _Code, "code_block": _Code}


def show(markdown: str) -> None:
    """Draw a page; a pager comes when it is longer than the screen."""
    os.environ.setdefault("LESS", "FRX")  # colours as they are, and no stop at what fits on a screen
    console = Console(highlight=False)
    console = Console(highlight=False, width=min(console.width, _WIDEST))
    with console.pager(styles=True):
        console.print(_Page(markdown, inline_code_lexer=None, hyperlinks=False))
