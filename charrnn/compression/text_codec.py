"""Conversion of a file's bytes to the text that a model reads, and back to exactly the same bytes."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from charrnn.settings.text import Newlines, Normalization, TextConfig
from charrnn.text.documents import normalized_pieces, with_end

__all__ = ["TextCodec", "text_codecs"]


@dataclass(frozen=True)
class TextCodec:
    """A treatment of bytes before they are coded as text, and its reverse.

    Bytes that cannot be decoded become surrogates (PEP 383), so that none is lost.
    """

    encoding: str
    form: Normalization | None = None
    newlines: Newlines = "keep"
    restored_form: Normalization | None = None
    restored_newline: str = "\n"

    def text(self, chunks: Iterable[bytes]) -> Iterator[str]:
        """The text to code, in pieces."""
        decoder = codecs.getincrementaldecoder(self.encoding)("surrogateescape")
        pieces = (decoder.decode(chunk, final) for chunk, final in with_end(chunks))
        return normalized_pieces(pieces, self.form, self.newlines)

    def data(self, text: Iterable[str]) -> Iterator[bytes]:
        """The bytes of a text that was coded. UnicodeError if it has characters that the encoding does not have."""
        encoder = codecs.getincrementalencoder(self.encoding)("surrogateescape")
        for piece in normalized_pieces(text, self.restored_form):
            yield encoder.encode(piece.replace("\n", self.restored_newline))
        yield encoder.encode("", final=True)


def text_codecs(config: TextConfig) -> list[TextCodec]:
    """The codecs for a model: the treatment of its training text with each possible reverse, then plain UTF-8, from
    which any bytes come back; latin-1 alone for a model of bytes."""
    if config.unit == "byte":
        return [TextCodec("latin-1")]
    newlines: Newlines = "lf" if config.documents == "line" else config.newlines
    restored_newlines = ["\n", "\r\n"] if newlines == "lf" else ["\n"]
    forms: list[Normalization | None] = [None, "nfc", "nfd"] if config.normalize else [None]
    own = [
        TextCodec(config.encoding, config.normalize, newlines, form, newline)
        for newline in restored_newlines
        for form in forms
    ]
    return [*own, TextCodec("utf-8")]
