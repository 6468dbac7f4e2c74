"""Sets of characters of a vocabulary by pattern: literal characters, and classes such as \\d or \\p{Lu}."""

import re

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.text.vocabulary import Vocabulary

__all__ = ["matches"]

_PART = re.compile(r"(\\[pP]\{[\w =:^.-]{1,60}\})|\\(.)|([^\\])", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def matches(pattern: str, vocabulary: Vocabulary, setting: str) -> NDArray[np.bool_]:
    """Mask (N,) of the N characters of a vocabulary that are in the set of `pattern`.

    A pattern is a row of literal characters and of classes. \\d \\w \\s are classes, and \\D \\W \\S their opposites.
    \\p{Lu}, \\p{Han} or \\p{Emoji} is a property of Unicode: a general category, a script, a block or another; \\P{Lu}
    is all that lack it. \\n, \\t, \\r and \\\\ are those characters. For a model of bytes, only ASCII can be named.

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
        prop, escaped, literal = part.groups()
        character = literal or _ESCAPES.get(escaped or "")
        if vocabulary.unit == "byte" and (prop or (character and not character.isascii())):
            raise UsageError(
                f"{named(setting)} has {part[0]!a}, but this is a model of bytes, where only ASCII is known"
            )
        if prop:
            found |= _of_property(prop, vocabulary, setting)
        elif character:
            found |= np.array([own == character for own in vocabulary.characters], dtype=bool)
        elif escaped in set("dDwWsS"):
            flags = re.ASCII if vocabulary.unit == "byte" else re.NOFLAG
            kind = re.compile(part[0], flags)
            found |= np.array([kind.match(own) is not None for own in vocabulary.characters], dtype=bool)
        else:
            raise UsageError(
                f"{named(setting)} has the unknown class {part[0]!a}\n"
                "known are \\d \\w \\s \\D \\W \\S \\n \\t \\r \\\\, and \\p{...} with a property of Unicode"
            )
    return found


def _of_property(part: str, vocabulary: Vocabulary, setting: str) -> NDArray[np.bool_]:
    import regex  # here, as few patterns need it, and sampling starts fast

    try:
        kind = regex.compile(part)
    except (regex.error, ArithmeticError, ValueError) as error:  # the latter two of a number that names none
        raise UsageError(
            f"{named(setting)} has the unknown class {part}\n"
            "known are Unicode's general categories such as L, Lu or Nd, its scripts such as Latin, Han or Cyrillic, "
            "its blocks, and properties such as Emoji"
        ) from error
    return np.array([kind.match(own) is not None for own in vocabulary.characters], dtype=bool)
