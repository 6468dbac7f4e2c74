"""Scores as data on stdout: a line of JSON, or of columns separated by tabs, for each character or line of a text."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from charrnn.export.character_names import name_of
from charrnn.messages import counted
from charrnn.settings.text import Unit
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.evaluation.characters import CharacterScore, LineScore

__all__ = [
    "CHARACTER_COLUMNS",
    "LINE_COLUMNS",
    "Total",
    "as_value",
    "character_rows",
    "columns_line",
    "json_line",
    "line_rows",
    "on_one_line",
]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

CHARACTER_COLUMNS = ("offset", "line", "character", "nats", "bits", "probability", "rank")
LINE_COLUMNS = (
    *("line", "offset", "characters", "unknown", "nats", "bits", "bits_per_character", "probability", "mean_rank"),
    "text",
)


def character_rows(characters: "Iterable[CharacterScore]", unit: Unit, *, as_json: bool) -> Iterator[str]:
    """A line for each character; the costs of an unknown one are null or hyphens."""
    for each in characters:
        costs = (each.nats, each.bits, each.probability, each.rank)
        if as_json:
            place = {"offset": each.offset, "line": each.line}
            yield json_line(
                {**place, **as_value(each.character, unit), **dict(zip(CHARACTER_COLUMNS[3:], costs, strict=True))}
            )
        else:
            yield columns_line(each.offset, each.line, name_of(each.character, unit), *costs)


def line_rows(lines: "Iterable[LineScore]", unit: Unit, *, as_json: bool) -> Iterator[str]:
    """A line for each line of the text. JSON has its text whole, with surrogates for bytes that are not UTF-8.

    In columns it has no newline; a tab in it is written \\t, a backslash \\\\.
    """
    for each in lines:
        columns = [getattr(each, name) for name in LINE_COLUMNS]
        if as_json:
            columns[-1] = readable(each.text, unit)
            yield json_line(dict(zip(LINE_COLUMNS, columns, strict=True)))
        else:
            yield columns_line(*columns[:-1], on_one_line(each.text.removesuffix("\n")))


def as_value(character: str | None, unit: Unit) -> dict[str, str | int | bool | None]:
    """A character, or a byte as a number, for JSON; null if it is the end of a document, and then `end` is true."""
    shown = character if unit == "character" or character is None else ord(character)
    return {unit: shown, "end": character is None}


def on_one_line(text: str) -> str:
    """The text with backslashes, tabs and line ends escaped, for a column."""
    return text.translate(_ESCAPES)


def json_line(values: Mapping[str, Any]) -> str:
    """A line of JSON, the one way to write it on stdout: numbers that are not finite, which JSON has not, are null."""
    return json.dumps(_finite(values), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def columns_line(*values: object) -> str:
    """A line of values separated by tabs; an unknown one is a hyphen."""
    return "\t".join("-" if value is None else str(value) for value in values) + "\n"


class Total:
    """Sums over characters that are passed on: nats, and the numbers of scored and unknown characters."""

    def __init__(self) -> None:
        self._nats, self._characters, self._unknown = 0.0, 0, 0

    def passing(self, characters: "Iterable[CharacterScore]") -> "Iterator[CharacterScore]":
        """Pass the characters on, and add up their nats."""
        for each in characters:
            if each.nats is None:
                self._unknown += 1
            else:
                self._nats, self._characters = self._nats + each.nats, self._characters + 1
            yield each

    def __str__(self) -> str:
        bits = f"{self._nats / math.log(2) / self._characters:.4f}" if self._characters else "no"
        unknown = f", {self._unknown:,} unknown and not scored" if self._unknown else ""
        return f"{counted(self._characters, 'character')}, {self._nats} nats, {bits} bits per character{unknown}"
