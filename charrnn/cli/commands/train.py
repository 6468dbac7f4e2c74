"""`charrnn train`."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from charrnn.cli.options import Given, with_options
from charrnn.cli.process.launcher import start, take_part
from charrnn.cli.process.rank import ProcessRank, own_process_rank
from charrnn.cli.process.signals import Stop, stop_on_signals
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.events import event_record
from charrnn.cli.render.score_rows import json_line
from charrnn.cli.render.tensorboard import TensorBoard, check_tensorboard
from charrnn.errors import UsageError, is_out_of_memory
from charrnn.messages import named
from charrnn.settings.fields import MACHINE, QUIET_HELP, Settings, setting
from charrnn.settings.model import ModelConfig, bidirectional_error
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record, TrainingConfig

if TYPE_CHECKING:
    from charrnn.checkpoint.store import Resumable
    from charrnn.events import Event

__all__ = ["command"]

_RUN = "Run"
_BUDGETS = ("time", "epochs", "steps")


@dataclass(frozen=True)
class RunName(Settings):
    """The option that names the run."""

    name: str | None = setting(
        None, "Name of the run's folder in ./checkpoints (default: after text and cell).", panel=_RUN, metavar="NAME"
    )


@dataclass(frozen=True)
class RunOptions(Settings):
    """The options of a run: its name and what is told of it."""

    config: str | None = setting(
        None, "Settings from a TOML file, such as a run's run.toml.", panel=_RUN, metavar="FILE"
    )
    resume: str | None = setting(
        None,
        "Go on with the newest run, or with MODEL. auto: with the run of --name, which it may begin.",
        panel=_RUN,
        metavar="[MODEL|auto]",
    )
    accept_new_corpus: bool = setting(False, "Resume though the text has changed since the run began.", panel=_RUN)
    keep_text: bool = setting(False, "Keep a copy of the text in the run, such as of standard input.", panel=_RUN)
    dry_run: bool = setting(False, "Say what would be done and how long it would take, and stop.", panel=_RUN)
    as_json: bool = setting(
        False, "Write the events of the training as JSON lines on stdout.", panel=_RUN, flag="--json"
    )
    tensorboard: bool = setting(
        False,
        "Write scalars for TensorBoard into the run's folder (pip install 'charrnn-text[tensorboard]').",
        panel=_RUN,
    )
    quiet: bool = setting(False, QUIET_HELP, panel=_RUN, short="q")
    nproc: int = setting(1, "Processes that train together, each on its own GPU.", panel=MACHINE, least=1, most=1024)
    bidirectional: bool = setting(False, "Refused, with the reason.", hidden=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional:
            raise bidirectional_error(named("bidirectional"))
        if self.dry_run and self.resume is not None:
            raise UsageError(f"{named('dry_run')} tells of a new run; leave {named('resume')} out")
        if self.keep_text and self.resume not in (None, "auto"):
            raise UsageError(f"{named('keep_text', True)} is for a new run; leave it out to go on with one")
        if self.accept_new_corpus and self.resume is None:
            resumed = f"{named('accept_new_corpus')} is for a {named('resume')} whose text has changed"
            raise UsageError(f"{resumed}; a new run takes any text")


@with_options
def command(given: Annotated[Given, TextConfig, ModelConfig, TrainingConfig, RunName], run: RunOptions) -> None:
    """Checkpoints land in ./checkpoints/NAME. Ctrl-C saves and says how to go on."""
    if run.tensorboard:
        check_tensorboard()
    process = own_process_rank(run.nproc)
    if process.rank:
        if not run.dry_run:
            take_part(process)
        return
    plan = _plan(given, run, is_told=process.meeting is not None)  # by who started this
    if run.dry_run:
        from charrnn.cli.commands.dry_run import describe

        describe(plan.config, plan.given.keys(), as_json=run.as_json, quiet=run.quiet)
        return
    if run.nproc > process.count:
        raise typer.Exit(start(run.nproc))
    with stop_on_signals(os.getppid() if process.count > 1 else None) as stop:
        _train(plan, run, process, stop)
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)


class _Plan(NamedTuple):
    """A run to go on with, or the name and configuration of a new one; and the settings that were given."""

    config: RunConfig
    given: Given
    name: str | None
    resumable: "Resumable | None" = None


def _plan(given: Given, run: RunOptions, *, is_told: bool) -> _Plan:
    name = given.pop("name", None)
    if run.resume is None or run.resume == "auto":
        if run.resume and not name:
            to = f"{named('resume', 'auto')} goes on with a run or begins it"
            raise UsageError(f"{to}; say which one by {named('name')}")
        return _Plan(*_configuration(given, run.config, is_told=is_told), name)
    if fixed := sorted(given.typed - {*_BUDGETS, "patience", "device"}):
        what = "the text" if "corpus" in fixed else named(fixed[0])
        recorded = f"{named('resume')} goes on with the recorded settings"
        raise UsageError(f"{recorded}; only the budget and the device can change, not {what}")
    from charrnn.checkpoint.store import find_resumable

    typed = Given({key: value for key, value in given.items() if key in given.typed})
    return _Plan(RunConfig(), typed, None, find_resumable(run.resume))


def _train(plan: _Plan, run: RunOptions, process: ProcessRank, stop: Stop) -> None:
    """Run the training and show it; a signal makes it save and end."""
    from charrnn.cli.render.display import training_display
    from charrnn.events import Began

    writer, is_over = TextWriter("utf-8") if run.as_json else None, False
    scalars = TensorBoard() if run.tensorboard else None
    in_lines = run.as_json and is_terminal("stdout")  # where JSON would break the live picture
    try:
        with training_display(run.quiet, in_lines=in_lines) as show, _others(process):
            for event in _events(plan, run, stop):
                if isinstance(event, Began):
                    stop.run = event.run
                show(event)
                if scalars:
                    scalars.take(event)
                if writer:
                    writer.write(json_line(event_record(event)))
                    writer.close()
            is_over = True
    except OSError:
        if not is_over:
            raise  # else it was the display, on a terminal that is gone
    except Exception as error:
        if stop.run is None and is_out_of_memory(error):  # before the first step, so it is for the weights
            error.add_note(f"the network is too large: lower {named('hidden_size')} first, then {named('layers')}")
        raise
    except KeyboardInterrupt:
        note(f"stopped at once, {f'in {stop.run}' if stop.run else 'before the training began'}", quiet=run.quiet)


def _events(plan: _Plan, run: RunOptions, stop: Stop) -> "Iterator[Event]":
    """Begin a training, or go on with one; its events."""
    from charrnn.training import loop  # takes a second or two, with a sign of life from the display

    accepts, keeps = run.accept_new_corpus, run.keep_text
    if plan.resumable is not None:
        return loop.resume(plan.resumable, plan.given, stop, accept_new_corpus=accepts)
    if run.resume == "auto" and plan.name is not None:
        return loop.train_or_resume(
            plan.config, plan.name, plan.given, stop, accept_new_corpus=accepts, keep_text=keeps
        )
    return loop.train(plan.config, plan.name, stop, given=plan.given.keys(), keep_text=keeps)


def _others(process: ProcessRank) -> AbstractContextManager[object]:
    """Join the processes that train with this one, while the context is open."""
    from charrnn.distributed import joined

    return joined(process.rank, process.count, process.meeting)


def _configuration(given: Given, path: str | None, *, is_told: bool) -> tuple[RunConfig, Given]:
    """The configuration (flags go before environment, file and defaults) and the settings that were given."""
    recorded = _read(path) if path is not None else RunConfig()
    if any(budget in given for budget in _BUDGETS):
        given = Given(dict.fromkeys(_BUDGETS) | given)  # a budget replaces the recorded one, whatever its kind
    config = recorded.override(given)
    if config != recorded and recorded.record.plan:
        note(f"some settings differ from {path}: this is a new run, not a repeat of the recorded one", quiet=is_told)
        config = replace(config, record=Record())
    if "-" in config.text.corpus and sys.stdin is not None and sys.stdin.isatty():
        note("reading the text from this terminal; end it with Ctrl-D")
    in_file = {
        name: value
        for section in (recorded.text, recorded.model, recorded.training)
        for name, value in section.chosen().items()
    }
    return config, Given(in_file | given)


def _read(path: str) -> RunConfig:
    import tomllib

    try:
        tables = tomllib.loads(Path(path).read_text("utf-8-sig"))  # as some editors begin a file with a mark
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise UsageError(f"{path} is not TOML: {error}") from error
    return RunConfig.from_mapping(tables, path)
