"""`charrnn train --dry-run`: facts about a training that is not begun, and the time it would take."""

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from charrnn.cli.process.terminal import TextWriter, as_told, is_terminal, note
from charrnn.cli.render.score_rows import json_line
from charrnn.messages import named
from charrnn.settings.run import RunConfig

if TYPE_CHECKING:
    from charrnn.text.statistics import TextStatistics
    from charrnn.training.forecast import Forecast
    from charrnn.training.setup import Setup

__all__ = ["describe"]

_EXAMPLES = 20  # rare characters that are shown
_MOST_COMPARED = 2**22  # characters of a text that is read once more for every unit

Values = dict[str, float | int | str | None]


def describe(settings: RunConfig, given: Collection[str], *, as_json: bool, quiet: bool) -> None:
    """Read the text, choose the open settings, train for a second or two without leaving a run, and write all of it.

    It is a table on a terminal, `name value` lines elsewhere, or one JSON object, which has the notices, too.
    """
    from charrnn.cli.render.display import clock, score_table, working
    from charrnn.evaluation.units import best_unit, unit_costs
    from charrnn.text.statistics import text_statistics
    from charrnn.training.forecast import forecast
    from charrnn.training.setup import prepare

    with working("reading the text", quiet):
        setup = prepare(settings, given)
        held_out = setup.validation
        statistics = text_statistics([setup.training, held_out] if held_out else [setup.training], setup.vocabulary)
    for notice in setup.notices:
        note(notice, quiet=quiet)
    with working("comparing units", quiet):
        is_small = statistics.characters <= _MOST_COMPARED
        costs = unit_costs(settings.text, settings.training.seed) if is_small else []
    with working("training for a moment", quiet):
        expected = forecast(setup)

    values = _values(setup, statistics, expected)
    values |= {f"{cost.unit}_bits_per_byte": cost.bits_per_byte for cost in costs}
    if costs:
        best = best_unit(costs)
        told = [best.unit, *(named(name, value) for name, value in best.settings.items())]
        values["best_unit"] = as_told(" ".join(told))
    if is_terminal("stdout") and not as_json:
        shown = values | {"seconds": f"{expected.seconds:,.1f} ({clock(expected.seconds)})"}
        score_table("what `charrnn train` would do", shown)
        return
    notices = {"notices": [as_told(notice) for notice in setup.notices]}
    lines = [f"{name} {_plain(value)}\n" for name, value in values.items()]
    writer = TextWriter("utf-8")
    writer.write(json_line(values | notices) if as_json else "".join(lines))
    writer.close()


def _values(setup: "Setup", statistics: "TextStatistics", expected: "Forecast") -> Values:
    """The facts by name, in the order in which they are shown."""
    text, training, held_out = setup.config.text, setup.config.training, setup.validation
    values: Values = {
        "text": ", ".join(text.corpus),
        "encoding": text.encoding if text.unit == "character" else "bytes",
        "characters": statistics.characters,
        "different_characters": statistics.different,
        "rare_characters": len(statistics.rare),
        "rarest": statistics.rare[:_EXAMPLES],
    }
    kinds = {"lines": statistics.lines, "documents": statistics.documents}
    for name, pieces in kinds.items() if text.documents != "none" else [("lines", statistics.lines)]:
        values |= {
            name: pieces.number,
            f"{name}_mean_length": pieces.mean_length,
            f"{name}_longest": pieces.longest,
            f"{name}_duplicates": pieces.duplicates,
        }
    return values | {
        "to_learn": setup.training.targets,
        "held_out": held_out.targets if held_out else 0,
        "model": expected.model,
        "vocabulary_size": setup.vocabulary.size,
        "parameters": expected.parameters,
        "batch_size": training.batch_size,
        "sequence_length": training.sequence_length,
        "optimizer": training.optimizer,
        "learning_rate": training.learning_rate,
        "device": expected.device,
        "checkpoint_bytes": expected.checkpoint_bytes,
        "memory_bytes": expected.memory_bytes,
        "characters_per_second": expected.characters_per_second,
        "steps": expected.steps,
        "epochs": expected.epochs,
        "seconds": expected.seconds,
    }


def _plain(value: float | int | str | None) -> str:
    """A value in a line of its own; a text with control characters, as rare ones may be, is escaped as in JSON."""
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value, ensure_ascii=False)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
