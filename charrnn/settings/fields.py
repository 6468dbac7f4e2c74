"""A setting declared once: name, type, range, default and help, for Python, the command line and files alike.

A group of settings is a frozen dataclass whose fields are made by `setting`. Its ranges are checked when it is made.
The fields are also the options of the command line and the keys of configuration files.
"""

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from charrnn.errors import UsageError
from charrnn.messages import named

__all__ = [
    "DEVICE_HELP",
    "FORCE_HELP",
    "IN",
    "JSON_LINES_HELP",
    "LABEL_HELP",
    "MACHINE",
    "OUT",
    "QUIET_HELP",
    "TEXT_ENCODING_HELP",
    "UNKNOWN_HELP",
    "Setting",
    "Settings",
    "check_range",
    "declared",
    "setting",
    "suggestion",
]

# Panels of the help that several groups have.
IN, OUT, MACHINE = "What goes in", "What comes out", "Machine"

# Sentences of settings that several groups have.
DEVICE_HELP = "Device that computes. auto is cuda if there is one, else cpu."
FORCE_HELP = "Overwrite a file that exists."
TEXT_ENCODING_HELP = "Encoding of TEXT (default: utf-8)."
LABEL_HELP = "Label of the document, for a model of labels."
UNKNOWN_HELP = "What becomes of characters of the prime that the model never saw."
QUIET_HELP = "Write only errors on stderr."
JSON_LINES_HELP = "Write JSON lines on stdout."


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The declaration of a setting, except name, type and default, which are those of the field.

    `least` and `most` are in the range, `above` and `below` are not. `parse` makes the value from a text. `flag` is the
    long option if it does not follow from the name, `off` the option that says no, `aliases` are further options.
    An `argument` is given on the command line without a flag.
    """

    help: str
    panel: str | None = None
    short: str | None = None
    flag: str | None = None
    off: str | None = None
    aliases: tuple[str, ...] = ()
    metavar: str | None = None
    shows_default: bool = True
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    parse: Callable[[str], Any] | None = None
    argument: bool = False
    has_variable: bool = True
    hidden: bool = False

    def check(self, name: str, value: Any) -> None:
        """Raise `UsageError` unless each number in `value` is in the range."""
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, int | float):
                check_range(name, each, least=self.least, most=self.most, above=self.above, below=self.below)


def setting(default: Any, help: str, **more: Any) -> Any:
    """A dataclass field for a group of settings, declared with `help` and `more` (see `Setting`)."""
    return field(default=default, metadata={"setting": Setting(help=help, **more)})


def declared(group: type["Settings"]) -> dict[str, Setting]:
    """The declarations of a group by name, in the order of its fields."""
    return {each.name: each.metadata["setting"] for each in fields(group) if "setting" in each.metadata}


@dataclass(frozen=True)
class Settings:
    """A group of settings. Creating one with a value out of its range raises `UsageError`."""

    def __post_init__(self) -> None:
        for name, declaration in declared(type(self)).items():
            declaration.check(name, getattr(self, name))

    def chosen(self) -> Mapping[str, Any]:
        """The settings that differ from their defaults, by name."""
        return {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != getattr(type(self), each.name)
        }


def suggestion(word: str, known: Iterable[str]) -> str:
    """The text `; did you mean X?` if a known word is close to `word`, else an empty string."""
    close = get_close_matches(word, list(known), n=1) if len(word) < 40 else []
    return f"; did you mean {close[0]}?" if close else ""


def check_range(
    name: str,
    value: float | None,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raise `UsageError` unless `value` is absent or finite and within the bounds (`above`, `below` exclude theirs)."""
    if value is None:
        return
    bounds = [
        ("at least", operator.ge, least),
        ("greater than", operator.gt, above),
        ("at most", operator.le, most),
        ("less than", operator.lt, below),
    ]
    given = [(words, holds, bound) for words, holds, bound in bounds if bound is not None]
    finite = isinstance(value, int) or math.isfinite(value)
    if given and not (finite and all(holds(value, bound) for _, holds, bound in given)):
        wanted = " and ".join(f"{words} {bound}" for words, _, bound in given)
        raise UsageError(f"{named(name)} must be {wanted}, got {value!r:.40}")
