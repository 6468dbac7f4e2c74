"""`charrnn compare`."""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeVar

import typer

from charrnn.cli import options
from charrnn.cli.process.signals import Stop, stop_on_signals
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.config import ModelConfig, RunConfig, TextConfig, TrainingConfig, flag, parse_duration
from charrnn.errors import CharrnnError, DivergedError, UsageError
from charrnn.recurrent.registry import CORES

if TYPE_CHECKING:
    from charrnn.training.comparison import Compared
    from charrnn.training.search import Search

__all__ = ["command"]

_ALL = ",".join(CORES)
_Number = TypeVar("_Number", int, float)


def command(
    context: typer.Context,
    corpus: options.Corpus = None,
    time: options.Time = "3m",
    steps: options.Steps = None,
    trial_time: options.TrialTime = None,
    trial_steps: options.TrialSteps = None,
    cells: options.Cells = _ALL,
    layers: options.Layers = ModelConfig.layers,
    hidden_sizes: options.HiddenSizes = None,
    encoder: options.Encoder = ModelConfig.encoder,
    embedding_size: options.EmbeddingSize = ModelConfig.embedding_size,
    dropout: options.Dropout = ModelConfig.dropout,
    input_dropout: options.InputDropout = ModelConfig.input_dropout,
    recurrent_dropout: options.RecurrentDropout = ModelConfig.recurrent_dropout,
    zoneout: options.Zoneout = ModelConfig.zoneout,
    residual: options.Residual = ModelConfig.residual,
    documents: options.Documents = TextConfig.documents,
    labels: options.Labels = TextConfig.labels,
    unit: options.Unit = TextConfig.unit,
    encoding: options.Encoding = TextConfig.encoding,
    normalize: options.Normalize = TextConfig.normalize,
    newlines: options.Newlines = TextConfig.newlines,
    validation: options.Validation = TextConfig.validation,
    batch_size: options.BatchSize = TrainingConfig.batch_size,
    sequence_length: options.SequenceLength = TrainingConfig.sequence_length,
    optimizer: options.Optimizer = TrainingConfig.optimizer,
    learning_rates: options.LearningRates = None,
    weight_decay: options.WeightDecay = TrainingConfig.weight_decay,
    warmup_steps: options.WarmupSteps = TrainingConfig.warmup_steps,
    gradient_clip: options.GradientClip = TrainingConfig.gradient_clip,
    seed: options.TrainingSeed = TrainingConfig.seed,
    device: options.Device = TrainingConfig.device,
    as_json: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare cores on a text at equal cost: charrnn compare corpus.txt --cells rnn,lstm,gru --time 3m

    For each core some short trials of learning rates (and sizes) on the training text alone, then a run in
    ./checkpoints with the best of them, whose last checkpoint is scored on the held-out text, as eval does.

    With --json: cell, trials, learning_rate, layers, hidden_size, parameters,
    nats_per_character, bits_per_character, windowed_bits_per_character,
    trained_characters_per_second, sampled_characters_per_second, steps, seconds,
    run, checkpoint, diverged. Each of the trials: cell, learning_rate,
    hidden_size, loss (in nats). What is not known, where one diverged, is null.
    """
    source = context.get_parameter_source("time")
    only_steps = steps is not None and source is not None and source.name == "DEFAULT"
    seconds = parse_duration(time) if time is not None and not only_steps else None

    from charrnn.training.search import Search  # which needs no torch

    search = Search(
        cells=tuple(cell.strip() for cell in cells.split(",")),
        learning_rates=_numbers(learning_rates, "learning_rates", float, "3e-3,6e-3"),
        hidden_sizes=_numbers(hidden_sizes, "hidden_sizes", int, "128,256"),
        trial_time=_trial_seconds(trial_time),
        trial_steps=trial_steps,
    )
    given = {"corpus": tuple(corpus or ()), "time": seconds, "cell": search.cells[0]}
    config = RunConfig().override({**context.params, **given})
    if not config.text.validation:
        raise UsageError("the cells are compared on text that is held out; --validation must be more than 0")
    if not config.text.corpus:
        raise UsageError("no text given: name files, folders or globs, or - for standard input")
    writer = TextWriter("utf-8")  # whatever the locale says
    rows: list[Compared] = []
    with stop_on_signals() as stop:
        try:
            _compare(config, search, stop, rows, writer if as_json else None, quiet)
        except KeyboardInterrupt:
            note("stopped at once", quiet=quiet)
        finally:
            if rows and not as_json:
                # Nobody may be there to read it any more: what was asked for is to stop.
                with contextlib.suppress(*((CharrnnError, OSError) if stop() else ())):
                    _write_table(rows, writer)
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)
    if all(row.diverged is not None for row in rows):
        raise DivergedError("every cell diverged; compare again with lower --learning-rates")


def _compare(
    config: RunConfig, search: "Search", stop: Stop, rows: "list[Compared]", json_lines: TextWriter | None, quiet: bool
) -> None:
    """Go through the comparison, show it, and gather its rows; a signal lets a run save, and ends anything else."""
    from charrnn.cli.render.comparison import comparison_display
    from charrnn.events import Began, Finished

    watched = is_terminal("stderr")
    shares_terminal = watched and is_terminal("stdout")  # where JSON would get into the picture, and a table after it
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
                            json_lines.write(f"{json.dumps(asdict(event))}\n")
                            json_lines.close()
                    show(event)
            is_over = True
    except OSError:
        if not is_over:
            raise  # else it was the display, on a terminal that is gone


def _write_table(rows: "list[Compared]", writer: TextWriter) -> None:
    from charrnn.cli.render.comparison import plain_table, show_table

    if is_terminal("stdout"):
        show_table(rows)
    else:
        writer.write(plain_table(rows))
        writer.close()


def _numbers(text: str | None, name: str, kind: Callable[[str], _Number], example: str) -> tuple[_Number, ...] | None:
    try:
        return None if text is None else tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag(name)} must be numbers with commas between, as {example}, got {text!r:.40}") from error


def _trial_seconds(text: str | None) -> float | None:
    """A duration, which here may be 0."""
    if text is None:
        return None
    return 0.0 if re.fullmatch("0+[smhd]?", text) else parse_duration(text)
