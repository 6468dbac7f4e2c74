"""Options that most commands share, and the one place where commands open a model."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from charrnn.cli.process.stdin import pieces_of, stdin_is_piped, wait_for_stdin
from charrnn.cli.process.terminal import note
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import IN, OUT, QUIET_HELP, Settings, setting

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint
    from charrnn.checkpoint.store import FoundModel

__all__ = [
    "MODEL_HELP",
    "ModelInput",
    "ModelsInput",
    "OpenedModel",
    "PrimeInput",
    "Quiet",
    "find",
    "open_model",
    "tell_model",
    "weighted",
]

MODEL_HELP = "Checkpoint file, run folder or run name (default: the newest run in ./checkpoints, else the demo)."


@dataclass(frozen=True)
class ModelsInput(Settings):
    """The option that names one model, or several."""

    # CHARRNN_MODEL holds one path, which may have spaces in it; `open_model` reads it.
    model: tuple[str, ...] = setting(
        (), f"{MODEL_HELP} Can be given several times.", panel=IN, metavar="MODEL", has_variable=False
    )


@dataclass(frozen=True)
class ModelInput(Settings):
    """The option that names the model."""

    model: str | None = setting(None, MODEL_HELP, panel=IN, metavar="MODEL")


@dataclass(frozen=True)
class PrimeInput(Settings):
    """The text to go on from, in one of several ways."""

    text: str | None = setting(None, "Text to go on from.", argument=True, shows_default=False)
    prime: str | None = setting(
        None, "Text to go on from, as an option.", panel=IN, short="p", aliases=("--prompt",), metavar="TEXT"
    )
    prime_file: str | None = setting(
        None, "File with the text to go on from, or - for standard input.", panel=IN, metavar="FILE"
    )

    def given(self) -> list[str]:
        """Names of the ways in which a text was given; more than one is an error."""
        ways = {"TEXT": self.text, named("prime"): self.prime, named("prime_file"): self.prime_file}
        return [name for name, value in ways.items() if value is not None]

    def read(self, *, quiet: bool) -> "str | Iterator[bytes]":
        """The text, or its bytes in pieces: from a pipe, where nothing else is given.

        Raises:
            UsageError: it is given in two ways.
        """
        if len(given := self.given()) > 1:
            raise UsageError(f"{' and '.join(given)} both give the prime; use one of them")
        if self.prime_file is not None:
            return pieces_of(self.prime_file)
        if not given and stdin_is_piped():
            wait_for_stdin(quiet=quiet)
            return pieces_of("-")
        return self.text or self.prime or ""


@dataclass(frozen=True)
class Quiet(Settings):
    """The option to write only errors on stderr."""

    quiet: bool = setting(False, QUIET_HELP, panel=OUT, short="q")


class OpenedModel(NamedTuple):
    """A model, its checkpoint file, and the reason in words why this one was chosen."""

    path: Path
    why: str
    checkpoint: "Checkpoint"


def open_model(name: str | None, *, training: bool = False) -> OpenedModel:
    """Open the model of this name, else that of CHARRNN_MODEL, else the default one; `training` as for `load_model`.

    Where that is the demo although a folder above has runs, the person is told, however quiet the command is to be.
    """
    from charrnn.checkpoint.store import load_model

    found, checkpoint = load_model(_wanted(name), training=training)
    _tell_missed(found)
    return OpenedModel(*found, checkpoint)


def find(name: str | None) -> "FoundModel":
    """Find the model that `open_model` opens."""
    from charrnn.checkpoint.store import find_model

    found = find_model(_wanted(name))
    _tell_missed(found)
    return found


def _tell_missed(found: "FoundModel") -> None:
    from charrnn.checkpoint.store import runs_missed

    if missed := runs_missed(found):
        note(f"this is the demo: there is no run in this folder, but {missed} has some; name one by {named('model')}")


def _wanted(name: str | None) -> str | None:
    return name or os.environ.get("CHARRNN_MODEL") or None


def tell_model(model: OpenedModel, *more: str, quiet: Quiet) -> None:
    """Write on stderr which model was chosen and why, and `more` about it."""
    note(", ".join([f"{model.path} ({model.why})", *more]), quiet=quiet.quiet)


def weighted(name: str) -> tuple[str, float | None]:
    """The name of a model and its weight, from MODEL or MODEL:WEIGHT; a path that exists is a name as it stands.

    Raises:
        UsageError: the weight is not greater than 0.
    """
    from charrnn.checkpoint.store import named_run

    before, colon, after = name.rpartition(":")
    if not colon or os.path.exists(named_run(name)):  # noqa: PTH110 (which takes a name that no file can have)
        return name, None
    try:
        weight = float(after)
    except ValueError:
        return name, None
    if not 0 < weight < math.inf:
        raise UsageError(f"the weight of {before} must be a number greater than 0, got {after:.40}")
    return before, weight
