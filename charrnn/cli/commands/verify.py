"""`charrnn verify`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn.cli.common import Quiet
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal
from charrnn.cli.render.score_rows import json_line
from charrnn.errors import CheckpointError, DataError, UsageError
from charrnn.settings.fields import OUT, Settings, setting

if TYPE_CHECKING:
    from charrnn.checkpoint.store import Run
    from charrnn.training.verification import Verification

__all__ = ["command"]


@dataclass(frozen=True)
class VerifyInput(Settings):
    """The run that is repeated."""

    run: str = setting("", "Folder or name of the run.", argument=True, shows_default=False)


@dataclass(frozen=True)
class VerifyOutput(Quiet):
    """Options for the form of the result."""

    as_json: bool = setting(False, "Write the result as one JSON object on stdout.", panel=OUT, flag="--json")


@with_options
def command(source: VerifyInput, output: VerifyOutput) -> None:
    """The repeat takes as long as the run did, reads its text and its run.toml, and writes nothing into its folder.
    Weights and losses that are the same digit for digit give exit code 0; else it is 3, and what differs is named.
    """
    run = _run(source.run)

    from charrnn.cli.render.display import score_table

    found = _repeated(run, output.quiet)
    values = _values(found)
    if is_terminal("stdout") and not output.as_json:
        score_table(f"{run.path}, repeated", dict(_shown(values)))
    else:
        writer = TextWriter("utf-8")
        lines = [json_line(values)] if output.as_json else [f"{name} {value}\n" for name, value in _shown(values)]
        writer.write("".join(lines))
        writer.close()
    if not found.is_same:
        raise DataError(_difference(found))


def _run(name: str) -> "Run":
    from charrnn.checkpoint.store import Run, named_run

    if not name:
        raise UsageError("name a run: charrnn verify checkpoints/hamlet-gru")
    path = named_run(name)
    if not path.is_dir():
        raise CheckpointError(f"there is no run at {path}; a run is a folder in ./checkpoints")
    return Run(path)


def _repeated(run: "Run", quiet: bool) -> "Verification":
    """Repeat the run, and show how it goes."""
    from charrnn.cli.render.display import training_display
    from charrnn.events import Reported, Sampled, Validated
    from charrnn.training.verification import verify

    repeat = verify(run)
    with training_display(quiet) as show:
        while True:
            try:
                event = next(repeat)
            except StopIteration as end:
                found: Verification = end.value
                return found
            if isinstance(event, Reported | Sampled | Validated):  # its folder and its end are nobody's concern
                show(event)


def _values(found: "Verification") -> dict[str, Any]:
    first = found.first_difference
    return {
        "same": found.is_same,
        "step": found.step,
        "losses_compared": found.losses,
        "first_difference": first and first._asdict(),
        "weights_same": {str(step): same for step, same in found.weights.items()},
        "settings_edited": found.settings,
        "versions_differ": {name: list(pair) for name, pair in found.versions.items()},
    }


def _shown(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values in words."""
    for name, value in values.items():
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {_word(each)}" for key, each in value.items())
            yield name, shown or "none"
        elif isinstance(value, list):
            yield name, ", ".join(value) or "none"
        else:
            yield name, _word(value)


def _word(value: Any) -> Any:
    if isinstance(value, list):
        return f"{value[0] or 'absent'}, now {value[1] or 'absent'}"
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else value


def _difference(found: "Verification") -> str:
    """A message on what differs, and what may be the reason."""
    if first := found.first_difference:
        what = f"the {first.kind} loss at step {first.step:,} was {first.recorded}, is {first.repeated}"
    else:
        steps = ", ".join(f"{step:,}" for step, same in found.weights.items() if not same)
        what = f"all losses are the same, but not the weights at step {steps}"
    if found.settings:
        why = f"run.toml was edited: it has another {', '.join(found.settings)} than the checkpoint"
    elif found.versions:
        why = "other than then: " + ", ".join(f"{name} {_word(list(pair))}" for name, pair in found.versions.items())
    else:
        why = "the versions are the same; another processor may sum in another order"
    return f"the run does not repeat: {what}\n{why}"
