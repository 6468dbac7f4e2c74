"""From files, folders, globs and standard input to documents of text. Knows no vocabulary and no network.

Nothing is guessed, and nothing is changed but on request: bytes are decoded strictly, line ends and Unicode forms are
kept as they are, and what is left out (a byte order mark) is reported.
"""

import codecs
import glob
import gzip
import hashlib
import re
import stat
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from charrnn.config import TextConfig
from charrnn.errors import DataError, UsageError
from charrnn.text.vocabulary import code_points, normalized

__all__ = ["Corpus", "Split", "read_corpus", "split_corpus"]

_FOLDER_SUFFIXES = (".txt", ".md", ".txt.gz", ".md.gz")
_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {
    rb"\x28\xb5\x2f\xfd": "zstd -dc",
    rb"\xfd7zXZ\x00": "xz -dc",
    rb"BZh[1-9]1AY&SY": "bzip2 -dc",
    rb"PK\x03\x04": "unzip -p",
}
_FOREIGN_MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = {"line": re.compile(r"\r?\n"), "blank": re.compile(r"\r?\n(?:[ \t]*\r?\n)+")}


@dataclass(frozen=True)
class Corpus:
    """A text as documents, in the order in which it was read.

    `sha256` is over the bytes of all sources as they were read (decompressed), each after its length.
    """

    documents: tuple[str, ...]
    sha256: str
    notices: tuple[str, ...]

    @property
    def characters(self) -> int:
        """How many characters (or bytes, in a text of bytes) the documents have together."""
        return sum(map(len, self.documents))


class Split(NamedTuple):
    """Documents to learn from, and documents held out."""

    training: tuple[str, ...]
    validation: tuple[str, ...]
    notices: tuple[str, ...]


class _Source(NamedTuple):
    name: str
    data: bytes


def read_corpus(config: TextConfig) -> Corpus:
    """Read the sources that `config` names, in their order, joined as `cat` joins files.

    A folder stands for its .txt and .md files (and their .gz), at any depth, sorted by path; a glob for its matches,
    sorted; `-` for standard input.

    Raises:
        DataError: a source that is missing, unreadable, undecodable, or no text at all.
        UsageError: no source, or standard input twice.
    """
    if not config.corpus or "" in config.corpus:  # which would be the current folder
        raise UsageError("no text given: name files, folders or globs, or - for standard input")
    if config.corpus.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    notices: list[str] = []
    digest = hashlib.sha256()
    texts = []
    for source in _sources(config.corpus):
        source = _decompress(source, config)
        digest.update(len(source.data).to_bytes(8, "little") + source.data)
        texts.append(_decode(source, config, notices))
    if config.documents == "none":
        texts = ["".join(texts)]
    notices += _about_line_ends(texts, config)
    return Corpus(tuple(_documents(texts, config)), digest.hexdigest(), tuple(notices))


def _sources(names: Sequence[str]) -> Iterator[_Source]:
    for name in names:
        path = Path(name)
        _check_name(name)
        try:
            if name == "-":
                yield _Source("standard input", sys.stdin.buffer.read())
            elif path.is_dir():
                files = sorted(p for p in path.rglob("*") if p.name.endswith(_FOLDER_SUFFIXES) and p.is_file())
                if not files:
                    raise DataError(
                        f"the folder {name!r} has no {', '.join(_FOLDER_SUFFIXES)} file; "
                        f"name other files by a glob, such as '{path / '**' / '*.py'}'"
                    )
                yield from map(_read_file, files)
            elif not path.exists() and glob.has_magic(name):
                matches = sorted(p for p in map(Path, glob.glob(name, recursive=True)) if not p.is_dir())
                if not matches:
                    raise DataError(f"no file matches {name!r}")
                yield from map(_read_file, matches)
            else:
                yield _read_file(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise DataError(f"cannot read the text {name!r}: {reason}") from error


def _check_name(name: str) -> None:
    """Names are recorded with the run, as UTF-8; one of other bytes arrives as surrogates (PEP 383)."""
    try:
        code_points(name)
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name {name!a} is not {sys.getfilesystemencoding()}, so the run could not record it; "
            "rename it, or use standard input: charrnn train - < FILE"
        ) from error


def _read_file(path: Path) -> _Source:
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
        raise DataError(f"{str(path)!r} is neither a file nor a folder")
    return _Source(str(path), path.read_bytes())


def _decompress(source: _Source, config: TextConfig) -> _Source:
    """Undo gzip, known by its name or its first bytes; a text in bytes may begin with any, so there the name counts."""
    may_sniff = config.unit == "character"
    if source.name.endswith(".gz") or (may_sniff and source.data.startswith(_GZIP)):
        try:
            return _Source(source.name, gzip.decompress(source.data))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{source.name}: damaged gzip data: {error}") from error
    for magic, tool in _OTHER_COMPRESSIONS.items():
        if may_sniff and re.match(magic, source.data):
            raise DataError(
                f"{source.name} is compressed in a way that is not read here; try: {tool} FILE | charrnn train -"
            )
    return source


def _decode(source: _Source, config: TextConfig, notices: list[str]) -> str:
    if config.unit == "byte":
        return source.data.decode("latin-1")
    data = source.data
    if codecs.lookup(config.encoding).name == "utf-8":
        for mark, encoding in _FOREIGN_MARKS:
            if data.startswith(mark):
                raise DataError(
                    f"{source.name} begins with the byte order mark of {encoding.upper()}; "
                    f"read it with --encoding {encoding}"
                )
        if data.startswith(codecs.BOM_UTF8):
            notices.append(f"{source.name}: left out the byte order mark at its start")
            data = data[len(codecs.BOM_UTF8) :]
    try:
        text = data.decode(config.encoding)
        code_points(text)  # some codecs make lone surrogates, which are no characters
    except UnicodeDecodeError as error:
        offset = error.start + len(source.data) - len(data)
        raise DataError(
            f"{source.name} is not {config.encoding}: byte 0x{source.data[offset]:02x} at offset {offset}, "
            f"line {_line_after(data[: error.start], config.encoding)} ({error.reason})\n"
            "name its encoding, such as --encoding cp949 or latin-1, or learn the bytes themselves with --unit byte"
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"{source.name}: read as {config.encoding}, character {error.start} is a lone surrogate, "
            "which is not text; name another --encoding"
        ) from error
    except UnicodeError as error:  # of a codec that says nothing more
        raise DataError(f"{source.name} is not {config.encoding}: {error}; name another --encoding") from error
    return text


def _line_after(data: bytes, encoding: str) -> int:
    """The number of the line that goes on after some decodable bytes, counted from 1."""
    try:
        return data.decode(encoding, "replace").count("\n") + 1
    except UnicodeError:  # a codec that replaces nothing
        return data.count(b"\n") + 1


def _about_line_ends(texts: list[str], config: TextConfig) -> list[str]:
    """A notice where line ends of several kinds are kept, or some are converted."""
    if config.unit == "byte":
        return []
    crlf = sum(text.count("\r\n") for text in texts)
    counts = {
        "CRLF": crlf,
        "LF": sum(text.count("\n") for text in texts) - crlf,
        "CR": sum(text.count("\r") for text in texts) - crlf,
    }
    found = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    if config.newlines == "lf" and (counts["CRLF"] or counts["CR"]):
        return [f"made all line ends LF; the text had {found}"]
    if config.newlines == "keep" and sum(map(bool, counts.values())) > 1:
        return [f"the text has mixed line ends, kept as they are: {found} (--newlines lf makes all of them LF)"]
    return []


def _documents(texts: list[str], config: TextConfig) -> Iterator[str]:
    for text in texts:
        text = normalized(text, None, config.newlines)  # before lines are told apart
        separator = _SEPARATORS.get(config.documents)
        for document in separator.split(text) if separator else [text]:
            if config.documents == "blank":
                document = document.strip("\r\n")
            if document := normalized(document, config.normalize):
                yield document


def split_corpus(corpus: Corpus, config: TextConfig, seed: int) -> Split:
    """Hold out the last `config.validation` of a running text, or a seeded random share of the documents.

    Raises:
        DataError: too little text to train on.
    """
    fraction, documents = config.validation, corpus.documents
    training, validation = documents, tuple[str, ...]()
    notices = []
    if corpus.characters < 2:
        raise DataError(f"the text has {_characters(corpus.characters)}; training needs at least 2")
    if not fraction:
        return Split(training, validation, ())
    if config.documents == "none":
        (text,) = documents
        cut = min(int(len(text) * (1 - fraction) + 1e-9), len(text) - 1)
        training, validation = (text[:cut],), (text[cut:],)
    elif len(documents) == 1:
        notices.append("only one document, so none is held out for validation")
    else:
        count = min(max(round(len(documents) * fraction), 1), len(documents) - 1)
        held_out = set(np.random.default_rng(seed).permutation(len(documents))[:count].tolist())
        training = tuple(text for k, text in enumerate(documents) if k not in held_out)
        validation = tuple(documents[k] for k in sorted(held_out))
    if (left := sum(map(len, training))) < 2:
        raise DataError(
            f"the text has {_characters(corpus.characters)}, of which {left} would be left to train on after the "
            "validation text is held out; training needs at least 2: use --validation 0"
        )
    return Split(training, validation, tuple(notices))


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"
