"""`charrnn export`."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charrnn.cli.common import MODEL_HELP, OpenedModel, Quiet, tell_model
from charrnn.cli.options import flag_of, with_options
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.errors import UsageError
from charrnn.settings.fields import IN, OUT, Settings, declared, setting
from charrnn.settings.run import RunConfig

__all__ = ["command", "training_command"]


@dataclass(frozen=True)
class ExportInput(Settings):
    """The model, the folder for it, and what only a person knows about it."""

    model: str = setting("", MODEL_HELP.partition(" (")[0] + ".", argument=True, shows_default=False)
    folder: str = setting("", "New or empty folder.", argument=True, shows_default=False)
    license: str | None = setting(
        None, "Licence of the model, for its card, such as mit or cc-by-4.0.", panel=IN, metavar="ID"
    )
    network_only: bool = setting(False, "Leave out the n-grams, and with them the text.", panel=IN)
    language: tuple[str, ...] = setting(
        (), "Language of its text, for its card, such as en. Can be given several times.", panel=IN, metavar="CODE"
    )


@dataclass(frozen=True)
class ExportOutput(Quiet):
    """Options for what is written and told."""

    as_json: bool = setting(
        False, "Write the names and sizes of the files as one JSON object.", panel=OUT, flag="--json"
    )
    force: bool = setting(False, "Write into a folder that is not empty, and overwrite these files.", panel=OUT)


@with_options
def command(source: ExportInput, output: ExportOutput) -> None:
    """The folder has model.safetensors (the weights, without what resuming needs), config.json, vocabulary.json,
    run.toml, and a model card in README.md as model hubs read it. --model FOLDER works wherever a model is asked for.

    A model with n-grams has its text in it; --network-only leaves both out. A text or a model that was named by an
    absolute path keeps only its name, so that no folder of yours is told.
    """
    if not source.model or not source.folder:
        raise UsageError("name a model and a folder for it: charrnn export checkpoints/hamlet-gru hamlet")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one character's products are too small to share

    from charrnn.checkpoint.format import from_file
    from charrnn.checkpoint.store import find_model
    from charrnn.export.model_folder import CardWords, card_sampling, prepare_folder, shareable, write_folder

    found = find_model(source.model)
    whole = from_file(found.path, training=True)
    checkpoint = shareable(whole, network_only=source.network_only)
    tell_model(OpenedModel(*found, checkpoint), quiet=output)
    folder = Path(source.folder)
    prepare_folder(folder, replaces=output.force)
    use = "charrnn sample --model ."
    card = CardWords(
        use=use,
        train=training_command(checkpoint.config),
        repeat="charrnn train --config run.toml",
        sample=f"{use} {shlex.join(_options(card_sampling(checkpoint.config)))}",
        license=source.license,
        languages=source.language,
        lacks_ngrams=whole.ngrams is not None and checkpoint.ngrams is None,
    )
    sizes = write_folder(checkpoint, folder, card)
    if not source.license:
        note("the card names no licence; --license adds one", quiet=output.quiet)
    writer = TextWriter("utf-8")
    if output.as_json:
        writer.write(json_line({"folder": str(folder), "files": sizes}))
    else:
        note("columns: file, bytes", quiet=output.quiet)
        for name, size in sizes.items():
            writer.write(columns_line(folder / name, size))
    writer.close()


def training_command(config: RunConfig) -> str:
    """The command that trains with the same settings, as somebody would type it."""
    options = [word for section in (config.text, config.model, config.training) for word in _options(section)]
    return shlex.join(["charrnn", "train", *config.text.corpus, *options])


def _options(group: Settings) -> Iterator[str]:
    """The words of the options that make a group of settings."""
    for name, value in group.chosen().items():
        declaration = declared(type(group))[name]
        if declaration.argument:
            continue
        if isinstance(value, bool):
            yield flag_of(name, declaration) if value else str(declaration.off)
        else:
            yield flag_of(name, declaration)
            yield f"{value:f}".rstrip("0").rstrip(".") if name == "time" else str(value)
