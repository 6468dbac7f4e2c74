"""Compressed files: any bytes as an archive and back, by a model's probabilities.

An archive is a header of 46 bytes, numbers least byte first; the coded bytes; and 16 bytes of the sha256 over all that.

    4   CRNN
    1   1, the version of the format
    1   number of the codec in the model's `text_codecs`, from 1; 0 if the bytes are stored, as coding saves nothing
    8   number of the original bytes
    16  of the sha256 over them
    16  of the model's sha256, which its checkpoint has, too

Unpacking needs the model, and arithmetic that gives the same numbers to the last bit: the same release, on the same
kind of machine. The sha256 over the original bytes shows if it does not.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from charrnn.checkpoint.format import Checkpoint, model_sha256
from charrnn.compression.prediction import decoded_text, encode_text
from charrnn.compression.range_coder import RangeDecoder, RangeEncoder
from charrnn.compression.text_codec import TextCodec, text_codecs
from charrnn.errors import CheckpointError, DataError
from charrnn.messages import counted, named
from charrnn.sampling.with_ngrams import numpy_engine
from charrnn.text.sources import Source
from charrnn.text.spool import SMALL, Spool

__all__ = ["LARGEST_OVERHEAD", "compressed", "decompressed"]

_HEADER = struct.Struct("<4sBBQ16s16s")
_MAGIC, _VERSION = b"CRNN", 1
_DIGEST = 16  # bytes of a sha256
LARGEST_OVERHEAD = _HEADER.size + _DIGEST

_STORED = 0
_LONGEST_CHARACTER = 32  # most characters coded for each original byte, more than any codec makes


class _Header(NamedTuple):
    magic: bytes
    version: int
    method: int
    size: int
    sha256: bytes
    model: bytes


def compressed(source: Source, checkpoint: Checkpoint) -> Iterator[bytes]:
    """The archive of a source, at most `LARGEST_OVERHEAD` longer than it.

    Raises:
        CheckpointError: the network's probabilities are not numbers.
        DataError: the source cannot be read, or changes meanwhile.
        ResourceError: no room on the disk for a large archive.
    """
    sha256 = _sha256(source.chunks())
    ways = text_codecs(checkpoint.config.text)
    method = next(number for number, way in enumerate(ways, 1) if _restores(way, source, sha256))
    with Spool(SMALL) as payload:
        for data in _coded(ways[method - 1], _unchanged(source, sha256), checkpoint):
            payload.append(data)
            if payload.size >= source.size:
                break
        if payload.size < source.size:
            body = payload.chunks()
        else:
            body, method = _unchanged(source, sha256), _STORED
        header = _Header(_MAGIC, _VERSION, method, source.size, sha256, _model_id(checkpoint))
        written = hashlib.sha256()
        yield from _hashed([_HEADER.pack(*header)], written)
        yield from _hashed(body, written)
        yield written.digest()[:_DIGEST]


def decompressed(source: Source, checkpoint: Checkpoint) -> Iterator[bytes]:
    """The original bytes of an archive, whose sha256 is checked before the first of them is given.

    Raises:
        CheckpointError: the archive was made with another model.
        DataError: the source is no archive, or is damaged; or, known only at the end, the bytes are not the original.
    """
    header = _header(source)
    ways = text_codecs(checkpoint.config.text)
    if header.model != (own := _model_id(checkpoint)):
        raise CheckpointError(
            f"{source.name} was compressed with another model: sha256 {header.model.hex()}…, not {own.hex()}…\n"
            f"name that model: {named('model', 'PATH')}"
        )
    if header.method > len(ways):
        raise _damaged(source, f"the model knows {len(ways)} ways to treat a text, not {header.method}")
    body = _body(source)
    data = body if header.method == _STORED else _decoded(ways[header.method - 1], body, header.size, checkpoint)
    read, size = hashlib.sha256(), 0
    try:
        for chunk in _hashed(data, read):
            size += len(chunk)
            if size > header.size:
                break
            yield chunk
    except ValueError as error:
        raise _altered(source) from error
    if size != header.size or read.digest()[:_DIGEST] != header.sha256:
        raise _altered(source)


def _coded(way: TextCodec, chunks: Iterable[bytes], checkpoint: Checkpoint) -> Iterator[bytes]:
    coder, text = RangeEncoder(), checkpoint.config.text
    engine = numpy_engine(checkpoint)
    for _ in encode_text(way.text(chunks), coder, engine, checkpoint.vocabulary, text.documents):
        yield coder.take()
    yield coder.finish()


def _decoded(way: TextCodec, body: Iterable[bytes], size: int, checkpoint: Checkpoint) -> Iterator[bytes]:
    engine, documents = numpy_engine(checkpoint), checkpoint.config.text.documents
    text = decoded_text(RangeDecoder(body), engine, checkpoint.vocabulary, documents)
    return way.data(_at_most(_LONGEST_CHARACTER * size, text))


def _at_most(characters: int, text: Iterable[str]) -> Iterator[str]:
    """The text; ValueError as soon as it is longer than any text that was coded."""
    for piece in text:
        characters -= len(piece)
        if characters < 0:
            raise ValueError("more characters than were coded")
        yield piece


def _restores(way: TextCodec, source: Source, sha256: bytes) -> bool:
    """True if coding a source to text and back gives exactly its bytes."""
    try:
        return _sha256(way.data(way.text(source.chunks()))) == sha256
    except UnicodeError:
        return False


def _header(source: Source) -> _Header:
    """The header of an archive, once the sha256 over the whole archive has been checked."""
    before = b"".join(_part(source, 0, _HEADER.size))
    if not before.startswith(_MAGIC):
        raise DataError(f"{source.name} is no archive of charrnn: it does not begin with {_MAGIC.decode()}")
    if source.size < LARGEST_OVERHEAD:
        raise _damaged(source, f"it has {counted(source.size, 'byte')}, which is too short")
    header = _Header(*_HEADER.unpack(before))
    if header.version != _VERSION:
        raise DataError(f"{source.name} has format version {header.version}; this charrnn reads version {_VERSION}")
    end = source.size - _DIGEST
    if _sha256(_part(source, 0, end)) != b"".join(_part(source, end, source.size)):
        raise _damaged(source, "the sha256 does not match")
    return header


def _body(source: Source) -> Iterator[bytes]:
    return _part(source, _HEADER.size, source.size - _DIGEST)


def _part(source: Source, start: int, end: int) -> Iterator[bytes]:
    """The bytes from `start` to `end`."""
    place = 0
    for chunk in source.chunks():
        if part := chunk[max(start - place, 0) : max(end - place, 0)]:
            yield part
        place += len(chunk)


def _unchanged(source: Source, sha256: bytes) -> Iterator[bytes]:
    read = hashlib.sha256()
    yield from _hashed(source.chunks(), read)
    if read.digest()[:_DIGEST] != sha256:
        raise DataError(f"{source.name} changed while it was being read; start again when nothing writes to it")


def _hashed(chunks: Iterable[bytes], into: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        into.update(chunk)
        yield chunk


def _sha256(chunks: Iterable[bytes]) -> bytes:
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return total.digest()[:_DIGEST]


def _model_id(checkpoint: Checkpoint) -> bytes:
    return bytes.fromhex(model_sha256(checkpoint))[:_DIGEST]


def _damaged(source: Source, why: str) -> DataError:
    return DataError(f"{source.name} is damaged: {why}; take another copy of it")


def _altered(source: Source) -> DataError:
    return DataError(
        f"{source.name} is whole, but what comes out of it is not what was compressed: this machine or this charrnn\n"
        "computes other probabilities than the one that made it; decompress it where it was made"
    )
