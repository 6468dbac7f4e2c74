"""Conversion of texts in the units of a model, characters or bytes, into readable text."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from charrnn.settings.text import Unit

__all__ = ["as_units", "readable"]

Errors = Literal["strict", "replace", "surrogateescape"]


def readable(text: str, unit: "Unit", errors: Errors = "surrogateescape") -> str:
    """A text in characters as it is; one in bytes, given as code points, decoded as UTF-8.

    Args:
        errors: treatment of bytes that are not UTF-8, as for `bytes.decode`; by default surrogates (PEP 383).
    """
    return text.encode("latin-1").decode("utf-8", errors) if unit == "byte" else text


def as_units(text: str, unit: "Unit") -> str:
    """A text in characters in the units of a model: as it is, or the bytes of its UTF-8 as code points."""
    return text.encode().decode("latin-1") if unit == "byte" else text
