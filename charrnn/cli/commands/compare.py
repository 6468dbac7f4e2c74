"""`charrnn compare`."""

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn.cli.common import Quiet
from charrnn.cli.options import Given, Part, with_options
from charrnn.cli.process.signals import Stop, stop_on_signals
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.score_rows import json_line
from charrnn.errors import CharrnnError, DivergedError, UsageError
from charrnn.messages import named
from charrnn.settings.fields import OUT, setting
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.search import Search
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig

if TYPE_CHECKING:
    from charrnn.training.comparison import Compared

__all__ = ["command"]

_USUAL_SECONDS = 180.0

# Settings that are not searched and are the same for all cells.
_TRAINING = Part(
    TrainingConfig,
    (
        *("time", "steps", "batch_size", "sequence_length", "optimizer", "weight_decay"),
        *("warmup_steps", "gradient_clip", "seed", "device"),
    ),
)
_MODEL = Part(
    ModelConfig,
    ("layers", "encoder", "embedding_size", "dropout", "input_dropout", "recurrent_dropout", "zoneout", "residual"),
)


@dataclass(frozen=True)
class CompareOutput(Quiet):
    """Options for the form of the rows."""

    as_json: bool = setting(
        False, "Write a JSON object for each cell on stdout, as soon as it is known.", panel=OUT, flag="--json"
    )


@with_options
def command(given: Annotated[Given, TextConfig, _MODEL, _TRAINING], search: Search, output: CompareOutput) -> None:
    """For each core some short trials of learning rates (and sizes) on the training text alone, then a run in
    ./checkpoints with the best of them, whose last checkpoint is scored on the held-out text, as eval does. Rows of
    what needs no network, on the same text: Kneser-Ney n-grams, xz, and PPMd, where pyppmd is installed.

    With --json: cell, trials, learning_rate, layers, hidden_size, parameters,
    nats_per_character, bits_per_character, windowed_bits_per_character,
    trained_characters_per_second, sampled_characters_per_second, steps, seconds,
    run, checkpoint, diverged, kind (network, n-gram or compressor), order, the
    spreads of the three losses, and seeds, which has the losses, run and
    checkpoint of each seed. Each of the trials: cell, learning_rate,
    hidden_size, loss (in nats). What is not known, where one diverged, is null.
    """
    usual = {} if "steps" in given else {"time": _USUAL_SECONDS}
    config = RunConfig().override({**usual, **given, "cell": search.cells[0]})
    if not config.text.validation:
        held_out = "the cells are compared on text that is held out"
        raise UsageError(f"{held_out}; {named('validation')} must be more than 0")
    if not config.text.corpus:
        raise UsageError("no text given: name files, folders or globs, or - for standard input")
    writer = TextWriter("utf-8")  # whatever the locale says
    rows: list[Compared] = []
    with stop_on_signals() as stop:
        try:
            _compare(config, search, stop, rows, writer if output.as_json else None, output.quiet)
        except KeyboardInterrupt:
            note("stopped at once", quiet=output.quiet)
        finally:
            if rows and not output.as_json:
                # After a request to stop, nobody may be there to read it any more.
                with contextlib.suppress(*((CharrnnError, OSError) if stop() else ())):
                    _write_table(rows, writer)
            if rows and (said := _verdict(rows)):
                note(said, quiet=output.quiet)
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)
    if all(row.diverged is not None for row in rows if row.kind == "network"):
        raise DivergedError(f"every cell diverged; compare again with lower {named('learning_rates')}")


def _compare(
    config: RunConfig, search: Search, stop: Stop, rows: "list[Compared]", json_lines: TextWriter | None, quiet: bool
) -> None:
    """Run the comparison, show it, and gather its rows; a signal lets a run save, and ends a trial."""
    from charrnn.cli.render.comparison import comparison_display
    from charrnn.events import Began, Finished

    watched = is_terminal("stderr")
    shares_terminal = watched and is_terminal(
        "stdout"
    )  # JSON would break the live picture, and so would a table after it
    live, is_over = watched and not (shares_terminal and json_lines), False
    try:
        with comparison_display(quiet, live=live, transient=shares_terminal) as show:
            # A second or two, with a sign of life from the display.
            from charrnn.training.comparison import Compared, Started, compare

            is_trial = True
            with contextlib.closing(compare(config, search, stop)) as events:
                for event in events:
                    if isinstance(event, Started):
                        is_trial = event.trial is not None
                    elif isinstance(event, Began) and not is_trial:
                        stop.run = event.run
                    elif isinstance(event, Finished):
                        stop.run = None
                    elif isinstance(event, Compared):
                        stop.run = None  # diverged, perhaps
                        rows.append(event)
                        if json_lines:
                            json_lines.write(json_line(asdict(event)))
                            json_lines.close()
                    show(event)
            is_over = True
    except OSError:
        if not is_over:
            raise  # else it was the display, on a terminal that is gone


def _verdict(rows: "list[Compared]") -> str | None:
    from charrnn.cli.render.comparison import verdict

    return verdict(rows)


def _write_table(rows: "list[Compared]", writer: TextWriter) -> None:
    from charrnn.cli.render.comparison import plain_table, show_table

    if is_terminal("stdout"):
        show_table(rows)
    else:
        writer.write(plain_table(rows))
        writer.close()
