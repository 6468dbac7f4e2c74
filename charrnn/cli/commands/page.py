"""`charrnn page`."""

from dataclasses import dataclass
from pathlib import Path

from charrnn.cli.common import MODEL_HELP, ModelInput, OpenedModel, Quiet, open_model, tell_model
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.errors import UsageError
from charrnn.files import check_new, write_new
from charrnn.messages import counted, named, safe
from charrnn.settings.fields import FORCE_HELP, OUT, setting
from charrnn.settings.page import PageConfig

__all__ = ["command"]


@dataclass(frozen=True)
class PageInput(ModelInput):
    """The model, as an argument or as an option."""

    run: str | None = setting(None, MODEL_HELP, argument=True, metavar="MODEL", shows_default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run is not None and self.model is not None:
            raise UsageError(f"MODEL and {named('model')} both name the model; use one of them")


@dataclass(frozen=True)
class PageOutput(Quiet):
    """Options for the file of the page."""

    output: str | None = setting(
        None, "Write the page into a new file, or - for standard output.", panel=OUT, short="o", metavar="FILE"
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is None:
            raise UsageError(f"say where the page goes: {named('output', 'FILE.html')}, or - for standard output")


@with_options
def command(source: PageInput, config: PageConfig, output: PageOutput) -> None:
    """The page is one file that runs the model in any browser, opened from the disk, without a server or a network. It
    writes text, shows what comes next as one types, and shades a text by surprise.
    """
    path = str(output.output)
    if path != "-" and not output.force:
        check_new(Path(path))

    from charrnn.export.model_page import model_page

    opened = open_model(source.run or source.model, training=True)
    tell_model(opened, quiet=output)
    pieces = model_page(opened.checkpoint, _name(opened), config)
    if path == "-":
        writer = TextWriter("utf-8", escape=False)  # what a model or a name holds is escaped in the page
        for piece in pieces:
            writer.write(piece)
        writer.close()
        return
    write_new(Path(path), (piece.encode("utf-8", "surrogateescape") for piece in pieces), replaces=output.force)
    size = counted(Path(path).stat().st_size, "byte")
    note(f"the page is {path}, {size}; open it in a browser", quiet=output.quiet)


def _name(model: OpenedModel) -> str:
    """The name of a model's run, or that of its file where that lies alone."""
    is_of_run = (model.path.parent / "best").exists() or (model.path.parent / "latest").exists()
    return safe(model.path.absolute().parent.name if is_of_run else model.path.stem)
