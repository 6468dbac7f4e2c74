"""A text, large or small, as token ids: read, checked, divided and encoded without ever being in memory as a whole.

Nothing is guessed, and nothing is changed unless asked for: bytes are decoded strictly, line ends and Unicode forms
are kept, and what is left out or replaced is reported.
"""

import codecs
import hashlib
import math
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.settings.text import TextConfig, Unit
from charrnn.text import cache
from charrnn.text.columns import kind_of
from charrnn.text.decoding import NotDecodableError, has_mark
from charrnn.text.labels import Labels
from charrnn.text.places import Place, TextCopy
from charrnn.text.sources import Source, text_source
from charrnn.text.split import Split, split
from charrnn.text.spool import SMALL, Spool
from charrnn.text.spooled import Sources, SpooledText, sha256_of
from charrnn.text.tokens import Tokens, encoded, offsets_of
from charrnn.text.undecodable import error_of, listed, without_undecodable
from charrnn.text.vocabulary import Vocabulary, code_points

__all__ = ["Corpus", "read_corpus"]

_SHOWN = 10  # characters in a notice

_FORMAT = 3  # version of the ids in a cache; a change in their making needs another number

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
    shares_characters: bool = False,
    place: Place = Place(),  # noqa: B008 (a value)
    copy: TextCopy | None = None,
) -> Corpus:
    """Read the sources that `config` names, joined as `cat` joins files, and encode them.

    A text of more than `SMALL` bytes is encoded into a file in the cache folder, unless it is there already.

    Args:
        seed: hold out validation text as `config` says, drawn by this seed; without one, nothing.
        vocabulary: encode with this vocabulary instead of the text's own.
        known: vocabulary of a model to train further: its characters are added to the text's own vocabulary, and its
            labels, too, where documents have labels.
        text: read this text, as UTF-8, instead of the sources that `config` names.
        shares_characters: hold out files by their characters, as `split` does.
        place: where the sources are looked for, if not in the current folder.
        copy: gets a copy of the sources' bytes.
        labels: the only labels accepted, if `config` asks for labels; documents without one have the label "".

    Raises:
        DataError: a source that is missing, unreadable, undecodable or no text at all, or too little text to divide;
            a document without its label.
        UsageError: no source, or standard input twice.
        ResourceError: no room on the disk for a large text.
    """
    with Spool(SMALL) as copies:
        config, sources, notices = _sources(config, text, copies, place, copy, learns=seed is not None)
        key = _key(config, sources, seed, known, labels, shares_characters)
        is_small = sum(source.size for source in sources.all) <= SMALL
        if cached := None if is_small else _find(key, vocabulary):
            arrays, notes = cached.arrays, cached.notes
            notices.append(f"the text is large: read it encoded from {_told(cached)}")
        else:
            with Spool(math.inf if is_small else 0) as spool:
                documents = _spooled(sources, config, spool, Labels(config, labels), seed is not None)
                own, notes, shapes, pieces = _laid_out(documents, config, seed, shares_characters, vocabulary, known)
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
    sources: Sources,
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


def _sources(
    config: TextConfig, text: str | None, copies: Spool, place: Place, copy: TextCopy | None, *, learns: bool
) -> tuple[TextConfig, Sources, list[str]]:
    """The sources that `config` names, or a text in memory, which is in UTF-8; and notices of them."""
    validation: list[Source] = []
    if text is None:
        corpus, notices = place.sources(config, copies, learns=learns)
        corpus = copy.taken(corpus) if copy else corpus
    else:
        config, corpus, notices = replace(config, encoding=TextConfig.encoding), [text_source(text, copies)], []
    if learns and config.validation_file is not None:
        validation, told = place.validation_sources(config, copies)
        notices += told
    parts = []
    for each in (corpus, validation):
        if config.errors == "skip" and each:
            each, left_out = without_undecodable(each, config, learns=learns)
            notices += left_out
        parts.append(each)
    sources = Sources(parts[0], parts[1], *map(sha256_of, parts))
    if marked := [source.name for source in sources.all if has_mark(source, config)]:
        notices.append(f"left out the byte order mark at the start of {listed(marked)}")
    if sources.are_equal:
        notices.append(f"{config.validation_file} is the text that is learned; use another")
    return config, sources, notices


def _spooled(sources: Sources, config: TextConfig, spool: Spool, labels: Labels, learns: bool) -> SpooledText:
    try:
        return SpooledText(sources, config, spool, labels, learns)
    except NotDecodableError as error:
        raise error_of(sources.all, config, learns=learns) from error


def _laid_out(
    text: SpooledText,
    config: TextConfig,
    seed: int | None,
    shares_characters: bool,
    vocabulary: Vocabulary | None,
    known: Vocabulary | None,
) -> tuple[Vocabulary, dict[str, Any], cache.Shapes, Pieces]:
    """The text's own vocabulary, the notes to keep with its token ids, their shapes, and the ids in pieces."""
    parts = split(text.lengths, config, seed, text.learned, shares_characters=shares_characters)
    least = config.min_count if seed is not None else None
    characters, about_rare = _learned_characters(text, parts, least, known.characters if known else "")
    own = _own_vocabulary(characters, text.labels, parts, config, known)
    vocabulary = vocabulary or own
    notes = {
        "characters": own.characters,
        "labels": dict(zip(own.labels, own.label_counts, strict=True)),
        "all characters": text.characters,
        "bytes": text.bytes,
        "notices": [*text.notices, *text.labels.notices(), *parts.notices, *about_rare],
    }
    return own, notes, _shapes(parts, vocabulary), _pieces(text, parts, vocabulary)


_PARTS = ("training", "validation")


def _told(cached: cache.Cached) -> str:
    return f"{cached.path} ({cached.size / 1e6:,.0f} MB), which can be deleted at any time"


def _learned_characters(text: SpooledText, parts: Split, min_count: int | None, known: str) -> tuple[str, list[str]]:
    """The characters that are learned, and a notice of those that are met too seldom, and are not `known`, either.

    Raises:
        DataError: all of them are.
    """
    characters = text.learned_characters(parts)
    if min_count is None or not characters:
        return characters, []
    counts = text.counts(parts)[code_points(characters)]
    rarest_first = np.argsort(counts, kind="stable")
    rare = [index for index in rarest_first if counts[index] < min_count and characters[index] not in known]
    if len(rare) == len(characters):
        most = f"the commonest, {_shown(characters[rare[-1]])}, is met {counts.max():,} times"
        raise DataError(f"{named('min_count', min_count)} leaves no character to learn: {most}")
    if not rare:
        return characters, []
    which = [characters[index] for index in rare]
    are = f"{counted(len(rare), 'character')} {'are' if len(rare) > 1 else 'is'}"
    notice = f"{are} met less than {min_count:,} times, {counts[rare].sum():,} in all, and learned as unknown"
    return "".join(sorted(set(characters) - set(which))), [f"{notice}: {_shown(which)}"]


def _shown(characters: Sequence[str]) -> str:
    """The first characters of a list, as Python writes them."""
    shown = ", ".join(repr(each) if each.isprintable() else ascii(each) for each in characters[:_SHOWN])
    return f"{shown}, …" if len(characters) > _SHOWN else shown


def _own_vocabulary(
    characters: str, labels: Labels, parts: Split, config: TextConfig, known: Vocabulary | None
) -> Vocabulary:
    counts = labels.counts(parts.held_out) if config.labels else {}
    if known:
        characters += known.characters
    if known and config.labels:
        counts = dict(zip(known.labels, known.label_counts, strict=True)) | counts
    return Vocabulary.of(characters, config.unit, counts)


def _shapes(parts: Split, vocabulary: Vocabulary) -> cache.Shapes:
    shapes = {}
    for name, lengths in _lengths(parts):
        shapes[f"{name} offsets"] = (np.dtype(np.int64), len(lengths) + 1)
        shapes[f"{name} ids"] = (vocabulary.dtype, int(lengths.sum()) + 2 * len(lengths))
    return shapes


def _pieces(text: SpooledText, parts: Split, vocabulary: Vocabulary) -> Pieces:
    """The arrays that `_shapes` describes, in pieces."""
    for name, lengths in _lengths(parts):
        yield f"{name} offsets", offsets_of(lengths)
    starts = text.labels.starts(vocabulary) if vocabulary.labels else None
    for pair in encoded(text, parts, vocabulary, starts):
        yield from zip((f"{name} ids" for name in _PARTS), pair, strict=True)


def _lengths(parts: Split) -> list[tuple[str, NDArray[np.int64]]]:
    """The lengths of the documents of each part, by its name."""
    return list(zip(_PARTS, map(parts.lengths_of, (parts.learned, parts.held_out)), strict=True))


def _in_memory(shapes: cache.Shapes, pieces: Pieces) -> dict[str, NDArray[Any]]:
    arrays = {name: np.empty(count, dtype) for name, (dtype, count) in shapes.items()}
    places = dict.fromkeys(arrays, 0)
    for name, piece in pieces:
        arrays[name][places[name] : places[name] + len(piece)] = piece
        places[name] += len(piece)
    return arrays


def _key(
    config: TextConfig,
    sources: Sources,
    seed: int | None,
    known: Vocabulary | None,
    labels: tuple[str, ...] | None,
    shares_characters: bool,
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
        "seed": None if config.documents == "none" and config.hold_out == "tail" else seed,
    }
    tables = [kind_of(source, learns=seed is not None) for source in sources.all]
    chosen = {
        "errors": config.errors if config.errors == "replace" else None,
        "min count": config.min_count,
        "separator": config.separator,
        "starts with": config.starts_with,
        "column": config.column and [config.column, *tables],
        "hold out": config.hold_out if config.hold_out != "tail" else None,
        "shares": "characters" if shares_characters and config.documents == "file" else None,
    }
    key |= {name: value for name, value in chosen.items() if value is not None}
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
