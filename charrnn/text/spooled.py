"""The documents of sources, decoded, divided and treated, as code points in a spool.

No text is ever in memory as a whole.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.settings.text import TextConfig
from charrnn.text.columns import about_rows, rows
from charrnn.text.decoding import Utf8Watch, decoded
from charrnn.text.documents import about_line_ends, mark_of, marked_documents, treated
from charrnn.text.labels import Labels
from charrnn.text.sources import Source
from charrnn.text.split import Split
from charrnn.text.spool import Spool
from charrnn.text.undecodable import about_replaced, listed
from charrnn.text.vocabulary import MARK

__all__ = ["Sources", "SpooledText", "sha256_of"]

CodePoints = NDArray[np.unsignedinteger[Any]]


def sha256_of(sources: Iterable[Source]) -> str:
    """The digest over the bytes of all sources, each after its length and, where that is a label, its folder's name.

    Raises:
        DataError: a source that cannot be read.
    """
    digest = hashlib.sha256()
    for source in sources:
        for _ in _digested(source, digest):
            pass
    return digest.hexdigest()


def _digested(source: Source, digest: "hashlib._Hash") -> Iterator[bytes]:
    """The bytes of a source, which the digest takes, too."""
    digest.update(source.size.to_bytes(8, "little"))
    if source.folder is not None:
        digest.update(f"{source.folder}\0".encode("utf-8", "surrogateescape"))
    for chunk in source.chunks():
        digest.update(chunk)
        yield chunk


class Sources(NamedTuple):
    """The sources of a text and their digest, and those of a text that is given for validation."""

    corpus: list[Source]
    validation: list[Source]
    sha256: str
    validation_sha256: str

    @property
    def all(self) -> list[Source]:
        """Those of both."""
        return self.corpus + self.validation

    @property
    def are_equal(self) -> bool:
        """True if both texts have the same bytes."""
        return self.sha256 == self.validation_sha256


class SpooledText:
    """The documents of the sources: their lengths, and their characters end to end, as code points in a spool.

    `lengths` (N,) has those of the documents. `bytes` has how many they had in UTF-8 before they were treated, and how
    many after. `characters` are all that there are. `learned` is the number of documents before those of a text that is
    given for validation, None without one. Iterating yields the code points in pieces.

    Args:
        sources: with their digests, as they were a moment ago.
        learns: the text is to be learned, by a command that has all settings of a text.

    Raises:
        NotDecodableError: a source that is not in the encoding of `config`.
        DataError: a source that has another digest than before; a document without its label.
    """

    def __init__(self, sources: Sources, config: TextConfig, spool: Spool, labels: Labels, learns: bool) -> None:
        self.labels = labels
        self._spool = spool
        self._pieces: list[tuple[np.dtype[Any], int]] = []
        self._is_there = np.zeros(sys.maxunicode + 1, dtype=bool)
        digests, first = (hashlib.sha256(), hashlib.sha256()), len(sources.corpus)
        line_ends, replaced = Counter[str](), Counter[str]()
        watches = [Utf8Watch(config) for _ in sources.all]
        texts: Iterator[Iterable[str]] = (
            decoded(source, config, watch.passing(_digested(source, digests[number >= first])), replaced)
            for number, (source, watch) in enumerate(zip(sources.all, watches, strict=True))
        )
        counts = Counter[str]()  # of rows
        if config.column is not None:
            texts = (
                rows(text, source, config, counts, learns=learns)
                for text, source in zip(texts, sources.all, strict=True)
            )
        before_validation = first
        if config.documents == "none":  # one text, and perhaps another for validation
            texts, before_validation = iter([chain.from_iterable(islice(texts, first)), chain.from_iterable(texts)]), 1
        marked = (marked_documents(text, config, line_ends) for text in texts)
        if config.labels:
            marked = (labels.taken_off(pieces, source) for pieces, source in zip(marked, sources.all, strict=True))
        before, after = _ByteCounter(mark_of(config)), _ByteCounter(mark_of(config))
        if is_changed := config.normalize is not None or config.newlines == "lf":
            marked = (after.passing(treated(before.passing(pieces), config)) for pieces in marked)
        learned = self._spooled(islice(marked, before_validation), mark_of(config))
        held_out = self._spooled(marked, mark_of(config))
        self.lengths = np.concatenate([learned, held_out])
        self.learned = len(learned) if sources.validation else None
        if [digest.hexdigest() for digest in digests] != [sources.sha256, sources.validation_sha256]:
            raise DataError(
                f"{', '.join(config.corpus)} changed while it was being read; start again when nothing writes to it"
            )
        self.bytes = (before.count, after.count) if is_changed and after.count else (1, 1)
        self.characters = "".join(map(chr, np.flatnonzero(self._is_there)))
        utf8 = [source.name for source, watch in zip(sources.all, watches, strict=True) if watch.sees_utf8]
        self.notices = [
            *about_replaced(replaced, config),
            *about_rows(counts, config),
            *about_line_ends(line_ends, config, may_change=learns),
            *_about_utf8(utf8, config),
            *self._about_marks(config),
        ]

    def _spooled(self, texts: Iterable[Iterable[str]], mark: str) -> NDArray[np.int64]:
        """Keep the characters of marked documents; the lengths of those that have any."""
        characters, lengths = 0, [np.empty(0, dtype=np.int64)]
        last_end = np.zeros(1, dtype=np.int64)
        for piece in chain.from_iterable(texts):
            points, marks = _points(piece, mark)
            ends = np.concatenate([last_end, characters + marks])
            own, last_end = ends[1:] - ends[:-1], ends[-1:]
            lengths.append(own[own > 0])
            characters += len(points)
            if len(points):
                self._append(points)
        return np.concatenate(lengths)

    def _append(self, points: CodePoints) -> None:
        if not self._is_there[points].all():  # reading is faster than writing, and new ones are rare
            self._is_there[points] = True
        self._pieces.append((points.dtype, len(points)))
        self._spool.append(points.data.cast("B"))

    def __iter__(self) -> Iterator[CodePoints]:
        place = 0
        for dtype, count in self._pieces:
            data = self._spool.read(place, count * dtype.itemsize)
            place += len(data)
            yield np.frombuffer(data, dtype)

    def learned_characters(self, parts: Split) -> str:
        """The characters of the documents that are learned."""
        if parts.learned.all():
            return self.characters
        is_learned = np.zeros(sys.maxunicode + 1, dtype=bool)
        for points in self._learned(parts):
            is_learned[points] = True
            if np.count_nonzero(is_learned) == len(self.characters):  # as soon as all of them have been met
                break
        return "".join(map(chr, np.flatnonzero(is_learned)))

    def counts(self, parts: Split) -> NDArray[np.int64]:
        """The number of times that each code point is met in the documents that are learned, (0x110000,)."""
        counts = np.zeros(sys.maxunicode + 1, np.int64)
        for points in self._learned(parts):
            found = np.bincount(points)
            counts[: len(found)] += found
        return counts

    def _learned(self, parts: Split) -> Iterator[CodePoints]:
        """The code points of the documents that are learned, in pieces."""
        ends, place = np.cumsum(parts.lengths), 0
        for points in self:
            first, last = np.searchsorted(ends, [place, place + len(points) - 1], "right")
            inside = np.minimum(ends[first : last + 1], place + len(points))
            counts = np.diff(inside, prepend=place)
            yield points[np.repeat(parts.learned[first : last + 1], counts)]
            place += len(points)

    def _about_marks(self, config: TextConfig) -> list[str]:
        """A notice of byte order marks that are kept."""
        if config.unit == "byte" or not self._is_there[ord(MARK)]:
            return []
        return [
            "the text has byte order marks (U+FEFF) that are kept as characters: within it, as joined files have "
            f"them, or at the start of a text whose {named('encoding')} was said to have none"
        ]


def _about_utf8(names: list[str], config: TextConfig) -> list[str]:
    """A notice where texts are read in another encoding than they are in."""
    if not names:
        return []
    is_utf8 = f"{listed(names)} {'is' if len(names) == 1 else 'are'} valid UTF-8, with characters beyond ASCII"
    return [f"{is_utf8}: read as {config.encoding} they differ; {named('encoding', 'utf-8')} reads them as they are"]


class _ByteCounter:
    """Counts the bytes of documents in UTF-8 as their marked pieces pass."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self.count = 0

    def passing(self, pieces: Iterable[str]) -> Iterator[str]:
        size = len(self._mark.encode("utf-8", "surrogatepass"))
        for piece in pieces:
            self.count += len(piece.encode("utf-8", "surrogatepass")) - size * piece.count(self._mark)
            yield piece


def _points(piece: str, mark: str) -> tuple[CodePoints, NDArray[np.int64]]:
    """The code points of a piece without its marks, in the smallest type, and the number of them before each mark."""
    points: CodePoints
    try:
        points = np.frombuffer(piece.encode("latin-1"), np.uint8)
    except UnicodeEncodeError:
        points = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
    is_mark = points == ord(mark)
    marks = np.flatnonzero(is_mark)
    points = points[~is_mark] if len(marks) else points
    return points.astype(np.min_scalar_type(points.max(initial=0)), copy=False), marks - np.arange(len(marks))
