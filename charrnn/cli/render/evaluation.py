"""Views of `charrnn eval` other than the sums: rows of data, labels, pictures."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.confusion import CLASS_COLUMNS, Confusion, class_rows
from charrnn.cli.render.score_rows import CHARACTER_COLUMNS, LINE_COLUMNS, Total, character_rows, line_rows
from charrnn.cli.render.shading import colours, is_light, picture
from charrnn.export.shading import ALTERNATIVES, SURPRISE, cells, shaded
from charrnn.messages import safe

if TYPE_CHECKING:
    from charrnn.evaluation.evaluate import Reading

__all__ = ["write_classes", "write_heat", "write_page", "write_rows"]


def write_rows(reading: "Reading", *, per_line: bool, as_json: bool, quiet: bool) -> None:
    """Write scores as data on stdout, and their sum on stderr."""
    from charrnn.evaluation.characters import line_scores

    unit, total = reading.vocabulary.unit, Total()
    characters = total.passing(reading.characters())
    if per_line:
        rows = line_rows(line_scores(characters), unit, as_json=as_json)
    else:
        rows = character_rows(characters, unit, as_json=as_json)
    if not as_json:
        note(f"columns: {', '.join(LINE_COLUMNS if per_line else CHARACTER_COLUMNS)}", quiet=quiet)
    writer = TextWriter("latin-1" if unit == "byte" else "utf-8")
    for row in rows:
        writer.write(row)
    writer.close()
    note(f"{reading.text}: {total}", quiet=quiet)


def write_classes(reading: "Reading", *, as_json: bool, quiet: bool) -> None:
    """Write the found labels on stdout, and the table of right and wrong ones on stderr."""
    from charrnn.evaluation.classify import classify

    labels, unit = reading.model_vocabulary.labels, reading.model_vocabulary.unit
    confusion = Confusion(labels)
    documents = confusion.passing(classify(reading))
    writer = TextWriter("utf-8")
    if not as_json:
        note(f"columns: {', '.join(CLASS_COLUMNS)}", quiet=quiet)
    for row in class_rows(documents, labels, unit, as_json=as_json):
        writer.write(row)
    writer.close()
    for line in confusion.lines():
        note(line, quiet=quiet)


def write_heat(reading: "Reading", *, quiet: bool) -> None:
    """Write the shaded text on stdout, and its total cost on stderr."""
    total, unit = Total(), reading.vocabulary.unit
    marks = cells(shaded(total.passing(reading.characters()), unit), SURPRISE, unit)
    writer = TextWriter("utf-8", escape=False)  # cells are harmless, and colours are meant
    scale = SURPRISE if is_light() else SURPRISE.on_dark()
    for row in picture(marks, scale, colours(), shutil.get_terminal_size().columns):
        writer.write(row)
    writer.close()
    note(f"{reading.text}: {total}", quiet=quiet)


def write_page(reading: "Reading", path: str, *, replaces: bool, quiet: bool) -> None:
    """Write the shaded text as a page, into a new file or on stdout."""
    from charrnn.export.shaded_page import page
    from charrnn.files import write_new

    total, unit = Total(), reading.vocabulary.unit
    marks = cells(shaded(total.passing(reading.characters(ALTERNATIVES)), unit), SURPRISE, unit)
    pieces = page(marks, SURPRISE, safe(reading.text), lambda: str(total))
    if path == "-":
        writer = TextWriter("utf-8")
        for piece in pieces:
            writer.write(piece)
        writer.close()
        return
    write_new(Path(path), (piece.encode("utf-8", "surrogateescape") for piece in pieces), replaces=replaces)
    note(f"{reading.text}: {total}; the page is {path}", quiet=quiet)
