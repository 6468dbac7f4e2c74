"""Text that a model would write behind some text, drawn as far as it is asked for: a word, a line or a sentence."""

import re
from collections.abc import Iterator
from typing import Literal

from charrnn.text.units import readable

__all__ = ["EXTENTS", "Continuation", "Extent"]

Extent = Literal["word", "line", "sentence"]
EXTENTS: tuple[Extent, ...] = ("word", "line", "sentence")  # from the narrowest to the widest

_LONGEST: dict[Extent, int] = {"word": 40, "line": 200, "sentence": 400}  # characters
_ENDS: dict[Extent, re.Pattern[str]] = {
    "word": re.compile(r"\s*\S+(?=\s)"),
    "line": re.compile(r"\s*\S[^\n]*\n"),
    # Up to a mark that ends it, with closing quotes and brackets, before white space; or where its script has none.
    "sentence": re.compile(r"\s*\S.*?(?:[.!?…؟।]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*(?=[^」』”’）]))", re.DOTALL),
}


class Continuation:
    """Pieces of text, taken one by one only as they are needed."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self.text = ""
        self.has_ended = False

    def take(self, most: int) -> None:
        """Draw some pieces more, until there are no more."""
        for _ in range(most):
            piece = next(self._pieces, None)
            if piece is None:
                self.has_ended = True
                return
            self.text += piece

    def goes_on(self, start: int) -> bool:
        """True if the character at `start` is drawn, or may be the next one."""
        return 0 <= start <= len(self.text) - self.has_ended

    def extent(self, start: int, extent: Extent) -> str | None:
        """The word, line or sentence from the character at `start` on; None if more must be drawn first.

        A word goes up to white space, a line up to the end of the first that is not empty. They may be cut short, where
        the text ends, or after some hundred characters.
        """
        rest = self.text[start : start + _LONGEST[extent]]
        if found := _ENDS[extent].match(rest):
            return found[0]
        return rest if self.has_ended or len(rest) == _LONGEST[extent] else None


def whole_characters(pieces: Iterator[str]) -> Iterator[str]:
    """Bytes, as code points, as the characters that they are in UTF-8; the text ends before bytes that are none."""
    held = ""
    for piece in pieces:
        held += piece
        try:
            text, held = readable(held, "byte", "strict"), ""
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return
            continue
        yield text
