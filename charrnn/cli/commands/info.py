"""`charrnn info`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.common import MODEL_HELP, Quiet, find
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import json_line, on_one_line
from charrnn.errors import CheckpointError, UsageError
from charrnn.export.markdown import escaped
from charrnn.messages import named, safe
from charrnn.settings.fields import OUT, Settings, setting

if TYPE_CHECKING:
    from charrnn.checkpoint.description import Description

__all__ = ["command"]

Values = dict[str, Any]


@dataclass(frozen=True)
class InfoInput(Settings):
    """The model that is told about."""

    model: str | None = setting(None, MODEL_HELP, argument=True, shows_default=False)


@dataclass(frozen=True)
class InfoOutput(Quiet):
    """Options for what is looked at, and for the form of the facts."""

    check: bool = setting(False, "Read all of the model and verify it, the parts for resuming, too.", panel=OUT)
    as_json: bool = setting(False, "Write one JSON object on stdout.", panel=OUT, flag="--json")
    markdown: bool = setting(False, "Write a table in Markdown on stdout.", panel=OUT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.as_json and self.markdown:
            raise UsageError(f"{named('as_json')} and {named('markdown', True)} are two forms of the same; ask for one")


@with_options
def command(source: InfoInput, output: InfoOutput) -> None:
    """Its network, its text, its losses, the versions that made it, and how to sample it. Of a run's folder --check
    verifies every checkpoint; a damaged one is named, and the exit code is 4.
    """
    from charrnn.checkpoint.description import describe

    found = find(source.model)
    note(f"{found.path} ({found.why})", quiet=output.quiet)
    values = _values(describe(found.path))
    damaged: list[str] = []
    if output.check:
        values["checked"], damaged = _checked(found.path, of_all=Path(source.model or "") != found.path)
    writer = TextWriter("utf-8", escape=False if output.as_json else None)
    if output.as_json:
        writer.write(json_line(values))
    elif output.markdown:
        for line in _markdown(values):
            writer.write(line)
    elif is_terminal("stdout"):
        from charrnn.cli.render.display import score_table

        title, sample = values.pop("model"), values.pop("sample")
        score_table(title, {name: value if type(value) is int else _shown(value) for name, value in values.items()})
        writer.write(f"{sample}\n")  # in one piece, to be copied
    else:
        for name, value in values.items():
            writer.write(f"{name} {on_one_line(_shown(value))}\n")
    writer.close()
    if damaged:
        raise CheckpointError("\n".join(damaged[:3]))


def _values(about: "Description") -> Values:
    """The facts by name, in the order in which they are shown; what is not known is left out."""
    text, model, counters = about.config.text, about.config.model, about.counters
    options = {
        name: getattr(model, name)
        for name in ("dropout", "input_dropout", "recurrent_dropout", "zoneout", "residual", "ngrams")
        if getattr(model, name)
    }
    losses = {"validation": counters.loss, "best_validation": counters.best_loss}
    values: Values = {
        "model": str(about.path),
        "cell": model.cell,
        "layers": model.layers,
        "hidden_size": model.hidden_size,
        "encoder": model.encoder,
        "embedding_size": model.embedding_size,
        **options,
        "parameters": about.parameters,
        "unit": about.unit,
        "different_characters": about.characters,
        "labels": list(about.labels) or None,
        "text": list(text.corpus) or None,
        "text_sha256": about.config.record.corpus_sha256,
        "documents": text.documents,
        "trained_from": about.config.training.from_model,
        "step": counters.step,
        "characters_read": counters.characters,
        "seconds": counters.seconds,
        **{f"{name}_nats_per_character": loss for name, loss in losses.items()},
        **{f"{name}_bits_per_character": loss and loss / math.log(2) for name, loss in losses.items()},
        "best_step": counters.best_step,
        "can_resume": about.can_resume,
        "bytes": about.size,
        "format_version": about.format_version,
        "model_sha256": about.model_sha256,
        "versions": dict(about.versions) or None,
        "sample": f"charrnn sample --model {_quoted(about.path)}",
    }
    return {name: value for name, value in values.items() if value is not None}


def _quoted(path: Path) -> str:
    """A path as a shell takes it for one word."""
    import shlex

    return shlex.quote(str(path))


def _checked(chosen: Path, *, of_all: bool) -> tuple[dict[str, Values], list[str]]:
    """The parts of the chosen checkpoint, or of all in its folder, each sound or damaged; and the damage in lines."""
    from charrnn.checkpoint.format import check_file, from_file
    from charrnn.checkpoint.store import EXPORTED, Run

    results: dict[str, Values] = {}
    damaged: list[str] = []
    paths = Run(chosen.parent).checkpoints() if of_all else []
    for path in dict.fromkeys([*paths, chosen]):
        try:
            found = check_file(path)
        except CheckpointError as error:
            found = {"file": error.message}
        damaged += [f"{path}: {why}" if part != "file" else why for part, why in found.items() if why]
        results[path.name] = {part: why or "sound" for part, why in found.items()}
    if chosen.name == EXPORTED and not damaged:
        from charrnn.export.model_folder import differing_files

        differing = differing_files(from_file(chosen, training=True), chosen.parent)
        damaged += [f"{chosen.parent / name}: it does not say what {EXPORTED} says" for name in differing]
        results |= {name: {"file": "differs"} for name in differing}
    return results, damaged


def _shown(value: Any) -> str:
    """A value in words: a list with commas, a table as names and values."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and all(isinstance(each, dict) for each in value.values()):
        return "; ".join(f"{name}: {_shown(each)}" for name, each in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _markdown(values: Values) -> Iterator[str]:
    """A table with a row for each fact, below the model's name, and the command that samples it."""
    yield f"# {escaped(Path(values['model']).parent.name or values['model'])}\n\n| | |\n|---|---|\n"
    for name, value in values.items():
        if name != "sample":
            yield f"| {name.replace('_', ' ')} | {escaped(_shown(value))} |\n"
    yield f"\n    {safe(values['sample'])}\n"
