"""The settings of the text: its sources, its units, and its division into documents."""

from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import Settings, setting

__all__ = ["Documents", "Newlines", "Normalization", "TextConfig", "Unit"]

Unit = Literal["character", "byte"]
Normalization = Literal["nfc", "nfd", "nfkc"]
Newlines = Literal["keep", "lf"]
Documents = Literal["none", "line", "blank", "file"]

_TEXT = "Text"


@dataclass(frozen=True)
class TextConfig(Settings):
    """The settings of a text: its sources, and their division into documents of characters or bytes.

    With `labels` every document has a label, and documents are lines unless another division is chosen. (The default is
    None, not false, so that the record of a run without labels is the same as before there were labels.)
    """

    corpus: tuple[str, ...] = setting(
        (),
        "Files, folders (their .txt and .md), globs, .gz, or - for standard input; joined in this order.",
        argument=True,
        shows_default=False,
    )
    unit: Unit = setting("character", "Unit that the network reads and writes.", panel=_TEXT)
    encoding: str = setting(
        "utf-8", "Encoding of the text. Bytes that do not fit are an error.", panel=_TEXT, metavar="NAME"
    )
    normalize: Normalization | None = setting(
        None, "Unicode normalisation. nfd takes Korean syllables apart into jamo.", panel=_TEXT
    )
    newlines: Newlines = setting("keep", "Keep line ends, or turn CRLF and CR into LF.", panel=_TEXT)
    documents: Documents = setting(
        "none", "none reads one running text; line, blank or file reads many documents.", panel=_TEXT, metavar="KIND"
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
    validation_file: str | None = setting(
        None, "Text for validation; then all of the corpus is learned.", panel=_TEXT, metavar="FILE"
    )

    def __post_init__(self) -> None:
        if self.labels and self.documents == "none":
            object.__setattr__(self, "documents", "line")  # as a frozen dataclass sets its own fields
        super().__post_init__()
        self._check_bytes()
        self._check_validation()
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise UsageError(
                f"{named('encoding')} must be a text encoding that Python knows, such as utf-8, cp949 or latin-1, "
                f"got {self.encoding!r:.40}"
            ) from None

    def _check_validation(self) -> None:
        if self.validation_file is None:
            return
        if self.validation != TextConfig.validation:
            raise UsageError(
                f"{named('validation_file')} is all that is held out; it cannot go with {named('validation')}"
            )
        if self.validation_file in ("", "-"):
            raise UsageError(
                f"{named('validation_file')} is read again whenever the model is scored: name a file, "
                f"not {'standard input' if self.validation_file else 'an empty text'}"
            )

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
        if self.newlines != "keep":
            raise UsageError(
                f"{unit} reads the bytes as they are; it cannot go with {named('newlines', self.newlines)}"
            )
