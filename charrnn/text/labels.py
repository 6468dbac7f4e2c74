"""The labels of documents: `label<TAB>text`, or the name of the folder that a file lies in."""

from array import array
from collections.abc import Collection, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import DataError
from charrnn.settings.text import TextConfig
from charrnn.text.documents import mark_of
from charrnn.text.sources import Source
from charrnn.text.units import readable
from charrnn.text.vocabulary import Ids, Vocabulary, as_label, is_label, normalized

__all__ = ["Labels", "UnlabelledError"]

_MOST = 1000  # different labels
_SHOWN = 12
_LONGEST = 1000  # characters, or bytes, in which a label must end; more than any label has


class UnlabelledError(DataError):
    """A document without the label that each must have."""


class Labels:
    """The labels of documents, which are removed as documents pass, and kept in the order of the documents.

    Every document must have a label; with `known`, documents that begin with none of these labels have the label "".
    """

    def __init__(self, config: TextConfig, known: Collection[str] | None = None) -> None:
        self._config = config
        self._known = known
        self._found: dict[str, int] = {}
        self._indices = array("h")

    def taken_off(self, pieces: Iterable[str], source: Source) -> Iterator[str]:
        """A source's marked documents in pieces, which are not treated yet, without their labels.

        Raises:
            UnlabelledError: a document without a label.
            DataError: more labels than there can be.
        """
        mark = mark_of(self._config)
        beginning: str | None = ""  # of a document, until its label and some text have been read; then None
        for piece in pieces:
            kept = []
            for index, part in enumerate(piece.split(mark)):
                if index:
                    kept += [self._parted(beginning, source) if beginning else "", mark]
                    beginning = ""
                if beginning is None:
                    kept.append(part)
                    continue
                beginning += part
                label, _, text = beginning.partition("\t")
                if text or len(label) > _LONGEST or (beginning and source.folder is not None):
                    kept.append(self._parted(beginning, source))
                    beginning = None
            yield "".join(kept)

    def _parted(self, beginning: str, source: Source) -> str:
        """The beginning of a document without its label; the label is remembered if there is some text."""
        if source.folder is not None:
            label, text = as_label(source.folder), beginning
        else:
            before, tab, text = beginning.partition("\t")
            label = self._decoded(before) if tab else ""
        if self._known is not None and label not in self._known:
            label, text = "", beginning
        elif not is_label(label):
            raise UnlabelledError(self._complaint(label, source))
        if text:
            index = self._found.setdefault(label, len(self._found))
            if index >= _MOST:
                raise DataError(f"{source.name}: there are more than {_MOST:,} different labels, the last is {label!r}")
            self._indices.append(index)
        return text

    def _decoded(self, text: str) -> str:
        return as_label(normalized(readable(text, self._config.unit), self._config.normalize))

    def _complaint(self, label: str, source: Source) -> str:
        number, wanted = len(self._indices) + 1, "of at most 100 printable characters"
        if source.folder is not None:
            return f"{source.name}: the name of its folder is to be a label {wanted}, got {label!r:.60}"
        begins = f"begins with {label!r:.60} and a tab" if label else "does not begin with one and a tab"
        return (
            f"{source.name}: with labels each document is LABEL, a tab and its text; document {number} {begins}\n"
            f"give each a label {wanted}, or put the files of each label into a folder of its name and name that"
        )

    def counts(self, held_out: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """Number of documents of each label, of those that are not `held_out` (N,).

        A label that only such documents have counts 1: it is there, and no more is to be known of it.
        """
        learned = self._all if held_out is None else self._all[~held_out]
        counts = np.bincount(learned, minlength=len(self._found)).clip(min=1)
        return dict(zip(self._found, counts.tolist(), strict=True))

    def notices(self) -> list[str]:
        """A notice of the number of documents of each label, where every document must have one."""
        if self._known is not None or not self._found:
            return []
        shown = [f"{label} ({count:,})" for label, count in sorted(self.counts().items())]
        more = f" and {len(shown) - _SHOWN:,} more" if len(shown) > _SHOWN else ""
        return [f"labels: {', '.join(shown[:_SHOWN])}{more}"]

    def starts(self, vocabulary: Vocabulary) -> Ids:
        """The start token of every document, (N,); the first for a label that the vocabulary does not have.

        That can be where a text has changed, which those who gave the vocabulary look at.
        """
        own = [vocabulary.start_of(each) if each in vocabulary.labels else vocabulary.start for each in self._found]
        return np.array(own, vocabulary.dtype)[self._all]

    @property
    def _all(self) -> NDArray[np.int16]:
        return np.array(self._indices, np.int16)
