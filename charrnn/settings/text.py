"""The settings of the text: its sources, its units, and its division into documents."""

import re
from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import Settings, setting

__all__ = ["Documents", "Errors", "HoldOut", "Newlines", "Normalization", "TextConfig", "Unit", "unescaped"]

Unit = Literal["character", "byte"]
Normalization = Literal["nfc", "nfd", "nfkc"]
Newlines = Literal["keep", "lf"]
Errors = Literal["strict", "replace", "skip"]
Documents = Literal["none", "line", "blank", "file", "separator", "start", "row"]
HoldOut = Literal["tail", "blocks"]

_TEXT = "Text"

# Settings that say by what a text is divided, and the kind of documents that this gives.
_DIVIDED_BY: dict[str, Documents] = {"separator": "separator", "starts_with": "start", "column": "row"}
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}


def unescaped(text: str, name: str) -> str:
    r"""The text of a setting of this name, with \n, \t and \\ for a line's end, a tab and a backslash.

    Raises:
        UsageError: a backslash before anything else.
    """
    parts = re.split(r"\\(.?)", text, flags=re.DOTALL)
    for escaped in parts[1::2]:
        if escaped not in _ESCAPES:
            raise UsageError(f"{named(name)} takes \\n, \\t and \\\\ after a backslash, got \\{escaped:.1}")
    parts[1::2] = [_ESCAPES[escaped] for escaped in parts[1::2]]
    return "".join(parts)


@dataclass(frozen=True)
class TextConfig(Settings):
    """The settings of a text: its sources, and their division into documents of characters or bytes.

    With `labels` every document has a label, and documents are lines unless another division is chosen. (What came
    later has the default None, so that the record of a run without it is the same as before.)
    """

    corpus: tuple[str, ...] = setting(
        (),
        "Files, folders (their .txt and .md), globs, .gz, or - for standard input; joined in this order.",
        argument=True,
        shows_default=False,
    )
    include: tuple[str, ...] | None = setting(
        None,
        "Kind of file to read in folders (default: '*.txt', '*.md'). Can be given several times.",
        panel=_TEXT,
        metavar="PATTERN",
        shows_default=False,
    )
    exclude: tuple[str, ...] | None = setting(
        None,
        "Files or folders to leave out in folders. Can be given several times.",
        panel=_TEXT,
        metavar="PATTERN",
        shows_default=False,
    )
    unit: Unit = setting("character", "Unit that the network reads and writes.", panel=_TEXT)
    encoding: str = setting("utf-8", "Encoding of the text.", panel=_TEXT, metavar="NAME")
    errors: Errors | None = setting(
        None,
        "Bytes that do not fit: strict is an error, replace reads them as U+FFFD, skip leaves their file out "
        "(default: strict).",
        panel=_TEXT,
        metavar="KIND",
    )
    normalize: Normalization | None = setting(
        None, "Unicode normalisation. nfd takes Korean syllables apart into jamo.", panel=_TEXT
    )
    min_count: int | None = setting(
        None,
        "Learn characters met less than N times as unknown.",
        panel=_TEXT,
        metavar="N",
        least=1,
        most=2**31,
    )
    newlines: Newlines = setting("keep", "Keep line ends, or turn CRLF and CR into LF.", panel=_TEXT)
    documents: Documents = setting(
        "none", "none reads one running text; line, blank or file reads many documents.", panel=_TEXT, metavar="KIND"
    )
    separator: str | None = setting(
        None, r"Text that separates documents, such as %, <s> or \n%\n.", panel=_TEXT, metavar="TEXT"
    )
    starts_with: str | None = setting(
        None, "Text with which the first line of each document starts.", panel=_TEXT, metavar="TEXT"
    )
    column: str | None = setting(
        None, "Column of CSV, TSV or JSON lines to read; each row is a document.", panel=_TEXT, metavar="NAME"
    )
    labels: bool | None = setting(
        None,
        "Each document has a label: LABEL, a tab, its text; or the name of its folder.",
        panel=_TEXT,
        off="--no-labels",
        shows_default=False,
    )
    validation: float = setting(
        0.1, "Share of the text held out for validation. 0 holds out nothing.", panel=_TEXT, least=0, most=0.9
    )
    hold_out: HoldOut = setting(
        "tail", "Part of a running text held out: its tail, or blocks spread over it.", panel=_TEXT
    )
    validation_file: str | None = setting(
        None, "Text for validation; then all of the corpus is learned.", panel=_TEXT, metavar="FILE"
    )

    def __post_init__(self) -> None:
        kinds = [kind for name, kind in _DIVIDED_BY.items() if getattr(self, name) is not None]
        kinds += ["line"] if self.labels else []
        if kinds and self.documents == "none":
            object.__setattr__(self, "documents", kinds[0])  # as a frozen dataclass sets its own fields
        super().__post_init__()
        self._check_documents()
        if self.hold_out == "blocks" and self.documents != "none":
            raise UsageError(
                f"{named('hold_out', 'blocks')} divides a running text; of documents a random share is held "
                "out, wherever they stand: leave it out"
            )
        self._check_bytes()
        self._check_validation()
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise UsageError(
                f"{named('encoding')} must be a text encoding that Python knows, such as utf-8, cp949 or latin-1, "
                f"got {self.encoding!r:.40}"
            ) from None

    def _check_documents(self) -> None:
        for name, kind in _DIVIDED_BY.items():
            value = getattr(self, name)
            if value is None and self.documents == kind:
                raise UsageError(f"{named('documents', kind)} needs {named(name)}")
            if value is not None and self.documents != kind:
                by = "another setting" if self.documents in _DIVIDED_BY.values() else named("documents", self.documents)
                raise UsageError(f"{named(name)} divides the text into documents; it cannot go with {by}")
            if value == "":
                raise UsageError(f"{named(name)} must be some text, got an empty one")
            if value is not None and name != "column":
                unescaped(value, name)

    def _check_validation(self) -> None:
        if self.validation_file is None:
            return
        if self.validation != TextConfig.validation:
            raise UsageError(
                f"{named('validation_file')} is all that is held out; it cannot go with {named('validation')}"
            )
        if self.hold_out != "tail":
            raise UsageError(
                f"{named('validation_file')} is all that is held out; it cannot go with "
                f"{named('hold_out', self.hold_out)}"
            )
        if self.validation_file in ("", "-"):
            raise UsageError(
                f"{named('validation_file')} is read again whenever the model is scored: name a file, "
                f"not {'standard input' if self.validation_file else 'an empty text'}"
            )

    @property
    def corpus_name(self) -> str:
        """The name of the text in messages; empty where none is known."""
        return ", ".join("standard input" if each == "-" else each for each in self.corpus)

    @property
    def held_out_name(self) -> str:
        """The name of the held-out text in messages."""
        return self.validation_file or f"the validation text of {', '.join(self.corpus)}"

    def _check_bytes(self) -> None:
        if self.unit != "byte":
            return
        unit = named("unit", "byte")
        if self.normalize:
            raise UsageError(f"{named('normalize')} works on characters; it cannot go with {unit}")
        if self.encoding != TextConfig.encoding:
            raise UsageError(f"{unit} reads the bytes as they are; it cannot go with {named('encoding')}")
        if self.errors:
            raise UsageError(f"{unit} takes any bytes; it cannot go with {named('errors')}")
        if self.column is not None:
            raise UsageError(f"{named('column')} reads characters; it cannot go with {unit}")
        if self.min_count:
            raise UsageError(f"{unit} knows all 256 of them; it cannot go with {named('min_count')}")
        if self.newlines != "keep":
            raise UsageError(
                f"{unit} reads the bytes as they are; it cannot go with {named('newlines', self.newlines)}"
            )
