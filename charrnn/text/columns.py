"""A column of a table as documents: the text of each row of CSV, TSV or JSON lines, without its quoting."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Literal

from charrnn.errors import DataError
from charrnn.messages import counted
from charrnn.settings.text import TextConfig
from charrnn.text.documents import mark_of
from charrnn.text.sources import Source
from charrnn.text.undecodable import listed
from charrnn.text.vocabulary import code_points

__all__ = ["TableKind", "about_rows", "kind_of", "rows"]

TableKind = Literal["CSV", "TSV", "JSON", "by its beginning"]

_SUFFIXES: dict[str, TableKind] = {
    "csv": "CSV",
    "tsv": "TSV",
    "tab": "TSV",
    "jsonl": "JSON",
    "ndjson": "JSON",
    "json": "JSON",
}
_LINE_END = re.compile(r"\r\n?|\n")
_LARGEST_FIELD = 2**31 - 1  # characters, as large as csv takes it everywhere


def kind_of(source: Source, *, learns: bool) -> TableKind | None:
    """The kind of table by a source's name; None for a text that is no table, as may be given to a trained model."""
    suffix = source.name.lower().removesuffix(".gz").rpartition(".")[2]
    return _SUFFIXES.get(suffix, "by its beginning" if learns else None)


def rows(
    text: Iterable[str], source: Source, config: TextConfig, counts: Counter[str], *, learns: bool
) -> Iterator[str]:
    """The text that each row of a table has in the column, and the mark after it; a text that is no table as it is.

    `counts` counts rows and, under "empty", those without a text.

    Raises:
        DataError: no such column, or no table of its kind; names the first such row.
    """
    kind, lines = kind_of(source, learns=learns), _lines(text)
    if kind is None:
        yield from text
        return
    first = next(lines, "")
    if kind == "by its beginning":
        kind = "JSON" if first.lstrip()[:1] in ("{", "[") else "CSV"
    lines = chain([first] if first else [], lines)
    found = _of_json(lines, source, config) if kind == "JSON" else _of_csv(lines, first, source, config, kind)
    for value in found:
        counts["rows"] += 1
        counts["empty"] += not value
        yield value + mark_of(config)


def about_rows(counts: Counter[str], config: TextConfig) -> list[str]:
    """A notice of rows that have no text in the column."""
    if not counts["empty"]:
        return []
    have = "rows have" if counts["rows"] > 1 else "row has"
    return [f"{counts['empty']:,} of {counts['rows']:,} {have} no text in the column {config.column!r:.60}"]


def _lines(text: Iterable[str]) -> Iterator[str]:
    """The lines of a text in pieces, each with its end: CRLF, LF or CR."""
    parts: list[str] = []  # of the line that has no end yet
    for piece in text:
        place = 0
        if parts and parts[-1].endswith("\r"):  # whose LF may follow
            place = int(piece.startswith("\n"))
            yield "".join([*parts, piece[:place]])
            parts = []
        for match in _LINE_END.finditer(piece, place):
            if match.end() == len(piece) and match[0] == "\r":
                break
            yield "".join([*parts, piece[place : match.end()]])
            parts, place = [], match.end()
        parts += [piece[place:]] if place < len(piece) else []
    if parts:
        yield "".join(parts)


def _of_csv(lines: Iterable[str], first: str, source: Source, config: TextConfig, kind: TableKind) -> Iterator[str]:
    """The fields of a column; the delimiter is that of the header."""
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(lines, delimiter="\t" if kind == "TSV" else _delimiter(first), strict=True)
    number = 0
    try:
        header = next(reader, [])
        index = _index(header, source, config)
        for fields in filter(None, reader):
            number += 1
            if len(fields) != len(header):
                raise DataError(
                    f"{source.name}: row {number:,}, which ends in line {reader.line_num:,}, has "
                    f"{counted(len(fields), 'field')}; "
                    f"the header has {len(header)}"
                )
            yield fields[index]
    except csv.Error as error:
        raise DataError(
            f"{source.name}: row {number + 1:,}, in line {reader.line_num:,}, is not as CSV and TSV have it: {error}\n"
            "a field that begins with a quote ends with one, and has those within doubled"
        ) from error


def _delimiter(header: str) -> str:
    if "\t" in header:
        return "\t"
    return ";" if ";" in header and "," not in header else ","


def _index(columns: Sequence[str], source: Source, config: TextConfig) -> int:
    """The place of the column. DataError if there is none of its name."""
    assert config.column is not None
    if config.column in columns:
        return columns.index(config.column)
    has = listed([repr(column)[:60] for column in columns], most=20) or "none"
    raise DataError(f"{source.name} has no column {config.column!r:.60}; it has {has}")


def _of_json(lines: Iterable[str], source: Source, config: TextConfig) -> Iterator[str]:
    """The values of a key; an object that lacks it has no text, but the first must have it."""
    is_first = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parsed(line, number, source)
        if is_first:
            _index(list(record), source, config)
        is_first = False
        value = record.get(str(config.column))
        if value is not None and not isinstance(value, str):
            raise DataError(f"{source.name}: line {number:,} has no text in {config.column!r:.60}, but {value!r:.60}")
        try:
            code_points(value or "")
        except UnicodeEncodeError as error:
            raise DataError(f"{source.name}: line {number:,} has a lone surrogate, which is not text") from error
        yield value or ""


def _parsed(line: str, number: int, source: Source) -> dict[str, object]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        whole = "" if number > 1 or line.strip()[:1] not in ("{", "[") else _ONE_VALUE
        raise DataError(f"{source.name}: line {number:,} is no JSON: {error}{whole}") from error
    if isinstance(record, dict):
        return record
    hint = _ONE_VALUE if isinstance(record, list) else ""
    raise DataError(f"{source.name}: line {number:,} has no JSON object, but {line.strip()!r:.60}{hint}")


_ONE_VALUE = "\nin JSON lines each line is an object; of one array make them by: jq -c '.[]' FILE > LINES"
