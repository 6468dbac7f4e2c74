"""The text that a sample goes on from, as the model's token ids."""

from typing import Literal

import numpy as np

from charrnn.config import Normalization, TextConfig
from charrnn.errors import DataError
from charrnn.text.vocabulary import Ids, Vocabulary, normalized

__all__ = ["as_model_text", "encode_prime"]

_SHOWN = 10


def as_model_text(text: str, config: TextConfig, vocabulary: Vocabulary, name: str) -> str:
    """What a person gave, in the units of the model (bytes as the code points 0 to 255), normalised as its text was.

    Bytes that the locale could not decode arrive as surrogates (PEP 383): a model of bytes takes them for the bytes
    they are, one of characters reads them as UTF-8.

    Raises:
        DataError: this is no text; says so of `name`.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
        text = data.decode("latin-1" if vocabulary.unit == "byte" else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start} ({error.reason}); "
            "only a model of bytes (--unit byte) takes any bytes"
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(f"character {error.start} of {name} is a lone surrogate, which is not text") from error
    return normalized(text, config.normalize, config.newlines)


def encode_prime(
    prime: str,
    config: TextConfig,
    vocabulary: Vocabulary,
    unknown: Literal["error", "skip", "token"] = "error",
) -> Ids:
    """Token ids (N,) of a prime, normalised as the training text was; `unknown` says what becomes of characters
    that the text did not have: an error, nothing, or the unknown token.

    Raises:
        DataError: the prime has characters that the model does not know, or is no text.
    """
    prime = as_model_text(prime, config, vocabulary, "the prime")
    ids = vocabulary.encode(prime)
    if unknown == "skip":
        ids = ids[ids != vocabulary.unknown]
    if unknown == "error" and np.any(ids == vocabulary.unknown):
        raise DataError(_complaint(prime, ids, vocabulary))
    return ids


def _complaint(prime: str, ids: Ids, vocabulary: Vocabulary) -> str:
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(ids == vocabulary.unknown).tolist():
        places.setdefault(prime[place], []).append(place)
    shown = [
        f"{ascii(character) if not character.isprintable() else repr(character)} (U+{ord(character):04X}) "
        f"at {', '.join(map(str, where[:3]))}{' …' if len(where) > 3 else ''}"
        for character, where in list(places.items())[:_SHOWN]
    ]
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    hint = "leave them out with --unknown skip, or have them read as the unknown token with --unknown token"
    forms: tuple[Normalization, ...] = ("nfc", "nfd")
    for form in forms:
        if not np.any(vocabulary.encode(normalized(prime, form)) == vocabulary.unknown):
            hint = f"the model knows all of them in {form.upper()}: normalise the prime, or {hint}"
            break
    return (
        f"the prime has {len(places)} character{'s' if len(places) > 1 else ''} that the model never saw: "
        f"{'; '.join(shown)}{more}\n{hint}"
    )
