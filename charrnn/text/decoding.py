"""Strict decoding of bytes to text in pieces; errors name the place in the whole source.

Nothing is guessed: the encoding is UTF-8 unless another is named, and the byte order mark of another is an error.
"""

import codecs
import sys
from collections.abc import Iterable, Iterator

from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.settings.text import TextConfig
from charrnn.text.documents import with_end
from charrnn.text.sources import Source
from charrnn.text.vocabulary import code_points

__all__ = ["Utf8Watch", "decoded", "has_mark"]

_FOREIGN_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_IN_ONE_PIECE = ("punycode", "idna")  # codecs that can go wrong between two pieces of a text


def has_mark(source: Source, config: TextConfig) -> bool:
    """True if a source begins with UTF-8's byte order mark, which is left out of the text."""
    return _name(config) == "utf-8" and source.head.startswith(codecs.BOM_UTF8)


class Utf8Watch:
    """Notices bytes that are read in another encoding and are valid UTF-8 with characters beyond ASCII.

    By chance a text of some length is not, so it is what they were meant to be.
    """

    def __init__(self, config: TextConfig) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_valid = config.unit == "character" and not _name(config).startswith("utf")
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


def decoded(source: Source, config: TextConfig, chunks: Iterable[bytes]) -> Iterator[str]:
    """The text of a source, whose bytes come in `chunks`. A text in bytes is one of code points 0 to 255.

    Raises:
        DataError: the source is not in the encoding of `config`, or not text; names the first such place.
    """
    if config.unit == "byte":
        return (chunk.decode("latin-1") for chunk in chunks)
    if _name(config) == "utf-8":
        for mark, encoding in _FOREIGN_MARKS:
            if source.head.startswith(mark):
                raise DataError(
                    f"{source.name} begins with the byte order mark of {encoding.upper()}; "
                    f"read it with {named('encoding', encoding)}"
                )
    if _name(config) in _IN_ONE_PIECE:
        chunks = [b"".join(chunks)]
    text = _decoded(source, config, chunks)
    return _without_mark(text) if has_mark(source, config) else text


def _name(config: TextConfig) -> str:
    return codecs.lookup(config.encoding).name if config.unit == "character" else "bytes"


def _without_mark(text: Iterator[str]) -> Iterator[str]:
    yield next(text)[1:]
    yield from text


def _decoded(source: Source, config: TextConfig, chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = _decoder(source, config)
    read = characters = lines = 0
    surrogate: int | None = None
    for chunk, final in with_end(chunks):
        before = decoder.getstate()
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            bad = len(error.object) - error.start  # bytes from the error to the end of what has been read
            lines += _line_ends(decoder, before, chunk[: max(len(chunk) - bad, 0)])
            raise DataError(
                f"{source.name} is not {config.encoding}: byte 0x{error.object[error.start]:02x} at offset "
                f"{read - bad}, line {lines + 1} ({error.reason})\n"
                f"name its encoding, such as {named('encoding', 'cp949')} or latin-1, "
                f"or learn the bytes themselves with {named('unit', 'byte')}"
            ) from error
        except UnicodeError as error:  # of a codec that names no place
            raise DataError(
                f"{source.name} is not {config.encoding}: {error}; name another {named('encoding')}"
            ) from error
        if surrogate is None and not text.isascii():
            try:
                code_points(text)  # some codecs make lone surrogates, which are no characters
            except UnicodeEncodeError as error:
                surrogate = characters + error.start
        characters += len(text)
        lines += text.count("\n")
        if text and surrogate is None:
            yield text
    if surrogate is not None:
        raise DataError(
            f"{source.name}: read as {config.encoding}, character {surrogate} is a lone surrogate, "
            f"which is not text; name another {named('encoding')}"
        )


def _decoder(source: Source, config: TextConfig) -> codecs.IncrementalDecoder:
    name = _name(config)
    marks = [mark for mark, encoding in _FOREIGN_MARKS if encoding == name]
    if marks and not source.head.startswith(tuple(marks)):
        name += "-le" if sys.byteorder == "little" else "-be"  # which an incremental decoder does not assume
    return codecs.getincrementaldecoder(name)()


def _line_ends(decoder: codecs.IncrementalDecoder, state: tuple[bytes, int], data: bytes) -> int:
    """Number of lines that end in decodable bytes read from `state` on."""
    try:
        decoder.setstate(state)
        return decoder.decode(data).count("\n")
    except UnicodeError:  # of a codec that has more than its state
        return data.count(b"\n")
