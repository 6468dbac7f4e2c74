"""`charrnn fill`."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.common import ModelInput, Quiet, open_model, tell_model
from charrnn.cli.looking import LineJson
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import columns_line, json_line, on_one_line
from charrnn.settings.fields import Settings, setting
from charrnn.settings.lookup import FillConfig
from charrnn.settings.sampling import EngineConfig
from charrnn.settings.text import Unit
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.sampling.fill import FilledGap

__all__ = ["command"]

_COLUMNS = ("text", "log-probability", "filling", "following", "gap")
_JSON_COSTS = ("log_probability", "filling_log_probability", "following_log_probability")
_SHOWN_BESIDE = 20  # characters of the text before and after the gap, in a table


@dataclass(frozen=True)
class FillInput(Settings):
    """The text with a gap."""

    text: str = setting("", "Text, with _ for each missing character.", argument=True, shows_default=False)


@dataclass(frozen=True)
class FillOutput(LineJson, Quiet):
    """Options for the form of the fillings."""


@with_options
def command(source: FillInput, model: ModelInput, config: FillConfig, engine: EngineConfig, output: FillOutput) -> None:
    """Each _ is one missing character; with --most N there are 1 to N, however many _ there are. Fillings are found by
    beam search from what stands before them, and ranked by the probability of themselves and what follows.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the products are too small to share

    from charrnn.sampling.fill import fill_gap, find_gap

    find_gap(source.text, config.blank)  # an error in the text is told before a model is read
    opened = open_model(model.model)
    unit = opened.checkpoint.vocabulary.unit
    gap = fill_gap(opened.checkpoint, source.text, config, engine)
    tell_model(opened, gap.device, quiet=output)
    if is_terminal("stdout") and not output.as_json:
        _print_table(gap, unit)
        return
    if not output.as_json:
        note("columns: log-probability, text", quiet=output.quiet)
    writer = TextWriter("latin-1" if unit == "byte" and not output.as_json else "utf-8")
    for filling, each in gap.fillings:
        whole = f"{gap.before}{filling}{gap.after}"
        if output.as_json:
            costs = (each.log_probability, each.filling_log_probability, each.following_log_probability)
            values = {"filling": readable(filling, unit), "text": readable(whole, unit)}
            writer.write(json_line({**values, **dict(zip(_JSON_COSTS, costs, strict=True))}))
        else:
            writer.write(columns_line(each.log_probability, on_one_line(whole)))
    writer.close()


def _print_table(gap: "FilledGap", unit: Unit) -> None:
    from charrnn.cli.render.display import print_table

    rows = []
    for filling, each in gap.fillings:
        whole = f"{gap.before[-_SHOWN_BESIDE:]}{filling}{gap.after[:_SHOWN_BESIDE]}"
        costs = (each.log_probability, each.filling_log_probability, each.following_log_probability)
        shown = [on_one_line(readable(part, unit).encode("utf-8", "replace").decode()) for part in (whole, filling)]
        rows.append((shown[0], *(f"{cost:.2f}" for cost in costs), shown[1]))
    print_table(_COLUMNS, rows)
