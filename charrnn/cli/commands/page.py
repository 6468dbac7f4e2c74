"""`charrnn page`."""

from dataclasses import dataclass

from charrnn.cli.common import MODEL_HELP, ModelInput, OpenedModel, open_model, tell_model
from charrnn.cli.options import with_options
from charrnn.cli.page_output import PageOutput
from charrnn.errors import UsageError
from charrnn.messages import named, safe
from charrnn.settings.fields import setting
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


@with_options
def command(source: PageInput, config: PageConfig, output: PageOutput) -> None:
    """The page is one file that runs the model in any browser, opened from the disk, without a server or a network. It
    writes text, shows what comes next as one types, and shades a text by surprise.
    """
    output.check()

    from charrnn.export.model_page import model_page

    opened = open_model(source.run or source.model, training=True)
    tell_model(opened, quiet=output)
    output.write(model_page(opened.checkpoint, _name(opened), config))
    output.tell()


def _name(model: OpenedModel) -> str:
    """The name of a model's run, or that of its file where that lies alone."""
    is_of_run = (model.path.parent / "best").exists() or (model.path.parent / "latest").exists()
    return safe(model.path.absolute().parent.name if is_of_run else model.path.stem)
