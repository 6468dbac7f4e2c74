"""What is chosen when it is not given: sizes, shapes and a budget, from corpus, device and budget.

The trials behind these choices stand in tests/benchmarks/README.md.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from charrnn.config import RunConfig, TrainingConfig
from charrnn.recurrent.registry import CORES
from charrnn.runtime import multiplies_bf16
from charrnn.text.batches import fit_shape
from charrnn.text.tokens import Tokens

__all__ = ["choose"]

_BUDGET_SECONDS = 180.0
_TOKENS_A_STEP = 2048  # twice as many for Muon, to make up for its longer steps
_MOST_ROWS = 512
_SEQUENCE_LENGTH = 64
_ONE_PIECE = 256  # a running text of up to so many characters is read from end to end at every step
_CPU_PACE = 25_000  # characters/s of the size for longer texts, on two cores; only tells few epochs from many


class _Size(NamedTuple):
    below: float  # characters to learn from
    cell: str
    layers: int
    hidden_size: int
    dropout: float | None
    epochs: float | None  # after which the validation loss gets no better
    why: str


# For each length of text the size and dropout with the lowest validation loss of those that were tried.
_SIZES = [
    _Size(2_000, "gru", 1, 128, 0.0, None, "a text so short as to be learned by heart"),
    _Size(40_000, "gru", 1, 128, 0.3, 50.0, "a text of less than 40,000 characters"),
    _Size(400_000, "gru", 2, 192, 0.2, 25.0, "a text of less than 400,000 characters"),
    _Size(math.inf, "lstm", 2, 256, None, 25.0, "a longer text and a CPU"),
]
# At their peak. Lower and higher ones learned less in equal time; rnn-relu diverges at the rate of the others.
_MUON_RATE, _OWN_MUON_RATES = 0.012, {"lstm": 0.02, "ln-lstm": 0.02, "rnn-relu": 0.004}
_GPU_SIZE = _Size(math.inf, "lstm", 2, 512, 0.3, 25.0, "a longer text and a GPU")
_BY_HEART_STEPS = 1500  # after which so short a text is known by heart


def choose(config: RunConfig, tokens: Tokens, device: str) -> tuple[RunConfig, list[str]]:
    """Fill in what `config` leaves open, and shrink a batch that the training text cannot fill; notices say why."""
    size = next(size for size in _SIZES if tokens.targets < size.below)
    if size.below == math.inf and device == "cuda":
        size = _GPU_SIZE
    training, notices = _with_budget(config.training, size)
    epochs = _expected_epochs(training, tokens)

    dropout = size.dropout
    if dropout is None:
        dropout = 0.0 if epochs < 6 else 0.1 if epochs < 15 else 0.2
    layers = max(size.layers, 2) if config.model.residual else size.layers
    sizes = {"layers": layers, "hidden_size": size.hidden_size, "dropout": dropout}
    if config.model.encoder == "embedding":
        sizes["embedding_size"] = 64
    chosen = {name: value for name, value in sizes.items() if getattr(config.model, name) is None}
    cell = size.cell if config.model.cell == "auto" else config.model.cell
    model = replace(config.model, cell=cell, **chosen)  # type: ignore[arg-type]
    if training.precision == "auto":
        pays = device != "cpu" or (model.hidden_size or 0) >= CORES[cell].bf16_from
        training = replace(training, precision="bf16" if pays and multiplies_bf16(device) else "fp32")
        if training.precision == "bf16":
            notices.append(f"products in bf16, which this {'CPU' if device == 'cpu' else 'GPU'} does faster")
    if training.optimizer == "auto":
        pays = size.below == math.inf
        training = replace(training, optimizer="muon" if pays else "adamw")
        if pays:
            notices.append("recurrent matrices learn by Muon, for the most in the time (else --optimizer adamw)")
    if training.learning_rate is None:
        by_muon, usual = _OWN_MUON_RATES.get(cell, _MUON_RATE), CORES[cell].learning_rate
        chosen["learning_rate"] = by_muon if training.optimizer == "muon" else usual
        training = replace(training, learning_rate=chosen["learning_rate"])
    if cell != config.model.cell:
        notices.insert(0, f"chose {', '.join(filter(None, (cell, _listed(chosen))))} for {size.why}")
    elif chosen:
        notices.insert(0, f"chose {_listed(chosen)} for {cell} and {size.why}")

    shape = _shape(config, tokens, _TOKENS_A_STEP * (2 if training.optimizer == "muon" else 1))
    if shrunk := {name: value for name, value in shape.items() if (getattr(training, name) or 0) > value}:
        notices.append(f"the text is too short for the shape asked for: made it {_listed(shrunk)}")
    return replace(config, model=model, training=replace(training, **shape)), notices  # type: ignore[arg-type]


def _with_budget(training: TrainingConfig, size: _Size) -> tuple[TrainingConfig, list[str]]:
    if training.time is not None or training.epochs is not None or training.steps is not None:
        return training, []
    steps = None if size.epochs else _BY_HEART_STEPS
    other = f"{size.epochs:g} epochs" if size.epochs else f"{steps:,} steps"
    notice = (
        f"no budget given: {_BUDGET_SECONDS / 60:g} minutes, or {other} if they end first "
        "(change it with --time, --epochs or --steps)"
    )
    return replace(training, time=_BUDGET_SECONDS, epochs=size.epochs, steps=steps), [notice]


def _expected_epochs(training: TrainingConfig, tokens: Tokens) -> float:
    """How often the text will be read, roughly."""
    budgets = [
        (training.time or math.inf) * _CPU_PACE / tokens.targets,
        (training.steps or math.inf) * _TOKENS_A_STEP / tokens.targets,
        training.epochs or math.inf,
    ]
    return min(budgets)


def _shape(config: RunConfig, tokens: Tokens, tokens_a_step: int) -> dict[str, int]:
    """Batch size and sequence length: those asked for, or some for so many tokens; no more than the text can fill."""
    tapes = config.text.documents == "none"
    in_one_piece = tapes and tokens.targets <= _ONE_PIECE
    length = config.training.sequence_length or (tokens.targets if in_one_piece else _SEQUENCE_LENGTH)
    typical = length if tapes else min(length, max(int(tokens.lengths.mean()), 1))
    rows = config.training.batch_size or min(max(tokens_a_step // typical, 1), _MOST_ROWS)
    batch_size, sequence_length = fit_shape(tokens, rows, length, tapes=tapes)
    return {"batch_size": batch_size, "sequence_length": sequence_length}


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
