"""Sets of characters of a vocabulary by pattern: literal characters, and classes such as \\d or \\p{Lu}."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.text.vocabulary import Vocabulary

__all__ = ["matches"]

_PART = re.compile(r"\\p\{(\w+)\}|\\(.)|([^\\])", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
_CATEGORIES = (
    *("L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe"),
    *("Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Cs", "Co", "Cn"),
)
# A script is recognised by a word in the Unicode names of its letters and marks: Python has no script property.
_SCRIPTS = ("Arabic", "Cyrillic", "Devanagari", "Greek", "Hangul", "Hebrew", "Hiragana", "Katakana", "Latin", "Thai")


def matches(pattern: str, vocabulary: Vocabulary, setting: str) -> NDArray[np.bool_]:
    """Mask (N,) of the N characters of a vocabulary that are in the set of `pattern`.

    A pattern is a row of literal characters and of classes: \\d \\w \\s and their opposites \\D \\W \\S, \\p{Lu} for a
    general category, \\p{Hangul} for a script; \\n, \\t, \\r and \\\\ are those characters. For a model of
    bytes, only ASCII characters can be named.

    Raises:
        UsageError: a class that is not known, or a character beyond ASCII for a model of bytes; names the setting.
    """
    parts, place = [], 0
    while place < len(pattern):
        part = _PART.match(pattern, place)
        if part is None:
            raise UsageError(f"{named(setting)} ends with a lone backslash; write \\\\ for a backslash")
        parts.append(part)
        place = part.end()
    found = np.zeros(len(vocabulary.characters), dtype=bool)
    for part in parts:
        name, escaped, literal = part.groups()
        character = literal or _ESCAPES.get(escaped or "")
        if vocabulary.unit == "byte" and (name or (character and not character.isascii())):
            raise UsageError(
                f"{named(setting)} has {part[0]!a}, but this is a model of bytes, where only ASCII is known"
            )
        if name:
            found |= _property(name, vocabulary, setting)
        elif character:
            found |= np.array([own == character for own in vocabulary.characters], dtype=bool)
        elif escaped in set("dDwWsS"):
            flags = re.ASCII if vocabulary.unit == "byte" else re.NOFLAG
            kind = re.compile(part[0], flags)
            found |= np.array([kind.match(own) is not None for own in vocabulary.characters], dtype=bool)
        else:
            raise UsageError(
                f"{named(setting)} has the unknown class {part[0]!a}\n"
                "known are \\d \\w \\s \\D \\W \\S \\n \\t \\r \\\\, and \\p{...} with a general category or a script"
            )
    return found


def _property(name: str, vocabulary: Vocabulary, setting: str) -> NDArray[np.bool_]:
    if name in _CATEGORIES:
        return np.array([unicodedata.category(own).startswith(name) for own in vocabulary.characters], dtype=bool)
    if name in _SCRIPTS:
        return np.array([_is_of_script(own, name.upper()) for own in vocabulary.characters], dtype=bool)
    raise UsageError(
        f"{named(setting)} has the unknown class \\p{{{name}}}\nknown are general categories such as L, Lu or Nd, "
        f"and the scripts {', '.join(_SCRIPTS)}"
    )


def _is_of_script(character: str, word: str) -> bool:
    return unicodedata.category(character)[0] in "LM" and word in re.split("[ -]", unicodedata.name(character, ""))
