"""Found labels as lines on stdout, and a table of them against the documents' own labels."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from charrnn.cli.render.score_rows import json_line, on_one_line
from charrnn.cli.render.widths import columns, on_the_right
from charrnn.messages import counted
from charrnn.settings.text import Unit
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.evaluation.classify import Classified

__all__ = ["CLASS_COLUMNS", "Confusion", "class_rows"]

CLASS_COLUMNS = ("label", "probability", "own label", "text")

_MOST = 20  # labels of which a table is drawn


def class_rows(
    documents: "Iterable[Classified]", labels: tuple[str, ...], unit: Unit, *, as_json: bool
) -> Iterator[str]:
    """A line for each document. JSON has its text whole; in columns its line ends and tabs are written \\n and \\t."""
    for each in documents:
        text = readable(each.text, unit)
        probability = max(each.probabilities)
        if as_json:
            found = {"label": each.label, "probability": probability, "own_label": each.own_label}
            shares = dict(zip(labels, each.probabilities, strict=True))
            yield json_line({**found, "probabilities": shares, "text": text})
        else:
            yield f"{each.label}\t{probability:.4f}\t{each.own_label or '-'}\t{on_one_line(text)}\n"


class Confusion:
    """Counts of pairs of a document's own label and the label that was found."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._counts = Counter[tuple[str, str]]()
        self._without = 0

    def passing(self, documents: "Iterable[Classified]") -> "Iterator[Classified]":
        """Pass the documents on, and count them."""
        for each in documents:
            if each.own_label is None:
                self._without += 1
            else:
                self._counts[each.own_label, each.label] += 1
            yield each

    def lines(self) -> Iterator[str]:
        """The table, a row for each own label and a column for each found one, and the accuracy."""
        if (count := self._counts.total()) == 0:
            yield f"no document has a label of its own ({self._without:,} read)"
            return
        if len(self._labels) <= _MOST:
            yield from self._table()
        right = sum(self._counts[label, label] for label in self._labels)
        without = f"; without a label: {self._without:,}" if self._without else ""
        yield f"accuracy {right / count:.4f}: {right:,} of {counted(count, 'document')}{without}"

    def _table(self) -> Iterator[str]:
        widest = max(columns(label) for label in (*self._labels, "own label"))
        widths = [max(columns(label), len(f"{max(self._counts.values()):,}")) for label in self._labels]
        header = [on_the_right(label, width) for label, width in zip(self._labels, widths, strict=True)]
        yield "  ".join([on_the_right("own label", widest), *header])
        for own in self._labels:
            row = [f"{self._counts[own, found]:,}".rjust(n) for found, n in zip(self._labels, widths, strict=True)]
            yield "  ".join([on_the_right(own, widest), *row])
