"""`charrnn eval` with several models: the score of each, and that of their Bayes mixture."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from charrnn.cli.common import OpenedModel, Quiet, open_model, tell_model, weighted
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.errors import UsageError
from charrnn.messages import named

if TYPE_CHECKING:
    from charrnn.evaluation.evaluate import Reading

__all__ = ["check_several", "write_several"]

Values = dict[str, float | int | str | None]


def check_several(models: tuple[str, ...], views: list[str], *, is_dynamic: bool) -> None:
    """Raise UsageError for what does not go with several models."""
    for view in [*views, *(["dynamic"] if is_dynamic else [])]:
        raise UsageError(f"{named(view)} is for one model; it cannot go with several")
    for name, weight in map(weighted, models):
        if weight is not None:
            raise UsageError(f"the mixture begins with equal weights; leave the weight out: {named('model', name)}")


def write_several(
    models: tuple[str, ...],
    read: "Callable[[OpenedModel], Reading]",
    values_of: "Callable[..., Values]",
    *,
    as_json: bool,
    quiet: Quiet,
) -> None:
    """Write a row for each model, and one for the mixture, with the weights at the end of the text."""
    from charrnn.cli.render.display import print_table, working
    from charrnn.evaluation.bayes import bayes_mixture, check_readings

    names, readings = [], []
    for model in models:
        opened = open_model(model)
        tell_model(opened, quiet=quiet)
        names.append(str(opened.path))
        readings.append(read(opened))
    check_readings(readings, names)
    scores = []
    for name, reading in zip(names, readings, strict=True):
        with working(f"scoring by {name}", quiet.quiet):
            scores.append(reading.score())
    for notice in readings[0].about_unknown(scores[0]):
        note(notice, quiet=quiet.quiet)
    mixture = bayes_mixture([score.nats for score in scores])
    rows: list[Values] = [
        {"model": name, **values_of(score), "weight": weight}
        for name, score, weight in zip(names, scores, mixture.weights, strict=True)
    ]
    mixed = values_of(scores[0]._replace(nats=mixture.nats))
    rows.append({"model": "mixture", **mixed, "accuracy": None, "weight": None})  # which only its distributions tell
    if is_terminal("stdout") and not as_json:
        print_table(("bits per character", "nats", "weight", "model"), [_shown(row) for row in rows])
    else:
        if not as_json:
            note(f"columns: {', '.join(rows[0])}", quiet=quiet.quiet)
        writer = TextWriter("utf-8")
        for row in rows:
            writer.write(
                json_line(row | {"protocol": readings[0].protocol}) if as_json else columns_line(*row.values())
            )
        writer.close()
    more, bound = (mixture.nats - min(score.nats for score in scores)) / math.log(2), math.log2(len(scores))
    told = f"the text costs {more:.4f} bits more by the mixture than by the best model, of {bound:.4f} at most"
    note(told, quiet=quiet.quiet)


def _shown(row: Values) -> tuple[str, str, str, str]:
    weight = "-" if row["weight"] is None else f"{row['weight']:.2%}"
    return f"{row['bits_per_character']:.4f}", f"{row['nats_per_character']:.4f}", weight, str(row["model"])
