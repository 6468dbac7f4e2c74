"""A text, large or small, as token ids: read, checked, divided and encoded without ever being in memory as a whole.

Nothing is guessed, and nothing is changed unless asked for: bytes are decoded strictly, line ends and Unicode forms
are kept, and a byte order mark that is left out is reported.
"""

import codecs
import hashlib
import math
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.settings.text import TextConfig, Unit
from charrnn.text import cache
from charrnn.text.decoding import Utf8Watch, decoded, has_mark
from charrnn.text.documents import about_line_ends, mark_of, marked_documents, treated
from charrnn.text.labels import Labels
from charrnn.text.sources import Source, find_sources, text_source
from charrnn.text.split import Split, split
from charrnn.text.spool import SMALL, Spool
from charrnn.text.tokens import Tokens, encoded, offsets_of
from charrnn.text.vocabulary import MARK, Vocabulary

__all__ = ["Corpus", "read_corpus"]

_SHOWN = 3  # names in a notice

_FORMAT = 2  # version of the ids in a cache; a change in their making needs another number

Pieces = Iterator[tuple[str, NDArray[Any]]]


@dataclass(frozen=True)
class Corpus:
    """A text as token ids, its documents in the order in which they were read.

    `tokens` has the documents that are not held out. `vocabulary` encodes them; `own_vocabulary` is that of the text
    that is not held out, and of what was known before. `characters` are all that there are, held out or not.
    `bytes_before` is the number of bytes in UTF-8 that the documents had before their line ends and normalisation were
    treated, for each byte that they have now. `sha256` is over the bytes of all sources as they were read
    (decompressed), each after its length and, where that is a label, the name of its folder. `validation_sha256` is the
    same over a text that is given for validation, None without one.
    """

    tokens: Tokens
    validation: Tokens | None
    vocabulary: Vocabulary
    own_vocabulary: Vocabulary
    characters: str
    bytes_before: Fraction
    sha256: str
    validation_sha256: str | None
    notices: tuple[str, ...]

    def fits(self, vocabulary: Vocabulary, *, may_have_more: bool) -> bool:
        """True if a run that learns this text can have this vocabulary: all that is learned, and perhaps what is held
        out, as older runs have it; and, of a run that began with a model, more."""
        least, most = set(self.own_vocabulary.characters), {*self.characters, *self.own_vocabulary.characters}
        found, labels = set(vocabulary.characters), set(self.own_vocabulary.labels)
        is_enough = least <= found and labels <= set(vocabulary.labels)
        return is_enough and (may_have_more or (found <= most and labels == set(vocabulary.labels)))


def read_corpus(
    config: TextConfig,
    seed: int | None = None,
    vocabulary: Vocabulary | None = None,
    known: Vocabulary | None = None,
    labels: tuple[str, ...] | None = None,
    text: str | None = None,
) -> Corpus:
    """Read the sources that `config` names, joined as `cat` joins files, and encode them.

    A text of more than `SMALL` bytes is encoded into a file in the cache folder, unless it is there already.

    Args:
        seed: hold out validation text as `config` says, drawn by this seed, or the file that it names; without a seed,
            nothing.
        vocabulary: encode with this vocabulary instead of the text's own.
        known: vocabulary of a model to train further: its characters are added to the text's own vocabulary, and its
            labels, too, where documents have labels.
        text: read this text, as UTF-8, instead of the sources that `config` names.
        labels: the only labels accepted, if `config` asks for labels; documents without one have the label "".

    Raises:
        DataError: a source that is missing, unreadable, undecodable or no text at all, or too little text to divide;
            a document without its label.
        UsageError: no source, or standard input twice.
        ResourceError: no room on the disk for a large text.
    """
    with Spool(SMALL) as copies:
        config, sources = _sources(config, seed, text, copies)
        marked = [source.name for source in sources.all if has_mark(source, config)]
        notices = [f"left out the byte order mark at the start of {_listed(marked)}"] if marked else []
        notices += [f"{config.validation_file} is the text that is learned; use another"] if sources.are_equal else []
        key, is_small = _key(config, sources, seed, known, labels), sum(source.size for source in sources.all) <= SMALL
        if cached := None if is_small else _find(key, vocabulary):
            arrays, notes = cached.arrays, cached.notes
            notices.append(f"the text is large: read it encoded from {_told(cached)}")
        else:
            with Spool(math.inf if is_small else 0) as spool:
                documents = _Text(sources, config, spool, Labels(config, labels), seed is not None)
                own, notes, shapes, pieces = _laid_out(documents, config, seed, vocabulary, known)
                if is_small:
                    arrays = _in_memory(shapes, pieces)
                else:
                    cached = cache.build(_of(key, vocabulary if vocabulary != own else None), notes, shapes, pieces)
                    arrays = cached.arrays
                    notices.append(f"the text is large: encoded it into {_told(cached)}")
    return _corpus(arrays, notes, _vocabulary(notes, config.unit), vocabulary, sources, notices)


def _corpus(
    arrays: Mapping[str, NDArray[Any]],
    notes: dict[str, Any],
    own: Vocabulary,
    vocabulary: Vocabulary | None,
    sources: "_Sources",
    notices: list[str],
) -> Corpus:
    tokens, validation = (Tokens(arrays[f"{part} ids"], arrays[f"{part} offsets"]) for part in _PARTS)
    return Corpus(
        tokens,
        validation if len(validation.lengths) else None,
        vocabulary or own,
        own,
        notes["all characters"],
        Fraction(*notes["bytes"]),
        sources.sha256,
        sources.validation_sha256 if sources.validation else None,
        (*notices, *notes["notices"]),
    )


class _Sources(NamedTuple):
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


def _sources(config: TextConfig, seed: int | None, text: str | None, copies: Spool) -> tuple[TextConfig, _Sources]:
    """The sources that `config` names, or a text in memory, which is in UTF-8."""
    if text is not None:
        config, corpus = replace(config, encoding=TextConfig.encoding), [text_source(text, copies)]
    else:
        corpus = list(find_sources(config, copies))
    validation: list[Source] = []
    if seed is not None and config.validation_file is not None:
        validation = list(find_sources(replace(config, corpus=(config.validation_file,)), copies))
    return config, _Sources(corpus, validation, _sha256(corpus), _sha256(validation))


def _laid_out(
    text: "_Text", config: TextConfig, seed: int | None, vocabulary: Vocabulary | None, known: Vocabulary | None
) -> tuple[Vocabulary, dict[str, Any], cache.Shapes, Pieces]:
    """The text's own vocabulary, the notes to keep with its token ids, their shapes, and the ids in pieces."""
    parts = split(text.lengths, config, seed, text.learned)
    own = _own_vocabulary(text, parts, config, known)
    vocabulary = vocabulary or own
    notes = {
        "characters": own.characters,
        "labels": dict(zip(own.labels, own.label_counts, strict=True)),
        "all characters": text.characters,
        "bytes": text.bytes,
        "notices": [*text.notices, *text.labels.notices(), *parts.notices],
    }
    return own, notes, _shapes(parts, vocabulary), _pieces(text, parts, vocabulary)


_PARTS = ("training", "validation")


def _told(cached: cache.Cached) -> str:
    return f"{cached.path} ({cached.size / 1e6:,.0f} MB), which can be deleted at any time"


def _sha256(sources: Iterable[Source]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        for _ in _digested(source, digest):
            pass
    return digest.hexdigest()


def _digested(source: Source, digest: "hashlib._Hash") -> Iterator[bytes]:
    """The bytes of a source; the digest takes their length, the name of a folder that is a label, and the bytes."""
    digest.update(source.size.to_bytes(8, "little"))
    if source.folder is not None:
        digest.update(f"{source.folder}\0".encode("utf-8", "surrogateescape"))
    for chunk in source.chunks():
        digest.update(chunk)
        yield chunk


class _Text:
    """The documents of the sources: their lengths, and their characters end to end, as code points in a spool.

    `bytes` has how many they had in UTF-8 before they were treated, and how many after; `learned` is the number of
    documents before those of a text that is given for validation, None without one.

    Raises:
        DataError: a source that is undecodable, or has another digest than before; a document without its label.
    """

    def __init__(self, sources: _Sources, config: TextConfig, spool: Spool, labels: Labels, may_change: bool) -> None:
        self.labels = labels
        self._spool = spool
        self._pieces: list[tuple[np.dtype[Any], int]] = []
        self._is_there = np.zeros(sys.maxunicode + 1, dtype=bool)
        digests, line_ends = (hashlib.sha256(), hashlib.sha256()), Counter[str]()
        watches, first = [Utf8Watch(config) for _ in sources.all], len(sources.corpus)
        texts: Iterator[Iterable[str]] = (
            decoded(source, config, watch.passing(_digested(source, digests[number >= first])))
            for number, (source, watch) in enumerate(zip(sources.all, watches, strict=True))
        )
        if is_running := config.documents == "none":  # one text, and perhaps another for validation
            texts = iter([chain.from_iterable(islice(texts, first)), chain.from_iterable(texts)])
        marked = (marked_documents(text, config, line_ends) for text in texts)
        if config.labels:
            marked = (labels.taken_off(pieces, source) for pieces, source in zip(marked, sources.all, strict=True))
        self.bytes = (1, 1)
        if is_changed := config.normalize is not None or config.newlines == "lf":
            before, after = _ByteCounter(mark_of(config)), _ByteCounter(mark_of(config))
            marked = (after.passing(treated(before.passing(pieces), config)) for pieces in marked)
        characters, lengths = 0, [np.empty(0, dtype=np.int64)]
        last_end = np.zeros(1, dtype=np.int64)
        self.learned: int | None = None
        for number, text in enumerate(marked):
            if number == (1 if is_running else first) and sources.validation:
                self.learned = sum(map(len, lengths))
            for piece in text:
                points, marks = _points(piece, mark_of(config))
                ends = np.concatenate([last_end, characters + marks])
                own, last_end = ends[1:] - ends[:-1], ends[-1:]
                lengths.append(own[own > 0])
                characters += len(points)
                if len(points):
                    self._append(points)
        if [digest.hexdigest() for digest in digests] != [sources.sha256, sources.validation_sha256]:
            raise DataError(
                f"{', '.join(config.corpus)} changed while it was being read; start again when nothing writes to it"
            )
        self.lengths = np.concatenate(lengths)
        if is_changed and after.count:
            self.bytes = (before.count, after.count)
        self.characters = "".join(map(chr, np.flatnonzero(self._is_there)))
        utf8 = [source.name for source, watch in zip(sources.all, watches, strict=True) if watch.sees_utf8]
        self.notices = about_line_ends(line_ends, config, may_change=may_change) + _about_utf8(utf8, config)
        if config.unit == "character" and self._is_there[ord(MARK)]:
            self.notices.append(
                "the text has byte order marks (U+FEFF) that are kept as characters: within it, as joined files have "
                f"them, or at the start of a text whose {named('encoding')} was said to have none"
            )

    def _append(self, points: NDArray[np.unsignedinteger[Any]]) -> None:
        if not self._is_there[points].all():  # reading is faster than writing, and new ones are rare
            self._is_there[points] = True
        self._pieces.append((points.dtype, len(points)))
        self._spool.append(points.data.cast("B"))

    def __iter__(self) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        place = 0
        for dtype, count in self._pieces:
            data = self._spool.read(place, count * dtype.itemsize)
            place += len(data)
            yield np.frombuffer(data, dtype)


def _about_utf8(names: list[str], config: TextConfig) -> list[str]:
    """A notice where texts are read in another encoding than they are in."""
    if not names:
        return []
    is_utf8 = f"{_listed(names)} {'is' if len(names) == 1 else 'are'} valid UTF-8, with characters beyond ASCII"
    return [f"{is_utf8}: read as {config.encoding} they differ; {named('encoding', 'utf-8')} reads them as they are"]


def _listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


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


def _learned_characters(text: _Text, parts: Split) -> str:
    """The characters of the documents that are not held out."""
    if not parts.held_out.any():
        return text.characters
    is_learned = np.zeros(sys.maxunicode + 1, dtype=bool)
    ends, place = np.cumsum(parts.lengths), 0
    for points in text:
        first, last = np.searchsorted(ends, [place, place + len(points) - 1], "right")
        inside = np.minimum(ends[first : last + 1], place + len(points))
        counts = np.diff(inside, prepend=place)
        is_learned[points[np.repeat(~parts.held_out[first : last + 1], counts)]] = True
        place += len(points)
        if np.count_nonzero(is_learned) == len(text.characters):  # as soon as all of them have been met
            break
    return "".join(map(chr, np.flatnonzero(is_learned)))


def _own_vocabulary(text: _Text, parts: Split, config: TextConfig, known: Vocabulary | None) -> Vocabulary:
    characters, counts = _learned_characters(text, parts), {}
    if config.labels:
        counts = text.labels.counts(parts.held_out)
    if known:
        characters += known.characters
    if known and config.labels:
        counts = dict(zip(known.labels, known.label_counts, strict=True)) | counts
    return Vocabulary.of(characters, config.unit, counts)


def _points(piece: str, mark: str) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64]]:
    """The code points of a piece without its marks, in the smallest type, and the number of them before each mark."""
    points: NDArray[np.unsignedinteger[Any]]
    try:
        points = np.frombuffer(piece.encode("latin-1"), np.uint8)
    except UnicodeEncodeError:
        points = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
    is_mark = points == ord(mark)
    marks = np.flatnonzero(is_mark)
    points = points[~is_mark] if len(marks) else points
    return points.astype(np.min_scalar_type(points.max(initial=0)), copy=False), marks - np.arange(len(marks))


def _shapes(parts: Split, vocabulary: Vocabulary) -> cache.Shapes:
    shapes = {}
    for name, is_held_out in zip(_PARTS, (False, True), strict=True):
        lengths = parts.lengths[parts.held_out == is_held_out]
        shapes[f"{name} offsets"] = (np.dtype(np.int64), len(lengths) + 1)
        shapes[f"{name} ids"] = (vocabulary.dtype, int(lengths.sum()) + 2 * len(lengths))
    return shapes


def _pieces(text: _Text, parts: Split, vocabulary: Vocabulary) -> Pieces:
    """The arrays that `_shapes` describes, in pieces."""
    for name, is_held_out in zip(_PARTS, (False, True), strict=True):
        yield f"{name} offsets", offsets_of(parts.lengths[parts.held_out == is_held_out])
    starts = text.labels.starts(vocabulary) if vocabulary.labels else None
    for pair in encoded(text, parts.lengths, parts.held_out, vocabulary, starts):
        yield from zip((f"{name} ids" for name in _PARTS), pair, strict=True)


def _in_memory(shapes: cache.Shapes, pieces: Pieces) -> dict[str, NDArray[Any]]:
    arrays = {name: np.empty(count, dtype) for name, (dtype, count) in shapes.items()}
    places = dict.fromkeys(arrays, 0)
    for name, piece in pieces:
        arrays[name][places[name] : places[name] + len(piece)] = piece
        places[name] += len(piece)
    return arrays


def _key(
    config: TextConfig,
    sources: _Sources,
    seed: int | None,
    known: Vocabulary | None,
    labels: tuple[str, ...] | None,
) -> dict[str, object]:
    """Everything that the ids depend on, except a vocabulary that is not the text's own."""
    key: dict[str, object] = {
        "format": _FORMAT,
        "byte order": sys.byteorder,
        "sha256": sources.sha256,
        "unit": config.unit,
        "encoding": codecs.lookup(config.encoding).name,
        "normalize": config.normalize and [config.normalize, unicodedata.unidata_version],
        "newlines": config.newlines,
        "documents": config.documents,
        "validation": None if seed is None else config.validation,
        "seed": None if config.documents == "none" else seed,
    }
    if sources.validation:
        key |= {"validation": None, "seed": None, "validation sha256": sources.validation_sha256}
    if config.labels:
        key["labels"] = None if labels is None else list(labels)
    return key | {"known": _digest_of(known)} if known else key


def _of(key: dict[str, object], vocabulary: Vocabulary | None) -> dict[str, object]:
    """The key with a vocabulary, if there is one."""
    return key | {"characters": _digest_of(vocabulary)} if vocabulary else key


def _digest_of(vocabulary: Vocabulary) -> str:
    return hashlib.sha256("\0".join([vocabulary.characters, *vocabulary.labels]).encode()).hexdigest()


def _vocabulary(notes: Any, unit: Unit) -> Vocabulary:
    return Vocabulary.of(notes["characters"], unit, notes["labels"])


def _find(key: dict[str, object], vocabulary: Vocabulary | None) -> cache.Cached | None:
    own = cache.find(key)
    if vocabulary is None or (own and _vocabulary(own.notes, vocabulary.unit) == vocabulary):
        return own
    return cache.find(_of(key, vocabulary))
