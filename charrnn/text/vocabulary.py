"""Characters and their token ids. Knows no files and no torch."""

import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.settings.text import Newlines, Normalization, Unit

__all__ = ["MARK", "Ids", "Vocabulary", "as_label", "code_points", "is_label", "known_form", "normalized"]

MARK = "\ufeff"  # of byte order, which files begin with; elsewhere it is a character


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


def as_label(text: str) -> str:
    """A label in the one form in which labels are compared: composed (NFC), without a byte order mark before it."""
    return normalized(text.removeprefix(MARK), "nfc")


def is_label(text: str) -> bool:
    """Whether a text can be a label: not empty, not long, and nothing in it that breaks a line or drives a terminal."""
    return 0 < len(text) <= _LONGEST_LABEL and text.isprintable()


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a text in sorted order, then the start, end and unknown tokens. Immutable.

    Where documents have labels there is a start token for each, in their sorted order. The label "" is that of
    documents that have none. `label_counts` says how many documents of the training text each had.

    A text in bytes is a string of the code points 0 to 255, one a byte (latin-1), so that everything else need not
    tell the two apart; its vocabulary is all 256, and a byte is its own id.
    """

    characters: str
    unit: Unit = "character"
    labels: tuple[str, ...] = ()
    label_counts: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        points = code_points(self.characters)
        if not np.all(points[1:] > points[:-1]):
            raise ValueError("the characters of a vocabulary must be distinct and sorted")
        if self.unit == "byte" and self.characters != _ALL_BYTES:
            raise ValueError("a vocabulary of bytes has all 256 of them")
        if list(self.labels) != sorted(set(self.labels)) or not all(map(is_label, filter(None, self.labels))):
            raise ValueError("labels must be distinct, sorted and printable, each of at most 100 characters")
        if len(self.label_counts) != len(self.labels) or not all(0 < count < 2**63 for count in self.label_counts):
            raise ValueError("there must be a positive count for each label")

    @classmethod
    def of(cls, text: str, unit: Unit, labels: Mapping[str, int] | None = None) -> Self:
        """The vocabulary of a text, whose documents have `labels`, each so many of them."""
        characters = _ALL_BYTES if unit == "byte" else "".join(sorted(set(text)))
        counts = dict(sorted((labels or {}).items()))
        return cls(characters, unit, tuple(counts), tuple(counts.values()))

    @property
    def start(self) -> int:
        """Stands before every document; where there are labels, before those of the first one."""
        return len(self.characters)

    @property
    def starts(self) -> range:
        """The start tokens: one, or one for each label."""
        return range(self.start, self.start + max(len(self.labels), 1))

    def start_of(self, label: str) -> int:
        """Stands before every document of a label. ValueError for one that is not in the vocabulary."""
        return self.starts[self.labels.index(label)]

    @property
    def listed_labels(self) -> str:
        """The labels, or the first twenty of them, for a person to read."""
        return ", ".join(self.labels[:20]) + (", …" if len(self.labels) > 20 else "")

    @property
    def end(self) -> int:
        """Stands after every document."""
        return self.starts.stop

    @property
    def unknown(self) -> int:
        """Stands for any character that the training text did not have."""
        return self.end + 1

    @property
    def size(self) -> int:
        """V: the characters and the special tokens, three or more."""
        return self.unknown + 1

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
        return np.array([*lengths, *(0 for _ in self.starts), 1, 0], dtype=np.int64)

    def encode(self, text: str) -> Ids:
        """Ids (N,) of a text's characters, the unknown token for those that are not in the vocabulary."""
        return self.encode_points(code_points(text))

    def encode_points(self, points: NDArray[np.unsignedinteger[Any]]) -> Ids:
        """The same for code points (N,)."""
        ids: Ids = self._ids[points]
        return ids

    def translation(self, other: "Vocabulary") -> Ids:
        """The id in `other` of each id of this vocabulary, (V,)."""
        starts = [other.start_of(label) if label in other.labels else other.start for label in self.labels or ("",)]
        special = np.array([*starts, other.end, other.unknown], dtype=other.dtype)
        return np.concatenate([other.encode(self.characters), special])

    def decode(self, ids: Ids) -> str:
        """The characters of token ids. ValueError for the special tokens, which have none."""
        if np.any(np.asarray(ids) >= self.start):
            raise ValueError("the start, end and unknown tokens are not characters")
        return "".join(self.characters[token] for token in ids)

    def to_bytes(self, text: str) -> bytes:
        """What a text in this vocabulary's units looks like in a file: its bytes, or its UTF-8."""
        return text.encode("latin-1" if self.unit == "byte" else "utf-8")


def known_form(text: str, vocabulary: Vocabulary) -> Normalization | None:
    """The form, NFC or NFD, in which a vocabulary has all characters of a text."""
    forms: tuple[Normalization, ...] = ("nfc", "nfd")
    has_all = (form for form in forms if not np.any(vocabulary.encode(normalized(text, form)) == vocabulary.unknown))
    return next(has_all, None)


_LONGEST_LABEL = 100
_ALL_BYTES = bytes(range(256)).decode("latin-1")
