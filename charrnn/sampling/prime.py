"""The text that a sample goes on from, as the model's token ids."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.settings.sampling import Unknown
from charrnn.settings.text import TextConfig
from charrnn.text.documents import normalized_pieces, with_end
from charrnn.text.encodings import Guess, guess
from charrnn.text.vocabulary import MARK, Ids, Vocabulary, known_form, normalized

__all__ = ["as_model_text", "encode_pieces", "encode_prime"]

_SHOWN = 10


def as_model_text(text: str, config: TextConfig, vocabulary: Vocabulary, name: str) -> str:
    """A user's text in the units of the model (bytes as the code points 0 to 255), normalised as the training text.

    A byte order mark before it is left out, unless the model knows it as a character.

    Bytes that the locale could not decode arrive as surrogates (PEP 383): a model of bytes takes them as bytes, a model
    of characters decodes them as UTF-8.

    Raises:
        DataError: the text has lone surrogates or is not UTF-8; the message calls it `name`.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
        text = data.decode("latin-1" if vocabulary.unit == "byte" else "utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(name, TextConfig.encoding, error) from error
    except UnicodeEncodeError as error:
        raise DataError(f"character {error.start} of {name} is a lone surrogate, which is not text") from error
    if vocabulary.unit == "character" and MARK not in vocabulary.characters:
        text = text.removeprefix(MARK)
    return normalized(text, config.normalize, config.newlines)


def encode_prime(
    prime: str,
    config: TextConfig,
    vocabulary: Vocabulary,
    unknown: Unknown = "error",
    name: str = "the prime",
) -> Ids:
    """Token ids (N,) of a prime, normalised as the training text.

    A character that the training text did not have is an error, left out, or the unknown token, as `unknown` says.

    Raises:
        DataError: the prime has characters that the model does not know, or is no text; the message calls it `name`.
    """
    return _encoded(as_model_text(prime, config, vocabulary, name), vocabulary, unknown, name)


def encode_pieces(
    pieces: Iterable[bytes],
    config: TextConfig,
    vocabulary: Vocabulary,
    unknown: Unknown = "error",
    encoding: str | None = None,
) -> Iterator[Ids]:
    """Token ids as in `encode_prime`, for a prime whose bytes come in pieces, with few of them in memory.

    They are in UTF-8 unless another `encoding` is named. A byte order mark at the start is no text.

    Raises:
        UsageError: the encoding is none, or the model reads bytes.
        DataError: as `encode_prime`, once the piece is reached.
    """
    encoding = replace(config, encoding=encoding or TextConfig.encoding).encoding  # which checks it
    text = (piece.decode("latin-1") for piece in pieces) if vocabulary.unit == "byte" else _decoded(pieces, encoding)
    first = 0
    for part in normalized_pieces(text, config.normalize, config.newlines):
        yield _encoded(part, vocabulary, unknown, "the prime", first)
        first += len(part)


def _decoded(pieces: Iterable[bytes], encoding: str) -> Iterator[str]:
    decoder, end, is_first = codecs.getincrementaldecoder(encoding)(), 0, True
    for piece, is_last in with_end(pieces):
        start, end = end - len(decoder.getstate()[0]), end + len(piece)
        try:
            text = decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise _undecodable("the prime", encoding, error, start, guess(error.object)) from error
        if text:
            yield text.removeprefix(MARK) if is_first and codecs.lookup(encoding).name.startswith("utf") else text
            is_first = False


def _undecodable(
    name: str, encoding: str, error: UnicodeDecodeError, first: int = 0, found: Guess | None = None
) -> DataError:
    hint = f"name the encoding of a file by {named('encoding')}"
    if found:
        hint = f"as {found.encoding} it is {found.kind}: read it with {named('encoding', found.encoding)}"
    shown = "UTF-8" if codecs.lookup(encoding).name == "utf-8" else encoding
    return DataError(
        f"{name} is not {shown} text: byte 0x{error.object[error.start]:02x} at offset {first + error.start} "
        f"({error.reason})\n"
        f"{hint}; only a model of bytes ({named('unit', 'byte')}) takes any bytes"
    )


def _encoded(text: str, vocabulary: Vocabulary, unknown: Unknown, name: str, first: int = 0) -> Ids:
    ids = vocabulary.encode(text)
    if unknown == "skip":
        ids = ids[ids != vocabulary.unknown]
    if unknown == "error" and np.any(ids == vocabulary.unknown):
        raise DataError(_complaint(text, ids, vocabulary, name, first))
    return ids


def _complaint(prime: str, ids: Ids, vocabulary: Vocabulary, name: str, first: int) -> str:
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(ids == vocabulary.unknown).tolist():
        places.setdefault(prime[place], []).append(first + place)
    shown = [
        f"{ascii(character) if not character.isprintable() else repr(character)} (U+{ord(character):04X}) "
        f"at {', '.join(map(str, where[:3]))}{' …' if len(where) > 3 else ''}"
        for character, where in list(places.items())[:_SHOWN]
    ]
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    skip, token = named("unknown", "skip"), named("unknown", "token")
    hint = f"leave them out with {skip}, or have them read as the unknown token with {token}"
    if form := known_form(prime, vocabulary):
        hint = f"the model knows all of them in {form.upper()}: normalise the prime, or {hint}"
    return f"{name} has {counted(len(places), 'character')} that the model never saw: {'; '.join(shown)}{more}\n{hint}"
