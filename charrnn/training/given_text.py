"""Training on a text that is given as a string; the run's folder keeps it, so that the run is like any other."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

from charrnn.checkpoint.store import Run
from charrnn.errors import DataError
from charrnn.events import Event, Notice
from charrnn.settings.run import RunConfig
from charrnn.training.loop import default_name, train_prepared
from charrnn.training.setup import prepare

__all__ = ["train_text"]


def train_text(
    config: RunConfig, text: str, name: str | None, stop: Callable[[], bool], *, given: Collection[str] = ()
) -> Iterator[Event]:
    """Train a new model on `text`, which becomes text.txt in the run's folder; otherwise as `loop.train`.

    Raises:
        DataError: the text has a lone surrogate, which is no character.
        CharrnnError: as `loop.train`.
    """
    try:
        data = text.encode(config.text.encoding)
    except UnicodeEncodeError as error:
        raise DataError(f"character {error.start} of the text cannot be written in {config.text.encoding}") from error
    with tempfile.TemporaryDirectory(prefix="charrnn-") as folder:  # the run's name depends on what is chosen for it
        path = Path(folder, "text.txt")
        path.write_bytes(data)
        setup = prepare(config.override({"corpus": (str(path),)}), given, keep_text=True)
    yield from map(Notice, setup.notices)
    run = Run.create(name or default_name(setup.config))
    config = setup.config.override({"corpus": (str(run.path / path.name),)})
    yield from train_prepared(replace(setup, config=config), run, stop)
