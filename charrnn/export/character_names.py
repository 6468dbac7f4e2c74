"""Display of single characters: visible, on one line, and unable to drive a terminal."""

import unicodedata

from charrnn.messages import safe
from charrnn.settings.text import Unit

__all__ = ["escaped", "is_joined", "is_joined_to", "name_of"]

_NAMES = {" ": "space", "\n": "newline", "\t": "tab", "\r": "return"}
_INVISIBLE = "\xad\u3164\uffa0"  # the soft hyphen, and fillers of Hangul
_JOINER = "\u200d"


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
    is_seen = unicodedata.category(character) not in ("Cc", "Cn", "Cs", "Zl", "Zp") and character not in _INVISIBLE
    return safe(character) if is_seen else _escape(character)


def is_joined(character: str) -> bool:
    """True if the character has no width but changes the one before.

    These are marks, joiners, vowels and finals of jamo, and the skin tones of emoji.
    """
    if character < "\u0300" or escaped(character) != character:
        return False
    is_jamo = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
    is_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return is_jamo or is_tone or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def is_joined_to(text: str, character: str) -> bool:
    """True if the character is drawn as one with the text before it, which is drawn as one.

    It is joined to any, or it is an emoji after a joiner, or the second half of a flag.
    """
    if is_joined(character):
        return True
    is_emoji = unicodedata.category(character).startswith("S")
    return (is_emoji and text.endswith(_JOINER)) or (_is_half_flag(text) and _is_half_flag(character))


def _is_half_flag(text: str) -> bool:
    return len(text) == 1 and "\U0001f1e6" <= text <= "\U0001f1ff"


def _escape(character: str) -> str:
    return ascii(character)[1:-1]
