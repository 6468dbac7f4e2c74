"""Splitting of a text in pieces into documents: line ends, normalisation and separators, wherever the pieces end."""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain

from charrnn.messages import named
from charrnn.settings.text import Newlines, Normalization, TextConfig, unescaped
from charrnn.text.vocabulary import normalized

__all__ = ["about_line_ends", "mark_of", "marked_documents", "may_join", "normalized_pieces", "treated", "with_end"]

_BLANK_LINES = re.compile(r"\r?\n(?:[ \t]*\r?\n)+")
_MARK = "\ud800"  # a lone surrogate, which no text has
_AROUND_MARKS = re.compile(f"[\r\n]*{_MARK}[\r\n]*")
_LONE_RETURN = re.compile(r"\r(?!\n)")

LineEnds = Counter[str]


def mark_of(config: TextConfig) -> str:
    """The character that is put after every document and occurs in none."""
    return "\n" if config.documents == "line" else _MARK


def marked_documents(text: Iterable[str], config: TextConfig, line_ends: LineEnds) -> Iterator[str]:
    """The text with a mark after every document, not treated yet; two marks with nothing between them make no document.

    `line_ends` counts the line ends of the unchanged text by kind.
    """
    pieces = _counted(_held_back(text, _before_return), line_ends)
    if config.newlines == "lf":  # as many bytes as before; where a CRLF loses one, that is for `treated`
        pieces = (_LONE_RETURN.sub("\n", piece) for piece in pieces)
    mark = mark_of(config)
    pieces = chain([mark], pieces, [mark])
    if config.documents == "line":
        pieces = (piece.replace("\r\n", "\n") for piece in pieces)
    elif config.documents == "blank":
        pieces = (
            _AROUND_MARKS.sub(mark, _BLANK_LINES.sub(mark, piece)) for piece in _held_back(pieces, _before_line_end)
        )
    elif border := _border(config):
        divided = _held_back(_divided(pieces, *border), _before_border)
        pieces = (_AROUND_MARKS.sub(mark, piece) for piece in divided)
    return iter(pieces)


def treated(pieces: Iterable[str], config: TextConfig) -> Iterator[str]:
    """Marked documents with the line ends and in the normalisation form that `config` asks for."""
    return normalized_pieces(pieces, config.normalize, config.newlines)


def normalized_pieces(pieces: Iterable[str], form: Normalization | None, newlines: Newlines = "keep") -> Iterator[str]:
    """A text in pieces, normalised as it would be in one."""
    if newlines == "lf":
        pieces = (normalized(piece, None, newlines) for piece in _held_back(pieces, _before_return))
    if form is not None:
        pieces = (normalized(piece, form) for piece in _held_back(pieces, _before_beginning))
    return iter(pieces)


def _held_back(pieces: Iterable[str], split: Callable[[str], tuple[str, str]]) -> Iterator[str]:
    """The same text in other pieces: `split` parts each into text to yield and a rest that waits for the next."""
    held = ""
    for piece in pieces:
        ready, held = split(held + piece)
        if ready:
            yield ready
    if held:
        yield held


def _before_return(piece: str) -> tuple[str, str]:
    """Split a piece so that no CR is parted from its LF."""
    return (piece[:-1], "\r") if piece.endswith("\r") else (piece, "")


def _before_line_end(piece: str) -> tuple[str, str]:
    """Split a piece before blank lines and marks at its end; of many blank lines one is kept, so memory has a bound."""
    place = len(piece.rstrip(f" \t\r\n{_MARK}"))
    place = len(piece) - len(piece[place:].lstrip(" \t"))
    return piece[:place], _BLANK_LINES.sub("\n\n", piece[place:])


def _before_beginning(piece: str) -> tuple[str, str]:
    """Split a piece before its last character that no normalisation joins to the one before."""
    place = len(piece) - 1
    while place > 0 and may_join(piece[place]):
        place -= 1
    return piece[:place], piece[place:]


def may_join(character: str) -> bool:
    """True if a normalisation may join the character to the one before."""
    if character < "\u0300":  # the first combining mark
        return False
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.combining(first) > 0 or first in _seconds()


@cache
def _seconds() -> frozenset[str]:
    """The characters that stand second in a composition: of Unicode's tables, and of Hangul's rule."""
    parts = (unicodedata.decomposition(chr(point)).split() for point in range(sys.maxunicode + 1))
    listed = {chr(int(pair[1], 16)) for pair in parts if len(pair) == 2 and not pair[0].startswith("<")}
    return frozenset(listed | set(map(chr, range(0x1161, 0x11C3))))


def _border(config: TextConfig) -> tuple[re.Pattern[str], int] | None:
    """The pattern of what becomes a mark, if documents are divided by a text, and the length to look at to find it.

    A line's end in the text is LF or CRLF, or the beginning or the end of a source. Where it is the last of a
    separator, it is left for the next.
    """
    name, text = ("separator", config.separator) if config.separator else ("starts_with", config.starts_with)
    if not text:
        return None
    text = unescaped(text, name)
    text = text.encode().decode("latin-1") if config.unit == "byte" else text
    line_end = rf"(?:\r?\n|{_MARK})"
    if name == "starts_with":
        pattern = f"{line_end}(?={_pattern(text)})"
    else:
        before, text = ("", text) if not text.startswith("\n") else (line_end, text[1:])
        after, text = ("", text) if not text.endswith("\n") else (f"(?={line_end})", text[:-1])
        pattern = before + _pattern(text) + after
    return re.compile(pattern), 2 * len(text) + 4


def _pattern(text: str) -> str:
    return r"\r?\n".join(map(re.escape, text.split("\n")))


def _divided(pieces: Iterable[str], border: re.Pattern[str], longest: int) -> Iterator[str]:
    """The text with a mark for each border, none of which is found by looking at more than `longest` characters."""
    held = ""
    for piece in pieces:
        held += piece
        parts, place, limit = [], 0, len(held) - longest
        for match in border.finditer(held):
            if match.start() >= limit:
                break
            parts += [held[place : match.start()], _MARK]
            place = match.end()
        end = max(place, limit, 0)
        parts.append(held[place:end])
        held = held[end:]
        yield "".join(parts)
    yield border.sub(_MARK, held)


def _before_border(piece: str) -> tuple[str, str]:
    """Split a piece before line ends and marks at its end."""
    place = len(piece.rstrip(f"\r\n{_MARK}"))
    return piece[:place], piece[place:]


def _counted(pieces: Iterable[str], line_ends: LineEnds) -> Iterator[str]:
    for piece in pieces:
        crlf = piece.count("\r\n") if "\r" in piece else 0
        line_ends["CRLF"] += crlf
        line_ends["LF"] += piece.count("\n") - crlf
        line_ends["CR"] += piece.count("\r") - crlf if "\r" in piece else 0
        yield piece


def about_line_ends(line_ends: LineEnds, config: TextConfig, *, may_change: bool) -> list[str]:
    """A notice if line ends are converted, or others than LF kept; `may_change` if a setting could convert them.

    Of documents that are lines CRLF is no part.
    """
    if config.unit == "byte":
        return []
    found = ", ".join(f"{count:,} {kind}" for kind in ("CRLF", "LF", "CR") if (count := line_ends[kind]))
    if config.newlines == "lf" and (line_ends["CRLF"] or line_ends["CR"]):
        return [f"made all line ends LF; the text had {found}"]
    crlf = line_ends["CRLF"] if config.documents != "line" else 0
    if config.newlines == "lf" or not (crlf or line_ends["CR"]):
        return []
    kept = {"CRLF": crlf, "LF": line_ends["LF"], "CR": line_ends["CR"]}
    hint = f" ({named('newlines', 'lf')} makes all of them LF)" if may_change else ""
    if sum(map(bool, kept.values())) > 1:
        return [f"the text has mixed line ends, kept as they are: {found}{hint}"]
    if crlf:
        return [f"the lines of the text end in CRLF, kept as two characters: {found}{hint}"]
    return [f"the lines of the text end in CR, which ends no line here: {found}{hint}"]


def with_end(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each chunk and False, then an empty one and True, as a decoder wants to be told of the end."""
    for chunk in chunks:
        yield chunk, False
    yield b"", True
