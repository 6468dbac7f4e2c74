"""Widths of text on a terminal, by the tables of rich."""

__all__ = ["columns", "on_the_left", "on_the_right"]


def columns(text: str) -> int:
    """Number of columns that harmless text takes: a joined emoji two, a mark none."""
    from rich.cells import cell_len  # here, so that a command starts without it

    return cell_len(text)


def on_the_left(text: str, width: int) -> str:
    """The text, filled up with spaces to a width in columns."""
    return text + " " * (width - columns(text))


def on_the_right(text: str, width: int) -> str:
    """Spaces and the text, which together have a width in columns."""
    return " " * (width - columns(text)) + text
