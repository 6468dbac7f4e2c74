"""Options that several commands share, and the one place where commands open a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.process.stdin import pieces_of, stdin_is_piped, wait_for_stdin
from charrnn.cli.process.terminal import note
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import DEVICE_HELP, FORCE_HELP, JSON_LINES_HELP, QUIET_HELP, Settings, setting
from charrnn.settings.sampling import IN, MACHINE, OUT, EngineConfig
from charrnn.settings.training import Device

if TYPE_CHECKING:
    from charrnn.api import Model

__all__ = [
    "MODEL_HELP",
    "DeviceChoice",
    "LineJson",
    "ModelInput",
    "PictureOutput",
    "PrimeInput",
    "Quiet",
    "TextInput",
    "open_model",
    "tell_model",
]

MODEL_HELP = "Checkpoint file, run folder or run name (default: the newest run in ./checkpoints, else the demo)."


@dataclass(frozen=True)
class ModelInput(Settings):
    """Which model is meant."""

    model: str | None = setting(None, MODEL_HELP, panel=IN, metavar="MODEL", kind="run")


@dataclass(frozen=True)
class TextInput(Settings):
    """The text to look at."""

    text: tuple[str, ...] = setting(
        (),
        "The text to score, given as for train (default: the model's own validation text).",
        argument=True,
        shows_default=False,
    )


@dataclass(frozen=True)
class PrimeInput(Settings):
    """The text to go on from, in one of several ways."""

    text: str | None = setting(None, "Text to go on from.", argument=True, shows_default=False)
    prime: str | None = setting(
        None, "Text to go on from, as an option.", panel=IN, short="p", aliases=("--prompt",), metavar="TEXT"
    )
    prime_file: str | None = setting(
        None, "File with the text to go on from, or - for standard input.", panel=IN, metavar="FILE", kind="file"
    )

    def given(self) -> list[str]:
        """Names of the ways that were taken, of which there may be one."""
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
    """Whether to say anything beside the product."""

    quiet: bool = setting(False, QUIET_HELP, panel=OUT, short="q")


@dataclass(frozen=True)
class LineJson(Settings):
    """Whether the product is JSON, an object a line."""

    as_json: bool = setting(False, JSON_LINES_HELP, panel=OUT, flag="--json")


@dataclass(frozen=True)
class DeviceChoice(Settings):
    """What computes."""

    device: Device = setting("auto", DEVICE_HELP, panel=MACHINE)


@dataclass(frozen=True)
class PictureOutput(Settings):
    """Where a picture goes."""

    plot: str | None = setting(
        None,
        "Draw a picture in a new file, .png or .svg (pip install 'charrnn-text[plot]').",
        panel=OUT,
        metavar="FILE",
        kind="file",
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)


def open_model(name: str | None, engine: EngineConfig | None = None) -> "Model":
    """The model that is meant."""
    from charrnn.api import load

    return load(name, **(vars(engine) if engine else {}))


def tell_model(model: "Model", *more: str, quiet: Quiet) -> None:
    """Say which model was taken, and why, and what else there is to say of it."""
    note(", ".join([f"{model.path} ({model.why})", *more]), quiet=quiet.quiet)
