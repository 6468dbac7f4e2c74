"""Choices for settings that are not given: sizes, shapes and a budget, from corpus, device and budget.

The trials behind these choices stand in tests/benchmarks/README.md.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from charrnn.messages import counted, named
from charrnn.recurrent.fused import FusedCore
from charrnn.recurrent.registry import CORES, core_class
from charrnn.runtime import multiplies_bf16
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.batches import fit_shape
from charrnn.text.tokens import Tokens

__all__ = ["LONG", "choose"]

_BUDGET_SECONDS = 180.0
_TOKENS_A_STEP = 2048  # twice as many for Muon, to make up for its longer steps
_MOST_ROWS = 512
_SEQUENCE_LENGTH = 64
_ONE_PIECE = 256  # a running text of up to so many characters is read from end to end at every step
_CPU_PACE = 25_000  # characters/s on two cores, where they are not measured


LONG = 220_000  # characters to learn from; with as many, all recurrent matrices learn best by Muon


class _Size(NamedTuple):
    below: float  # characters to learn from
    cell: str
    layers: int
    hidden_size: int
    dropout: float | None  # None where it depends on how often the text is read
    epochs: float | None  # after which the validation loss gets no better
    why: str
    steps: int | None = None  # after which the text is known by heart
    embedding_size: int = 64
    input_dropout: float = 0.0


# For each length of text the size and dropout with the lowest validation loss of those that were tried.
_SIZES = [
    _Size(2_000, "gru", 1, 128, 0.0, None, "a text so short as to be learned by heart", steps=1500),
    _Size(40_000, "gru", 1, 128, 0.3, 50.0, "a text of less than 40,000 characters"),
    _Size(LONG, "lstm", 2, 256, None, 60.0, "a text of less than 220,000 characters"),
    _Size(math.inf, "lstm", 2, 256, None, 25.0, "a longer text and a CPU"),
]
# Of the layers' outputs, and of the first one's inputs, for a text that is read fewer times than that.
_DROPOUTS = [(6, (0.0, 0.0)), (9, (0.1, 0.0)), (26, (0.2, 0.0)), (36, (0.3, 0.0)), (math.inf, (0.5, 0.2))]
_MOST_OF_LINES = (0.4, 0.1)  # where each line begins anew, and no long context is learned by heart

# No epochs end a training on a GPU: it reads so fast that a larger network with more dropout is worth the whole time.
# Widths are multiples of 128 and batches of 8, as cuDNN's persistent kernels need both, and so is the width of the
# first layer's inputs. All of this is by reasoning: no GPU has tried it yet.
_GPU_SIZE = _Size(math.inf, "lstm", 2, 512, None, None, "a longer text and a GPU", embedding_size=128)
_GPU_WIDTHS = (256, 384, 512, 768, 1024)
_GPU_DROPOUTS = [(6, 0.0), (15, 0.1), (30, 0.2), (60, 0.3), (120, 0.4), (math.inf, 0.5)]
_GPU_PACE = 800_000  # characters/s of that size, where they are not measured
_GPU_EPOCHS = 6, 100  # within which the text should be read: less often with a wider network, more with a narrower one
_GPU_ROWS = 8

# At their peak. Lower and higher ones learned less in equal time; rnn-relu diverges at the rate of the others.
_MUON_RATE, _OWN_MUON_RATES = 0.012, {"lstm": 0.02, "ln-lstm": 0.02, "rnn-relu": 0.004}

Pace = Callable[[RunConfig], float]
_Value = TypeVar("_Value")


def choose(
    config: RunConfig, tokens: Tokens, device: str, *, gpus: int = 1, pace: Pace | None = None
) -> tuple[RunConfig, list[str]]:
    """Choose the open settings of `config`, and shrink a batch that the training text cannot fill; notices say why.

    Args:
        device: the kind of device that computes; CUDA uses this number of `gpus` together.
        pace: measures the characters/s that the CPU or one GPU learns with a configuration, else they are estimated.
    """
    size = next(size for size in _SIZES if tokens.targets < size.below)
    if device == "cuda" and size.below == math.inf:
        size = _size_by_pace(config, tokens, gpus, pace)
    settings, notices = _with_budget(config.training, size)
    if size.dropout is None:
        size = _with_dropout(size, config, settings, tokens, pace if device == "cpu" else None)
    model, chosen = _with_sizes(config.model, size)
    settings, about_precision = _with_precision(settings, model, device)
    prefers_muon = size.below == math.inf or size.cell == model.cell == "lstm"
    settings, about_optimizer = _with_optimizer(settings, prefers_muon=prefers_muon)
    if settings.learning_rate is None:
        by_muon, usual = _OWN_MUON_RATES.get(model.cell, _MUON_RATE), CORES[model.cell].learning_rate
        chosen["learning_rate"] = by_muon if settings.optimizer == "muon" else usual
        settings = replace(settings, learning_rate=chosen["learning_rate"])
    notices += about_precision + about_optimizer
    if model.cell != config.model.cell:
        notices.insert(0, f"chose {', '.join(filter(None, (model.cell, _listed(chosen))))} for {size.why}")
    elif chosen:
        notices.insert(0, f"chose {_listed(chosen)} for {model.cell} and {size.why}")

    tokens_a_step = _TOKENS_A_STEP * (2 if settings.optimizer == "muon" else 1)
    shape = _shape(config, tokens, tokens_a_step, gpus=gpus if device == "cuda" else 0)
    if shrunk := {name: value for name, value in shape.items() if (getattr(settings, name) or 0) > value}:
        notices.append(f"the text is too short for the shape asked for: made it {_listed(shrunk)}")
    return replace(config, model=model, training=replace(settings, **shape)), notices  # type: ignore[arg-type]


def _with_dropout(size: _Size, config: RunConfig, settings: TrainingConfig, tokens: Tokens, pace: Pace | None) -> _Size:
    """The size with a dropout for the number of times that the text will be read."""
    characters: float = _CPU_PACE
    if pace and settings.time and config.model.dropout is None:
        trial, _ = choose(replace(config, training=settings), tokens, "cpu")
        characters = pace(trial)
    times = _expected_epochs(settings, tokens, characters)
    why = f"{size.why}, read {counted(max(round(times), 1), 'time')}"
    dropouts = _below(_DROPOUTS, times)
    if config.text.documents == "line":
        dropouts = min(dropouts, _MOST_OF_LINES)
    return size._replace(dropout=dropouts[0], input_dropout=dropouts[1], why=why)


def _size_by_pace(config: RunConfig, tokens: Tokens, gpus: int, pace: Pace | None) -> _Size:
    """Width and dropout for a GPU such that the budget reads the text neither too seldom nor too often."""
    settings, _ = _with_budget(config.training, _GPU_SIZE)
    usual, given = _GPU_SIZE.hidden_size, config.model.hidden_size
    characters: float = _GPU_PACE
    if pace and settings.time and None in (given, config.model.dropout):
        trial, _ = choose(config, tokens, "cuda", gpus=gpus)
        characters = pace(trial) * ((trial.model.hidden_size or usual) / usual) ** 2

    def epochs(width: int) -> float:
        """Epochs within the budget; the work for a character grows with the square of the width."""
        return _expected_epochs(settings, tokens, gpus * characters * (usual / width) ** 2)

    fewest, most = _GPU_EPOCHS
    if epochs(usual) > most:
        chosen = next((width for width in _GPU_WIDTHS if width >= usual and epochs(width) <= most), _GPU_WIDTHS[-1])
    else:
        narrower = [width for width in reversed(_GPU_WIDTHS) if width <= usual]
        chosen = next((width for width in narrower if epochs(width) >= fewest), _GPU_WIDTHS[0])
    return _GPU_SIZE._replace(hidden_size=chosen, dropout=_below(_GPU_DROPOUTS, epochs(given or chosen)))


def _below(steps: list[tuple[float, _Value]], number: float) -> _Value:
    """The value that goes with the first bound above a number."""
    return next(value for bound, value in steps if number < bound or bound == math.inf)


def _with_budget(training: TrainingConfig, size: _Size) -> tuple[TrainingConfig, list[str]]:
    if training.time is not None or training.epochs is not None or training.steps is not None:
        return training, []
    end = f"{size.epochs:g} epochs" if size.epochs else counted(size.steps, "step") if size.steps else ""
    or_sooner = f", or {end} if they end first" if end else ""
    notice = (
        f"no budget given: {_BUDGET_SECONDS / 60:g} minutes{or_sooner} "
        f"(change it with {named('time')}, {named('epochs')} or {named('steps')})"
    )
    return replace(training, time=_BUDGET_SECONDS, epochs=size.epochs, steps=size.steps), [notice]


def _expected_epochs(training: TrainingConfig, tokens: Tokens, pace: float) -> float:
    """The rough number of times that the text will be read."""
    budgets = [
        (training.time or math.inf) * pace / tokens.targets,
        (training.steps or math.inf) * _TOKENS_A_STEP / tokens.targets,
        training.epochs or math.inf,
    ]
    return min(budgets)


def _with_sizes(model: ModelConfig, size: _Size) -> tuple[ModelConfig, dict[str, float]]:
    """The model with nothing left open, and the choices made, without the cell."""
    layers = max(size.layers, 2) if model.residual else size.layers
    sizes = {"layers": layers, "hidden_size": size.hidden_size, "dropout": size.dropout}
    if model.encoder == "embedding":
        sizes["embedding_size"] = size.embedding_size
        if model.dropout is None and size.input_dropout:
            sizes["input_dropout"] = size.input_dropout
    chosen: dict[str, Any] = {name: value for name, value in sizes.items() if getattr(model, name) is None}
    return replace(model, cell=size.cell if model.cell == "auto" else model.cell, **chosen), chosen


def _with_precision(training: TrainingConfig, model: ModelConfig, device: str) -> tuple[TrainingConfig, list[str]]:
    """Choose an open precision: the fastest that computes in the type of its name; a notice tells of it."""
    if training.precision != "auto":
        return training, []
    if device == "cuda":
        by_cudnn = issubclass(core_class(model.cell), FusedCore) and not (model.recurrent_dropout or model.zoneout)
        if by_cudnn or not multiplies_bf16(device):
            more = "; so are states within cuDNN (bf16 and fp32 keep them in fp32)"
            why = more if by_cudnn else ", as this GPU has no bf16"
            return replace(training, precision="fp16"), [f"products in fp16, with a scaled loss{why}"]
        return replace(training, precision="bf16"), ["products in bf16, which this GPU does faster"]
    pays = device == "cpu" and (model.hidden_size or 0) >= CORES[model.cell].bf16_from
    if pays and multiplies_bf16(device):
        return replace(training, precision="bf16"), ["products in bf16, which this CPU does faster"]
    return replace(training, precision="fp32"), []


def _with_optimizer(training: TrainingConfig, *, prefers_muon: bool) -> tuple[TrainingConfig, list[str]]:
    if training.optimizer != "auto":
        return training, []
    if not prefers_muon:
        return replace(training, optimizer="adamw"), []
    other = named("optimizer", "adamw")
    notice = f"recurrent matrices learn by Muon, for the most in the time (else {other})"
    return replace(training, optimizer="muon"), [notice]


def _shape(config: RunConfig, tokens: Tokens, tokens_a_step: int, *, gpus: int) -> dict[str, int]:
    """Batch size and sequence length: those asked for, or ones for `tokens_a_step` tokens, on each GPU if any.

    They are no more than the text can fill.
    """
    tapes = config.text.documents == "none"
    in_one_piece = tapes and tokens.targets <= _ONE_PIECE
    length = config.training.sequence_length or (tokens.targets if in_one_piece else _SEQUENCE_LENGTH)
    typical = length if tapes else min(length, max(int(tokens.lengths.mean()), 1))
    rows = min(max(tokens_a_step // typical, 1), _MOST_ROWS)
    if gpus:
        rows = gpus * max(rows - rows % _GPU_ROWS, _GPU_ROWS)
    rows = config.training.batch_size or rows
    batch_size, sequence_length = fit_shape(tokens, rows, length, tapes=tapes)
    return {"batch_size": batch_size, "sequence_length": sequence_length}


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
