"""Texts in the units of a model, characters or bytes, as people read them."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from charrnn.settings.text import Unit

__all__ = ["readable"]

Errors = Literal["strict", "replace", "surrogateescape"]


def readable(text: str, unit: "Unit", errors: Errors = "surrogateescape") -> str:
    """A text in bytes, which are its code points, read as UTF-8; one in characters as it is.

    Args:
        errors: what becomes of bytes that are no UTF-8, as for `bytes.decode`; else surrogates (PEP 383).
    """
    return text.encode("latin-1").decode("utf-8", errors) if unit == "byte" else text
