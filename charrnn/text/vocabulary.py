"""Characters and their token ids. This module knows no files and no torch."""

import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import suggestion
from charrnn.settings.text import Newlines, Normalization, Unit

__all__ = [
    *("MARK", "Ids", "Vocabulary", "as_label", "check_label", "code_points", "is_label", "known_form", "normalized"),
]

MARK = "\ufeff"  # of byte order, which files begin with; elsewhere it is a character


Ids = NDArray[np.integer[Any]]


def normalized(text: str, form: Normalization | None, newlines: Newlines = "keep") -> str:
    """The text in a Unicode normalisation form, or as it is; with `newlines` "lf", each CRLF and lone CR becomes LF."""
    if newlines == "lf":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    forms: dict[Normalization, Literal["NFC", "NFD", "NFKC"]] = {"nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC"}
    return unicodedata.normalize(forms[form], text) if form else text


def code_points(text: str) -> NDArray[np.uint32]:
    """The Unicode code points (N,) of a text. UnicodeEncodeError if it has lone surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def as_label(text: str) -> str:
    """A label in the one form in which labels are compared: composed (NFC), without a byte order mark before it."""
    return normalized(text.removeprefix(MARK), "nfc")


def is_label(text: str) -> bool:
    """True if the text can be a label: not empty, not long, and nothing in it breaks a line or drives a terminal."""
    return 0 < len(text) <= _LONGEST_LABEL and text.isprintable()


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a text in sorted order, then the start, end and unknown tokens. Immutable.

    Where documents have labels, each label has a start token, in sorted order. Documents without a label have the
    label "". `label_counts` has the number of documents of each label in the training text.

    A text in bytes is a string of the code points 0 to 255, one a byte (latin-1), so that other code treats both alike;
    its vocabulary is all 256, and a byte is its own id.
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
        """The vocabulary of a text; `labels` has the number of documents of each label."""
        characters = _ALL_BYTES if unit == "byte" else "".join(sorted(set(text)))
        counts = dict(sorted((labels or {}).items()))
        return cls(characters, unit, tuple(counts), tuple(counts.values()))

    @property
    def start(self) -> int:
        """Id of the token before every document; with labels, before the documents of the first label."""
        return len(self.characters)

    @property
    def starts(self) -> range:
        """The start tokens: one, or one for each label."""
        return range(self.start, self.start + max(len(self.labels), 1))

    def start_of(self, label: str) -> int:
        """Id of the token before the documents of a label. ValueError if the vocabulary does not have the label."""
        return self.starts[self.labels.index(label)]

    @property
    def listed_labels(self) -> str:
        """The labels, or the first twenty of them, as text for people."""
        return ", ".join(self.labels[:20]) + (", …" if len(self.labels) > 20 else "")

    @property
    def end(self) -> int:
        """Id of the token after every document."""
        return self.starts.stop

    @property
    def unknown(self) -> int:
        """Id of the token for any character that the training text did not have."""
        return self.end + 1

    @property
    def size(self) -> int:
        """V, the number of ids: characters and special tokens, of which there are three or more."""
        return self.unknown + 1

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer type that holds every id."""
        return np.min_scalar_type(self.size - 1)

    @cached_property
    def _ids(self) -> Ids:
        """The id of every code point, (0x110000,)."""
        ids = np.full(sys.maxunicode + 1, self.unknown, dtype=self.dtype)
        ids[code_points(self.characters)] = np.arange(len(self.characters))
        return ids

    @cached_property
    def byte_lengths(self) -> NDArray[np.int64]:
        """Bytes of text for each id, (V,): UTF-8 length or 1 of a character, 1 for end (the separator), else 0."""
        wide = self.unit == "character"
        lengths = [len(character.encode()) if wide else 1 for character in self.characters]
        return np.array([*lengths, *(0 for _ in self.starts), 1, 0], dtype=np.int64)

    def encode(self, text: str) -> Ids:
        """Ids (N,) of a text's characters, the unknown token for those that are not in the vocabulary."""
        return self.encode_points(code_points(text))

    def encode_points(self, points: NDArray[np.unsignedinteger[Any]]) -> Ids:
        """Ids (N,) of code points (N,), as in `encode`."""
        ids: Ids = self._ids[points]
        return ids

    def translation(self, other: "Vocabulary") -> Ids:
        """The id in `other` of each id of this vocabulary, (V,)."""
        starts = [other.start_of(label) if label in other.labels else other.start for label in self.labels or ("",)]
        special = np.array([*starts, other.end, other.unknown], dtype=other.dtype)
        return np.concatenate([other.encode(self.characters), special])

    def decode(self, ids: Ids) -> str:
        """The text of token ids (N,). ValueError for the special tokens, which are no characters."""
        if np.any(np.asarray(ids) >= self.start):
            raise ValueError("the start, end and unknown tokens are not characters")
        return "".join(self.characters[token] for token in ids)

    def to_bytes(self, text: str) -> bytes:
        """The bytes of a text in this vocabulary's units, as a file has them: themselves, or UTF-8."""
        return text.encode("latin-1" if self.unit == "byte" else "utf-8")


def check_label(label: str | None, vocabulary: Vocabulary) -> str | None:
    """The label in the form that the model has. UsageError if the model does not have it."""
    if label is None:
        return None
    if not vocabulary.labels:
        raise UsageError(
            f"{named('label')} {label!r:.60}: the model has no labels; train one with {named('labels', True)}"
        )
    if (found := as_label(label)) not in vocabulary.labels:
        near = suggestion(found, list(vocabulary.labels))
        raise UsageError(f"{named('label')} {label!r:.60}: the model knows {vocabulary.listed_labels}{near}")
    return found


def known_form(text: str, vocabulary: Vocabulary) -> Normalization | None:
    """The form, NFC or NFD, in which a vocabulary has all characters of a text; None if it has them as they are."""
    if not np.any(vocabulary.encode(text) == vocabulary.unknown):
        return None
    forms: tuple[Normalization, ...] = ("nfc", "nfd")
    has_all = (form for form in forms if not np.any(vocabulary.encode(normalized(text, form)) == vocabulary.unknown))
    return next(has_all, None)


_LONGEST_LABEL = 100
_ALL_BYTES = bytes(range(256)).decode("latin-1")
