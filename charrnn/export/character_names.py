"""Display of single characters: visible, on one line, and unable to drive a terminal."""

import unicodedata

from charrnn.messages import safe
from charrnn.settings.text import Unit

__all__ = ["columns", "escaped", "is_joined", "name_of"]

_NAMES = {" ": "space", "\n": "newline", "\t": "tab", "\r": "return"}


def name_of(character: str | None, unit: Unit = "character") -> str:
    """The name of a character: itself if it is visible alone, else several characters; None is the end of a document.

    No two characters have the same name. A byte above 127 is no character; its name is its number.
    """
    if character is None:
        return "end"
    if unit == "byte" and ord(character) > 0x7F:
        return f"0x{ord(character):02x}"
    if character in _NAMES or unicodedata.category(character) in ("Zs", "Cf"):
        return _NAMES.get(character, _escape(character))
    return f"◌{character}" if is_joined(character) else escaped(character)


def escaped(character: str) -> str:
    """The character, or an escape such as \\x1b if it is no character, breaks lines or could drive a terminal.

    A byte that is part of no character (PEP 383) is shown as \\xff.
    """
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    is_seen = unicodedata.category(character) not in ("Cc", "Cn", "Cs", "Zl", "Zp") and character != "\xad"
    return safe(character) if is_seen else _escape(character)


def is_joined(character: str) -> bool:
    """True if the character has no width but changes the one before: marks, joiners, vowels and finals of jamo."""
    if character < "\u0300" or escaped(character) != character:
        return False
    is_jamo = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
    return is_jamo or unicodedata.category(character) in ("Mn", "Me", "Cf")


def columns(text: str) -> int:
    """Number of columns of a terminal that harmless text takes."""
    return sum(0 if is_joined(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
