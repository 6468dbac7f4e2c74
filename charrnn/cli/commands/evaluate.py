"""`charrnn eval`."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render import evaluation as views
from charrnn.cli.render.novelty import write_novelty
from charrnn.config import TrainingConfig, check_range
from charrnn.errors import UsageError
from charrnn.evaluation.protocols import WINDOW

if TYPE_CHECKING:
    from charrnn.evaluation.evaluate import Reading

__all__ = ["command"]


def command(
    text: options.Text = None,
    model: options.Model = None,
    protocol: options.Protocol = "carried",
    window: options.Window = WINDOW,
    encoding: options.TextEncoding = None,
    device: options.Device = TrainingConfig.device,
    per_line: options.PerLine = False,
    per_character: options.PerCharacter = False,
    classify: options.Classify = False,
    heat: options.Heat = False,
    html: options.Html = None,
    novelty: options.Novelty = False,
    corpus: options.CopiedCorpus = None,
    dynamic: options.Dynamic = False,
    dynamic_rate: options.DynamicRate = None,
    dynamic_decay: options.DynamicDecay = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score a text: charrnn eval held-out.txt

    How many bits a character costs the model; every document's end token counts as one character.
    """
    check_range("window", window, least=1, most=2**30)
    flags = {"--per-line": per_line, "--per-character": per_character, "--heat": heat, "--html": html is not None}
    flags |= {"--classify": classify, "--novelty": novelty}
    asked = [name for name, is_asked in flags.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are different views of the same scores; ask for one at a time")
    if as_json and (heat or html is not None):
        raise UsageError(f"{asked[0]} is a picture and has no --json; --per-character --json has what it shows")
    if corpus and not novelty:
        raise UsageError("--corpus names the text that --novelty compares with; it needs --novelty")
    if classify and protocol == "windowed":
        raise UsageError("--classify reads each document in one go; it cannot go with --protocol windowed")
    _check_dynamic(dynamic, dynamic_rate, dynamic_decay, asked, protocol)

    from charrnn.checkpoint.store import load_model
    from charrnn.cli.render.display import working

    found, checkpoint = load_model(model)
    note(f"{found.path} ({found.why})", quiet=quiet)
    if novelty:
        write_novelty(checkpoint, text or [], corpus or [], encoding=encoding, as_json=as_json, quiet=quiet)
        return
    if classify and not checkpoint.vocabulary.labels:
        raise UsageError("the model has no labels to choose from; train one that has by charrnn train --labels")
    from charrnn.evaluation.evaluate import open_reading

    with working("reading", quiet):
        reading = open_reading(
            checkpoint,
            tuple(text or ()),
            encoding=encoding,
            protocol=protocol,
            window=window,
            device=device,
            may_lack_label=classify,
        )
    for notice in reading.notices:
        note(notice, quiet=quiet)
    if heat:
        views.write_heat(reading, quiet=quiet)
    elif html is not None:
        views.write_page(reading, html, quiet=quiet)
    elif classify:
        views.write_classes(reading, as_json=as_json, quiet=quiet)
    elif asked:
        views.write_rows(reading, per_line=per_line, as_json=as_json, quiet=quiet)
    else:
        learning = (dynamic_rate, dynamic_decay) if dynamic else None
        _write_score(reading, str(found.path), learning, as_json=as_json, quiet=quiet)


def _check_dynamic(dynamic: bool, rate: float | None, decay: float | None, asked: Sequence[str], protocol: str) -> None:
    if not dynamic and not rate is decay is None:
        raise UsageError("--dynamic-rate and --dynamic-decay say how --dynamic learns; they need --dynamic")
    if dynamic and (asked or protocol != "carried"):
        other = asked[0] if asked else f"--protocol {protocol}"
        raise UsageError(f"--dynamic has figures of its own for all of a text; it cannot go with {other}")
    check_range("dynamic-rate", rate, least=0, most=1)
    check_range("dynamic-decay", decay, least=0, most=1)


def _write_score(
    reading: "Reading",
    model: str,
    learning: tuple[float | None, float | None] | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """The sums over all of the text: a table on a terminal, else lines or JSON.

    Under `learning`, the rate and decay of dynamic evaluation, its figures follow, under names of their own.
    """
    from charrnn.cli.render.display import score_table, working

    with working("scoring", quiet):
        score = reading.score()
    values: dict[str, float | int | str | None] = {
        "nats_per_character": score.nats_per_character,
        "bits_per_character": score.bits_per_character,
        "bits_per_byte": score.bits_per_byte,
        "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
        "accuracy": score.accuracy,
        "nats": score.nats,
        "characters": score.characters,
        "unknown": score.unknown,
        "protocol": reading.protocol,
        "model": model,
    }
    if learning is not None:
        from charrnn.evaluation.dynamic import DECAY, RATE, dynamic_score

        rate, decay = (
            given if given is not None else usual for given, usual in zip(learning, (RATE, DECAY), strict=True)
        )
        with working("scoring and learning", quiet):
            adapted = dynamic_score(reading, rate=rate, decay=decay)
        values |= {
            "dynamic_nats_per_character": adapted.nats_per_character,
            "dynamic_bits_per_character": adapted.bits_per_character,
            "dynamic_rate": rate,
            "dynamic_decay": decay,
        }
    if is_terminal("stdout") and not as_json:
        score_table(reading.text, values)
        return
    lines = [json.dumps(values)] if as_json else [f"{name} {value}" for name, value in values.items()]
    writer = TextWriter("utf-8")  # whatever the locale says
    writer.write("".join(f"{line}\n" for line in lines))
    writer.close()
