"""Messages that name settings by their keyword in Python and by their flag on the command line.

Code below the command line writes `named("top_k")` into a message, and knows nothing of flags. Code that shows the
message turns these names into keywords or flags, and escapes characters that drive a terminal.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["counted", "for_command_line", "for_python", "named", "safe", "without_long"]

# Noncharacters of Unicode, which no text has (and `repr` escapes). They enclose a name and separate it from its value.
_OPEN, _PART, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
_NAMED = re.compile(f"{_OPEN}([^{_PART}{_CLOSE}]*){_PART}([^{_PART}{_CLOSE}]*){_PART}([^{_PART}{_CLOSE}]*){_CLOSE}")
_NO_VALUE: Any = object()
_LONGEST = 80
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")

# Characters that could drive a terminal: C0 except tab and newline, DEL, C1, bidirectional overrides and isolates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def named(setting: str, value: object = _NO_VALUE) -> str:
    """A marked setting's name for a message, with a value that it has or might have."""
    if value is _NO_VALUE:
        return f"{_OPEN}{setting}{_PART}{_PART}{_CLOSE}"
    shown = "" if value is True else f" {value}"
    return f"{_OPEN}{setting}{_PART}{shown}{_PART}={value!r}{_CLOSE}"


def for_python(message: str) -> str:
    """The message with Python keywords, such as: top_k must be at least 1."""
    return _NAMED.sub(lambda match: match[1] + match[3], message)


def for_command_line(message: str, flags: Mapping[str, str]) -> str:
    """The message with flags, such as: --top-k must be at least 1; `flags` has those that differ from the name."""
    return _NAMED.sub(lambda match: flags.get(match[1], "--" + match[1].replace("_", "-")) + match[2], message)


def without_long(message: str, words: Iterable[str]) -> str:
    """The message with whatever it repeats of these words, as they are or escaped, cut to 80 characters in a row."""
    shown = {each for word in words for each in _forms(word)}
    repeated = {each[k : k + _LONGEST + 1] for each in shown for k in range(len(each) - _LONGEST)}
    kept, place = [], 0
    while repeated and place < len(message):
        end = place
        while message[end : end + _LONGEST + 1] in repeated:
            end += 1
        if end > place:
            end += _LONGEST
            kept.append(f"{message[place : place + _LONGEST // 2]}…{message[end - _LONGEST // 2 + 1 : end]}")
        else:
            end += 1
            kept.append(message[place:end])
        place = end
    return "".join(kept) if repeated else message


def _forms(word: str) -> tuple[str, ...]:
    """The word as it is, and as `repr`, `ascii` and the reader of the command line show it."""
    return word, repr(word)[1:-1], ascii(word)[1:-1], _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", word)


def counted(count: int, noun: str) -> str:
    """A number of things in words, such as 1 character or 2,000 characters."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def safe(text: str) -> str:
    """The text with every character that could drive a terminal shown as an escape, such as \\x1b."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)
