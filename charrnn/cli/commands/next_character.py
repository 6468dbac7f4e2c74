"""`charrnn next`."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.common import ModelInput, PrimeInput, Quiet, open_model, tell_model
from charrnn.cli.looking import LineJson
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note, shows_all
from charrnn.cli.render.score_rows import as_value, columns_line, json_line
from charrnn.export.character_names import name_of
from charrnn.settings.lookup import NextConfig
from charrnn.settings.text import Unit

if TYPE_CHECKING:
    from charrnn.sampling.distribution import Candidate

__all__ = ["command"]

_COLUMNS = ("rank", "character", "probability", "nats", "bits")
_BAR = 40  # columns for a probability of 1
_EIGHTHS = "▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class NextOutput(LineJson, Quiet):
    """Options for the form of the list."""


@with_options
def command(prime: PrimeInput, model: ModelInput, config: NextConfig, output: NextOutput) -> None:
    """The likeliest characters after a text, and the end of the document, with their probabilities."""
    as_json = output.as_json
    read = prime.read(quiet=output.quiet)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one character's products are too small to share

    from charrnn.sampling.distribution import next_candidates

    opened = open_model(model.model)
    listed = next_candidates(opened.checkpoint, read, config)
    tell_model(opened, quiet=output)
    unit = opened.checkpoint.vocabulary.unit
    if is_terminal("stdout") and not as_json:
        from charrnn.cli.render.display import print_table

        print_table(("next", "probability", "bits", ""), [_row(each, unit) for each in listed])
        return
    if not as_json:
        note(f"columns: {', '.join(_COLUMNS)}", quiet=output.quiet)
    writer = TextWriter("utf-8")
    for each in listed:
        costs = (each.probability, each.nats, each.bits)
        if as_json:
            values = {"rank": each.rank, **as_value(each.character, unit)}
            writer.write(json_line({**values, **dict(zip(_COLUMNS[2:], costs, strict=True))}))
        else:
            writer.write(columns_line(each.rank, name_of(each.character, unit), *costs))
    writer.close()


def _row(candidate: "Candidate", unit: Unit) -> tuple[str, str, str, str]:
    """A row of the table: a name, two numbers and a bar."""
    eighths = round(candidate.probability * _BAR * 8)
    bar = _EIGHTHS[7] * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
    if not shows_all("stdout"):
        bar = "#" * round(eighths / 8)
    bits = "-" if candidate.bits is None else f"{candidate.bits:.2f}"
    return name_of(candidate.character, unit), f"{candidate.probability:.2%}", bits, bar
