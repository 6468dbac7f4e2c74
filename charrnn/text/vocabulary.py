"""Characters and their token ids. Knows no files and no torch."""

import sys
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.config import Newlines, Normalization, Unit

__all__ = ["Ids", "Vocabulary", "code_points", "normalized"]

Ids = NDArray[np.integer[Any]]


def normalized(text: str, form: Normalization | None, newlines: Newlines = "keep") -> str:
    """The text in a Unicode normalisation form, or as it is; with `newlines` "lf", each CRLF and lone CR becomes LF."""
    if newlines == "lf":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    forms: dict[Normalization, Literal["NFC", "NFD", "NFKC"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC"}
    return unicodedata.normalize(forms[form], text) if form else text


def code_points(text: str) -> NDArray[np.uint32]:
    """The Unicode code points of a text. UnicodeEncodeError where it has lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a text in sorted order, then the start, end and unknown tokens. Immutable.

    A text in bytes is a string of the code points 0 to 255, one a byte (latin-1), so that everything else need not
    tell the two apart; its vocabulary is all 256, and a byte is its own id.
    """

    characters: str
    unit: Unit = "character"

    def __post_init__(self) -> None:
        points = code_points(self.characters)
        if not np.all(points[1:] > points[:-1]):
            raise ValueError("the characters of a vocabulary must be distinct and sorted")
        if self.unit == "byte" and self.characters != _ALL_BYTES:
            raise ValueError("a vocabulary of bytes has all 256 of them")

    @classmethod
    def of(cls, text: str, unit: Unit) -> Self:
        """The vocabulary of a text."""
        return cls(_ALL_BYTES if unit == "byte" else "".join(sorted(set(text))), unit)

    @property
    def start(self) -> int:
        """Stands before every document."""
        return len(self.characters)

    @property
    def end(self) -> int:
        """Stands after every document."""
        return len(self.characters) + 1

    @property
    def unknown(self) -> int:
        """Stands for any character that the training text did not have."""
        return len(self.characters) + 2

    @property
    def size(self) -> int:
        """V: the characters and the three special tokens."""
        return len(self.characters) + 3

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integers that hold every id."""
        return np.min_scalar_type(self.size - 1)

    @cached_property
    def _ids(self) -> Ids:
        """The id of every code point."""
        ids = np.full(sys.maxunicode + 1, self.unknown, dtype=self.dtype)
        ids[code_points(self.characters)] = np.arange(len(self.characters))
        return ids

    @cached_property
    def byte_lengths(self) -> NDArray[np.int64]:
        """Bytes in the text that each id stands for: its UTF-8 length, 1 for end (the separator), 0 for the others."""
        wide = self.unit == "character"
        lengths = [len(character.encode()) if wide else 1 for character in self.characters]
        return np.array([*lengths, 0, 1, 0], dtype=np.int64)

    def encode(self, text: str) -> Ids:
        """Ids (N,) of a text's characters, the unknown token for those that are not in the vocabulary."""
        return self.encode_points(code_points(text))

    def encode_points(self, points: NDArray[np.unsignedinteger[Any]]) -> Ids:
        """The same for code points (N,)."""
        ids: Ids = self._ids[points]
        return ids

    def decode(self, ids: Ids) -> str:
        """The characters of token ids. ValueError for the special tokens, which have none."""
        if np.any(np.asarray(ids) >= self.start):
            raise ValueError("the start, end and unknown tokens are not characters")
        return "".join(self.characters[token] for token in ids)

    def to_bytes(self, text: str) -> bytes:
        """What a text in this vocabulary's units looks like in a file: its bytes, or its UTF-8."""
        return text.encode("latin-1" if self.unit == "byte" else "utf-8")


_ALL_BYTES = bytes(range(256)).decode("latin-1")
