"""`charrnn train`."""

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from charrnn.cli import options
from charrnn.cli.process.launcher import ProcessRank, own_process_rank, start, take_part
from charrnn.cli.process.signals import stop_on_signals
from charrnn.cli.process.terminal import note
from charrnn.config import ModelConfig, Record, RunConfig, TextConfig, TrainingConfig, flag, parse_duration
from charrnn.errors import UsageError, is_out_of_memory

__all__ = ["command"]

_BUDGETS = ("time", "epochs", "steps")
_NOT_CONFIGURATION = ("nproc", "config", "resume", "dry_run", "as_json", "accept_new_corpus", "quiet")


def command(
    context: typer.Context,
    corpus: options.Corpus = None,
    time: options.Time = None,
    epochs: options.Epochs = TrainingConfig.epochs,
    steps: options.Steps = TrainingConfig.steps,
    patience: options.Patience = TrainingConfig.patience,
    cell: options.Cell = ModelConfig.cell,
    layers: options.Layers = ModelConfig.layers,
    hidden_size: options.HiddenSize = ModelConfig.hidden_size,
    encoder: options.Encoder = ModelConfig.encoder,
    embedding_size: options.EmbeddingSize = ModelConfig.embedding_size,
    dropout: options.Dropout = ModelConfig.dropout,
    input_dropout: options.InputDropout = ModelConfig.input_dropout,
    recurrent_dropout: options.RecurrentDropout = ModelConfig.recurrent_dropout,
    zoneout: options.Zoneout = ModelConfig.zoneout,
    residual: options.Residual = ModelConfig.residual,
    bidirectional: options.Bidirectional = False,
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
    learning_rate: options.LearningRate = TrainingConfig.learning_rate,
    weight_decay: options.WeightDecay = TrainingConfig.weight_decay,
    warmup_steps: options.WarmupSteps = TrainingConfig.warmup_steps,
    gradient_clip: options.GradientClip = TrainingConfig.gradient_clip,
    from_model: options.FromModel = TrainingConfig.from_model,
    validate_every: options.ValidateEvery = TrainingConfig.validate_every,
    report_every: options.ReportEvery = TrainingConfig.report_every,
    seed: options.TrainingSeed = TrainingConfig.seed,
    device: options.Device = TrainingConfig.device,
    precision: options.Precision = TrainingConfig.precision,
    threads: options.Threads = TrainingConfig.threads,
    nproc: options.Nproc = 1,
    name: options.Name = None,
    config: options.Config = None,
    resume: options.Resume = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
    accept_new_corpus: options.AcceptNewCorpus = False,
    quiet: options.Quiet = False,
) -> None:
    """Learn a text: charrnn train corpus.txt --cell gru --time 3m

    Checkpoints land in ./checkpoints/NAME. Ctrl-C saves and says how to go on.
    """
    process = own_process_rank(nproc)
    if process.rank:
        if not dry_run:
            take_part(process)
        return
    if dry_run and resume is not None:
        raise UsageError("--dry-run tells of a new run; leave --resume out")
    if as_json and not dry_run and "as_json" in _set(context, "COMMANDLINE"):
        raise UsageError("--json is for --dry-run; a training is told in the run's metrics.jsonl")
    if resume is not None and resume != "auto":
        given = _given(context, "COMMANDLINE")
        if fixed := sorted(given.keys() - {*_BUDGETS, "patience", "device"}):
            what = "the text" if "corpus" in fixed else flag(fixed[0])
            raise UsageError(
                f"--resume goes on with the recorded settings; only the budget and the device can change, not {what}"
            )
        from charrnn.checkpoint.store import find_resumable

        resumable = find_resumable(resume)
    else:
        if accept_new_corpus and not resume:
            raise UsageError("--accept-new-corpus is for a --resume whose text has changed; a new run takes any text")
        if resume and not name:
            raise UsageError("--resume auto goes on with a run or begins it; say which one by --name")
        settings, given = _configuration(context, config, is_told=process.meeting is not None)  # by who started this
    if dry_run:
        from charrnn.cli.commands.dry_run import describe

        describe(settings, given.keys(), as_json=as_json, quiet=quiet)
        return
    if nproc > process.count:
        raise typer.Exit(start(nproc))

    from charrnn.cli.render.display import training_display
    from charrnn.events import Began

    is_over = False
    with stop_on_signals(os.getppid() if process.count > 1 else None) as stop:
        try:
            with training_display(quiet) as show, _others(process):
                from charrnn.training import loop  # takes a second or two, with a sign of life from the display

                if resume is None:
                    events = loop.train(settings, name, stop, given=given.keys())
                elif name is not None and resume == "auto":
                    events = loop.train_or_resume(settings, name, given, stop, accept_new_corpus=accept_new_corpus)
                else:
                    events = loop.resume(resumable, given, stop, accept_new_corpus=accept_new_corpus)
                for event in events:
                    if isinstance(event, Began):
                        stop.run = event.run
                    show(event)
                is_over = True
        except OSError:
            if not is_over:
                raise  # else it was the display, on a terminal that is gone
        except Exception as error:
            if stop.run is None and is_out_of_memory(error):  # before the first step, so it is for the weights
                error.add_note("the network is too large: lower --hidden-size first, then --layers")
            raise
        except KeyboardInterrupt:
            note(f"stopped at once, {f'in {stop.run}' if stop.run else 'before the training began'}", quiet=quiet)
    if stop.received is not None:
        raise typer.Exit(128 + stop.received)


def _others(process: ProcessRank) -> AbstractContextManager[object]:
    """The company of the processes that train with this one."""
    from charrnn.distributed import joined

    return joined(process.rank, process.count, process.meeting)


def _set(context: typer.Context, *sources: str) -> dict[str, Any]:
    """Parameters that were set, by the command line or by the environment, and not left to their default."""
    return {
        parameter: value
        for parameter, value in context.params.items()
        if (source := context.get_parameter_source(parameter)) and source.name in sources
    }


def _given(context: typer.Context, *sources: str) -> dict[str, Any]:
    """Those of them that are fields of the configuration, as it has them; and the run's name."""
    values = {name: value for name, value in _set(context, *sources).items() if name not in _NOT_CONFIGURATION}
    if "time" in values:
        values["time"] = parse_duration(values["time"])
    if "corpus" in values:
        values["corpus"] = tuple(values["corpus"])
    return values


def _configuration(context: typer.Context, path: str | None, *, is_told: bool) -> tuple[RunConfig, dict[str, Any]]:
    """Flags over environment over the configuration file over the defaults; and those settings that were given."""
    recorded = _read(path) if path is not None else RunConfig()
    given = _given(context, "COMMANDLINE", "ENVIRONMENT")
    given.pop("name", None)
    if any(budget in given for budget in _BUDGETS):
        given = dict.fromkeys(_BUDGETS) | given  # a budget replaces the recorded one, whatever its kind
    config = recorded.override(given)
    if config != recorded and recorded.record.plan:
        note(f"some settings differ from {path}: this is a new run, not a repeat of the recorded one", quiet=is_told)
        config = replace(config, record=Record())
    if "-" in config.text.corpus and sys.stdin is not None and sys.stdin.isatty():
        note("reading the text from this terminal; end it with Ctrl-D")
    usual = RunConfig()
    in_file = {
        name: value
        for section in ("text", "model", "training")
        for name, value in vars(getattr(recorded, section)).items()
        if value != getattr(getattr(usual, section), name)
    }
    return config, in_file | given


def _read(path: str) -> RunConfig:
    import tomllib

    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise UsageError(f"{path} is not TOML: {error}") from error
    return RunConfig.from_mapping(tables, path)
