"""Decoding of bytes to text in pieces; errors name the place in the whole source.

Nothing is guessed: the encoding is UTF-8 unless another is named, and the byte order mark of another is an error. Bytes
that do not fit are an error, too, unless they are asked to be replaced.
"""

import codecs
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.settings.text import TextConfig
from charrnn.text.documents import with_end
from charrnn.text.encodings import wide_encoding
from charrnn.text.sources import Source
from charrnn.text.vocabulary import code_points

__all__ = ["NotDecodableError", "Utf8Watch", "decoded", "encoding_of", "has_mark"]

_FOREIGN_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OWN_MARKS = {  # of encodings whose decoders leave them in the text
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
_BEGINNING = 2**16  # bytes by which UTF-16 is told
_IN_ONE_PIECE = ("punycode", "idna")  # codecs that can go wrong between two pieces of a text

# The beginnings of files that are no text, what they are, and what makes text of them.
_PACKED = {
    rb"\x28\xb5\x2f\xfd": ("is packed by zstd", "zstd -dc FILE > TEXT"),
    rb"\xfd7zXZ\x00": ("is packed by xz", "xz -dc FILE > TEXT"),
    rb"BZh[1-9]1AY&SY": ("is packed by bzip2", "bzip2 -dc FILE > TEXT"),
    rb"%PDF-\d": ("is a PDF", "pdftotext FILE TEXT"),
    rb"PK\x03\x04.{26}(?:\[Content_Types\]|_rels/|word/|mimetypeapplication/(?:epub|vnd\.oasis))": (
        "is a document of a word processor, or a book",
        "pandoc -t plain FILE -o TEXT",
    ),
    rb"PK\x03\x04": ("is a zip archive", "unzip -p FILE > TEXT"),
}


class NotDecodableError(DataError):
    """A source that is not text in the encoding of a configuration.

    `what` says of it what it is; `advice` says what to do, or is empty where its bytes have to tell; `offset` is the
    place of the first byte that does not fit, if that is why.
    """

    def __init__(self, source: Source, what: str, advice: str = "", offset: int | None = None) -> None:
        super().__init__("\n".join(filter(None, [f"{source.name} {what}", advice])))
        self.source, self.what, self.advice, self.offset = source, what, advice, offset


def encoding_of(config: TextConfig) -> str:
    """The name by which Python knows the encoding, or "bytes"."""
    return codecs.lookup(config.encoding).name if config.unit == "character" else "bytes"


def has_mark(source: Source, config: TextConfig) -> bool:
    """True if a source begins with a byte order mark that is left out of the text."""
    mark = _OWN_MARKS.get(encoding_of(config))
    return mark is not None and source.head.startswith(mark)


class Utf8Watch:
    """Notices bytes that are read in another encoding and are valid UTF-8 with characters beyond ASCII.

    By chance a text of some length is not, so it is what they were meant to be.
    """

    def __init__(self, config: TextConfig) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_valid = config.unit == "character" and not encoding_of(config).startswith("utf")
        self._is_ascii = True

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk, is_last in with_end(chunks):
            if self._is_valid and (chunk or is_last):
                try:
                    self._is_ascii &= self._decoder.decode(chunk, is_last).isascii()
                except UnicodeDecodeError:
                    self._is_valid = False
            if not is_last:
                yield chunk

    @property
    def sees_utf8(self) -> bool:
        """True if all bytes that have passed are UTF-8, and some not ASCII."""
        return self._is_valid and not self._is_ascii


def decoded(
    source: Source, config: TextConfig, chunks: Iterable[bytes], replaced: Counter[str] | None = None
) -> Iterator[str]:
    """The text of a source, whose bytes come in `chunks`. A text in bytes is one of code points 0 to 255.

    Where the configuration replaces bytes that do not fit, `replaced` counts their places by the source's name.

    Raises:
        NotDecodableError: the source is not in the encoding of `config`, or not text; names the first such place.
    """
    if config.unit == "byte":
        return (chunk.decode("latin-1") for chunk in chunks)
    _check_head(source, config)
    if encoding_of(config) == "utf-8":
        chunks = _checked(chunks, source)
    if encoding_of(config) in _IN_ONE_PIECE:
        chunks = [b"".join(chunks)]
    if config.errors == "replace":
        text = _replaced(source, config, chunks, Counter() if replaced is None else replaced)
    else:
        text = _decoded(source, config, chunks)
    text = _without_surrogates(source, config, text)
    return _without_mark(text) if has_mark(source, config) else text


def _check_head(source: Source, config: TextConfig) -> None:
    """Raise NotDecodableError for a file whose first bytes say that it is something else."""
    if encoding_of(config) == "utf-8":
        for mark, encoding in _FOREIGN_MARKS:
            if source.head.startswith(mark):
                what = f"begins with the byte order mark of {encoding.upper()}"
                raise NotDecodableError(source, what, f"read it with {named('encoding', encoding)}")
    for magic, (what, command) in _PACKED.items():
        if re.match(magic, source.head, re.DOTALL):
            raise NotDecodableError(source, what, f"make text of it first: {command}")


def _checked(chunks: Iterable[bytes], source: Source) -> Iterator[bytes]:
    """The chunks; NotDecodableError if they are UTF-16 or UTF-32 of ASCII, which is valid UTF-8, too.

    The first of them are held back until the beginning by which that is told is there.
    """
    rest, held = iter(chunks), list[bytes]()
    while sum(map(len, held)) < _BEGINNING and (chunk := next(rest, None)):
        held.append(chunk)
    if wide := wide_encoding(b"".join(held)[:_BEGINNING]):
        what = f"has NULs where {wide} has them, and no byte order mark"
        raise NotDecodableError(source, what, f"read it with {named('encoding', wide)}")
    yield from chain(held, rest)


def _without_mark(text: Iterator[str]) -> Iterator[str]:
    yield next(text)[1:]
    yield from text


def _decoded(source: Source, config: TextConfig, chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = _decoder(source, config)
    read = lines = 0
    for chunk, final in with_end(chunks):
        before = decoder.getstate()
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            bad = len(error.object) - error.start  # bytes from the error to the end of what has been read
            lines += _line_ends(decoder, before, chunk[: max(len(chunk) - bad, 0)])
            what = (
                f"is not {config.encoding}: byte 0x{error.object[error.start]:02x} at offset {read - bad}, "
                f"line {lines + 1} ({error.reason})"
            )
            raise NotDecodableError(source, what, offset=read - bad) from error
        except UnicodeError as error:  # of a codec that names no place
            raise _not_in(source, config, error) from error
        lines += text.count("\n")
        yield text


def _replaced(source: Source, config: TextConfig, chunks: Iterable[bytes], replaced: Counter[str]) -> Iterator[str]:
    """The text with U+FFFD for bytes that do not fit; there are as many as a decoder leaves out that ignores them."""
    decoder, ignorer = _decoder(source, config, "replace"), _decoder(source, config, "ignore")
    for chunk, final in with_end(chunks):
        try:
            text = decoder.decode(chunk, final)
            replaced[source.name] += len(text) - len(ignorer.decode(chunk, final))
        except UnicodeError as error:  # of a codec that replaces nothing
            raise _not_in(source, config, error) from error
        yield text


def _not_in(source: Source, config: TextConfig, error: UnicodeError) -> NotDecodableError:
    return NotDecodableError(source, f"is not {config.encoding}: {error}", f"name another {named('encoding')}")


def _without_surrogates(source: Source, config: TextConfig, pieces: Iterable[str]) -> Iterator[str]:
    """The pieces that are not empty; once all are read, NotDecodableError for lone surrogates, which some codecs make.

    What no codec can read is told before these.
    """
    characters, surrogate = 0, None
    for text in pieces:
        if surrogate is None and not text.isascii():
            try:
                code_points(text)
            except UnicodeEncodeError as error:
                surrogate = characters + error.start
        characters += len(text)
        if text and surrogate is None:
            yield text
    if surrogate is not None:
        what = f"is no text as {config.encoding}: character {surrogate} is a lone surrogate"
        raise NotDecodableError(source, what, f"name another {named('encoding')}")


def _decoder(source: Source, config: TextConfig, errors: str = "strict") -> codecs.IncrementalDecoder:
    name = encoding_of(config)
    marks = [mark for mark, encoding in _FOREIGN_MARKS if encoding == name]
    if marks and not source.head.startswith(tuple(marks)):
        name += "-le" if sys.byteorder == "little" else "-be"  # which an incremental decoder does not assume
    return codecs.getincrementaldecoder(name)(errors)


def _line_ends(decoder: codecs.IncrementalDecoder, state: tuple[bytes, int], data: bytes) -> int:
    """Number of lines that end in decodable bytes read from `state` on."""
    try:
        decoder.setstate(state)
        return decoder.decode(data).count("\n")
    except UnicodeError:  # of a codec that has more than its state
        return data.count(b"\n")
