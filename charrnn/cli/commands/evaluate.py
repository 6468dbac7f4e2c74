"""`charrnn eval`."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.commands.evaluate_several import check_several, write_several
from charrnn.cli.common import ModelsInput, OpenedModel, Quiet, open_model, tell_model
from charrnn.cli.looking import TextInput
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render import evaluation as views
from charrnn.cli.render.novelty import write_novelty
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.errors import DataError, UsageError
from charrnn.files import check_new
from charrnn.messages import named
from charrnn.settings.fields import FORCE_HELP, IN, OUT, Settings, setting
from charrnn.settings.scoring import DynamicConfig, ScoringConfig

if TYPE_CHECKING:
    from charrnn.evaluation.evaluate import Reading
    from charrnn.evaluation.scoring import ScoreSums

__all__ = ["command"]

Values = dict[str, float | int | str | None]


@dataclass(frozen=True)
class EvalView(Settings):
    """Views of a text's scores other than their sums, one at a time."""

    per_line: bool = setting(False, "Show what each line costs.", panel=OUT)
    per_character: bool = setting(False, "Show what each character costs.", panel=OUT)
    classify: bool = setting(False, "Show the likeliest label of each document, or line.", panel=OUT)
    heat: bool = setting(False, "Show the text, shaded by how surprising each character is.", panel=OUT)
    html: str | None = setting(
        None,
        "Write the shaded text as a page in a new file, or - for standard output.",
        panel=OUT,
        metavar="FILE",
    )
    novelty: bool = setting(False, "Show how much of the text stands in the training text.", panel=OUT)
    corpus: tuple[str, ...] = setting(
        (),
        "Text that --novelty compares with (default: the training text). Can be given several times.",
        panel=IN,
        metavar="TEXT",
        shows_default=False,
    )

    def asked(self) -> list[str]:
        """Names of the views that were asked for."""
        views = ("per_line", "per_character", "heat", "html", "classify", "novelty")
        return [name for name in views if getattr(self, name) not in (False, None)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(asked := self.asked()) > 1:
            listed = " and ".join(map(named, asked))
            raise UsageError(f"{listed} are different views of the same scores; ask for one at a time")
        if self.corpus and not self.novelty:
            names = f"{named('corpus')} names the text that {named('novelty')} compares with"
            raise UsageError(f"{names}; it needs {named('novelty')}")


@dataclass(frozen=True)
class EvalOutput(Quiet):
    """Options for the form of the scores."""

    as_json: bool = setting(False, "Write JSON on stdout: an object, or lines of them.", panel=OUT, flag="--json")
    force: bool = setting(False, FORCE_HELP, panel=OUT)


@with_options
def command(
    source: TextInput,
    models: ModelsInput,
    scoring: ScoringConfig,
    dynamic: DynamicConfig,
    view: EvalView,
    output: EvalOutput,
) -> None:
    """The score is in bits per character; the end token of every document counts as one character.

    Several texts get a row each, and one for their sum. Several models get a row each, and one for their Bayes mixture,
    which begins with equal weights, and weighs each model by how well it has predicted the text so far.
    """
    _check(scoring, dynamic, view, output)
    if len(models.model) > 1:
        check_several(models.model, view.asked(), is_dynamic=dynamic.dynamic)
        read = partial(_read, sources=source.text, scoring=scoring, quiet=output.quiet)
        write_several(models.model, read, _values, as_json=output.as_json, quiet=output)
        return
    opened = open_model(models.model[0] if models.model else None)
    tell_model(opened, quiet=output)
    if view.novelty:
        write_novelty(
            opened.checkpoint,
            source.text,
            view.corpus,
            encoding=scoring.encoding,
            as_json=output.as_json,
            quiet=output.quiet,
        )
        return
    if view.classify and not opened.checkpoint.vocabulary.labels:
        with_labels = f"train one with {named('labels', True)}"
        raise UsageError(f"the model has no labels to choose from; {with_labels}")
    if len(source.text) > 1 and not view.asked() and not dynamic.dynamic:
        _write_scores(opened, source.text, scoring, output)
        return
    reading = _read(opened, source.text, scoring, output.quiet, may_lack_label=view.classify)
    if view.heat:
        views.write_heat(reading, quiet=output.quiet)
    elif view.html is not None:
        views.write_page(reading, view.html, replaces=output.force, quiet=output.quiet)
    elif view.classify:
        views.write_classes(reading, as_json=output.as_json, quiet=output.quiet)
    elif view.asked():
        views.write_rows(reading, per_line=view.per_line, as_json=output.as_json, quiet=output.quiet)
    else:
        _write_score(reading, str(opened.path), dynamic, output)


def _check(scoring: ScoringConfig, dynamic: DynamicConfig, view: EvalView, output: EvalOutput) -> None:
    """Raise UsageError for settings that do not go together."""
    asked = view.asked()
    as_json, windowed = named("as_json"), named("protocol", "windowed")
    if output.as_json and (view.heat or view.html is not None):
        has = f"{named('per_character')} {as_json} has what it shows"
        raise UsageError(f"{named(asked[0])} is a picture and has no {as_json}; {has}")
    if scoring.label is not None and (view.classify or view.novelty):
        reason = "finds labels out" if view.classify else "compares texts and scores nothing"
        raise UsageError(f"{named(asked[0])} {reason}; it cannot go with {named('label')}")
    if view.classify and scoring.protocol == "windowed":
        raise UsageError(f"{named('classify')} reads each document in one go; it cannot go with {windowed}")
    if dynamic.dynamic and (asked or scoring.protocol != "carried"):
        other = named(asked[0]) if asked else named("protocol", scoring.protocol)
        raise UsageError(f"{named('dynamic')} has figures of its own for all of a text; it cannot go with {other}")
    if view.html not in (None, "-") and not output.force:
        check_new(Path(str(view.html)))


def _read(
    opened: OpenedModel,
    sources: tuple[str, ...],
    scoring: ScoringConfig,
    quiet: bool,
    *,
    may_lack_label: bool = False,
    before: "Reading | None" = None,
) -> "Reading":
    """Open a text for the model to score, perhaps that of the reading `before`, and write the notices about it."""
    from charrnn.cli.render.display import working
    from charrnn.evaluation.evaluate import open_reading
    from charrnn.text.labels import UnlabelledError

    try:
        with working("reading", quiet):
            model = before.model if before else None
            reading = open_reading(
                opened.checkpoint, sources, **vars(scoring), may_lack_label=may_lack_label, model=model
            )
    except UnlabelledError as error:
        hint = (
            f"where it has none, {named('label')} says as which to read it, and {named('classify')} finds the likeliest"
        )
        raise DataError(f"{error.message.partition(chr(10))[0]}\n{hint}") from error
    for notice in reading.notices:
        note(notice, quiet=quiet)
    return reading


def _values(score: "ScoreSums") -> "Values":
    """The figures of a score by their names."""
    return {
        "nats_per_character": score.nats_per_character,
        "bits_per_character": score.bits_per_character,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
        "accuracy": score.accuracy,
        "nats": score.nats,
        "characters": score.characters,
        "unknown": score.unknown,
    }


def _about(reading: "Reading", model: str) -> "Values":
    """The protocol, the label if one was given, and the model."""
    label = {} if reading.label is None else {"label": reading.label}
    return {"protocol": reading.protocol, **label, "model": model}


def _write_scores(opened: OpenedModel, sources: tuple[str, ...], scoring: ScoringConfig, output: EvalOutput) -> None:
    """Write a row for each of several texts, and one for their sum."""
    from charrnn.cli.render.display import print_table, working
    from charrnn.evaluation.scoring import ScoreSums

    rows: list[tuple[str, ScoreSums]] = []
    reading = None
    for each in sources:
        reading = _read(opened, (each,), scoring, output.quiet, before=reading)
        with working(f"scoring {each}", output.quiet):
            score = reading.score()
        rows.append((each, score))
        for notice in reading.about_unknown(score):
            note(notice, quiet=output.quiet)
    assert reading is not None
    total = ScoreSums(*map(sum, zip(*(score for _, score in rows), strict=True)))
    rows.append(("sum", total))
    if is_terminal("stdout") and not output.as_json:
        shown = [(f"{s.bits_per_character:.4f}", f"{s.nats_per_character:.4f}", f"{s.characters:,}") for _, s in rows]
        cells = [(*numbers, name) for numbers, (name, _) in zip(shown, rows, strict=True)]
        print_table(("bits per character", "nats", "characters", "text"), cells)
        return
    if not output.as_json:
        note(f"columns: text, {', '.join(_values(total))}", quiet=output.quiet)
    writer = TextWriter("utf-8")
    for name, score in rows:
        values = _values(score)
        if output.as_json:
            writer.write(json_line({"text": name, **values, **_about(reading, str(opened.path))}))
        else:
            writer.write(columns_line(name, *values.values()))
    writer.close()


def _write_score(reading: "Reading", model: str, dynamic: DynamicConfig, output: EvalOutput) -> None:
    """Write the sums over all of the text: a table on a terminal, else lines or JSON.

    With dynamic evaluation, its figures follow under names of their own.
    """
    from charrnn.cli.render.display import score_table, working

    with working("scoring", output.quiet):
        score = reading.score()
    for notice in reading.about_unknown(score):
        note(notice, quiet=output.quiet)
    values = _values(score) | _about(reading, model)
    if dynamic.dynamic:
        from charrnn.evaluation.dynamic import DECAY, RATE, dynamic_score

        rate = RATE if dynamic.dynamic_rate is None else dynamic.dynamic_rate
        decay = DECAY if dynamic.dynamic_decay is None else dynamic.dynamic_decay
        with working("scoring and learning", output.quiet):
            adapted = dynamic_score(reading, rate=rate, decay=decay)
        values |= {
            "dynamic_nats_per_character": adapted.nats_per_character,
            "dynamic_bits_per_character": adapted.bits_per_character,
            "dynamic_rate": rate,
            "dynamic_decay": decay,
        }
    if is_terminal("stdout") and not output.as_json:
        score_table(reading.text, values)
        return
    lines = [json_line(values)] if output.as_json else [f"{name} {value}\n" for name, value in values.items()]
    writer = TextWriter("utf-8")  # whatever the locale says
    writer.write("".join(lines))
    writer.close()
