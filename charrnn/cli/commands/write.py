"""`charrnn write`."""

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn.cli.common import MODEL_HELP, open_model
from charrnn.cli.options import Given, Part, with_options
from charrnn.cli.process.screen import check_terminal, whole_terminal
from charrnn.cli.process.stdin import stdin_is_piped
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.errors import CharrnnError, UsageError
from charrnn.settings.fields import IN, LABEL_HELP, Settings, setting
from charrnn.settings.sampling import DRAWN, SamplingConfig

if TYPE_CHECKING:
    from charrnn.writing.desk import Desk

__all__ = ["command"]

_DRAWING = Part(
    SamplingConfig,
    (
        *("temperature", "top_k", "top_p", "min_p", "typical"),
        *("repetition_penalty", "repetition_window", "allow", "ban", "seed"),
    ),
)


@dataclass(frozen=True)
class WriteInput(Settings):
    """The file of the text, the models and the extent of a suggestion."""

    file: str | None = setting(
        None,
        "File of the text, which may be new; - writes it to standard output at the end.",
        argument=True,
        shows_default=False,
    )
    model: tuple[str, ...] = setting(
        (),
        f"{MODEL_HELP[:-1]}. Can be given several times: a key switches between them.",
        panel=IN,
        metavar="MODEL",
        has_variable=False,  # CHARRNN_MODEL names one
        shows_default=False,
    )
    label: str | None = setting(None, LABEL_HELP, panel=IN, metavar="LABEL")
    suggest: Literal["word", "line", "sentence"] = setting(
        "word", "How much is suggested at first; keys change it.", panel=DRAWN
    )


@with_options
def command(wanted: WriteInput, given: Annotated[Given, _DRAWING]) -> None:
    """An editor on the whole terminal: behind the cursor stands in grey what the model would write. Tab takes it, F1
    shows all keys.

    It needs Textual, which the extra `write` installs.
    """
    config = SamplingConfig(**given, label=wanted.label)
    check_terminal()
    if importlib.util.find_spec("textual") is None:
        raise UsageError("the editor needs Textual, which is not installed: pip install 'charrnn-text[write]'")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # one character's products are too small to share

    from dataclasses import replace

    from charrnn.sampling.stream import random_seed
    from charrnn.writing.desk import Desk
    from charrnn.writing.text_file import decoded
    from charrnn.writing.voice import Voice

    is_piped = wanted.file == "-"
    path = None if wanted.file is None or is_piped else Path(wanted.file)
    config = replace(config, seed=random_seed() if config.seed is None else config.seed)
    opened = [open_model(name) for name in wanted.model or (None,)]
    voices = [Voice(_name(each.path), each.checkpoint, config) for each in opened]
    has_text = path is None and stdin_is_piped()
    desk = Desk(path, decoded(sys.stdin.buffer.read(), "standard input") if has_text else "")

    with whole_terminal():
        from charrnn.cli.render.writing.app import WriteApp

        app = WriteApp(desk, voices, config, wanted.suggest, is_piped=is_piped)
        app.run()
    code = app.return_code or 0
    try:
        if is_piped and code == 0:
            _write_out(desk)
    finally:
        _tell_kept(desk, wanted.file)
    if app.failure is not None:
        raise app.failure
    raise typer.Exit(code)


def _name(model: Path) -> str:
    """The name of a model: that of its run, or of its file."""
    return model.parent.name if model.name.startswith("step-") else model.stem


def _write_out(desk: "Desk") -> None:
    """Write the text to standard output; what cannot be written is kept."""
    try:
        writer = TextWriter("utf-8")
        writer.write(desk.manuscript.text)
        writer.close()
    except CharrnnError:
        desk.keep()
        raise
    desk.give_up()


def _tell_kept(desk: "Desk", name: str | None) -> None:
    if (kept := desk.recovery.path) is not None:
        note(f"the text is kept in {kept}; charrnn write{'' if name is None else f' {name}'} offers it again")
