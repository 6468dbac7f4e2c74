"""What is chosen when it is not given: sizes, shapes and a budget, from corpus, device and budget.

Found by single trials on two cores, of three minutes at most, with GRUs; validation loss in nats per character:

    corpora/names.txt    1×128, dropout 0.3  1.85    1×64, 0.2    1.88    1×128, 0.0  1.88    50 epochs
    corpora/korean.txt   1×128, dropout 0.3  3.33    1×256, 0.4   3.33    2×192, 0.3  3.43    50 epochs
    corpora/tales.txt    2×192, dropout 0.2  1.294   2×256, 0.4   1.300   2×128, 0.1  1.304   20 epochs
    tiny Shakespeare     2×256, dropout 0.0  1.461   2×256, 0.1   1.476   LSTM, 0.1   1.481   4 epochs (LSTM 8)

and of the peak learning rate (a default of every core, in charrnn.recurrent.registry) with the weight decay:

    tiny Shakespeare   gru   0.006, 0.2  1.443  0.008, 0.15  1.446  0.004, 0.3   1.459  0.012, 0.1   1.481  1,800 steps
                       lstm  0.012, 0.1  1.495  0.004, 0.3   1.565                                          1,800 steps
                       rnn   0.008, 0.2  1.645  0.004, 0.2   1.680  0.002, 0.2   1.759                        700 steps
                       relu  0.004, 0.2  1.736  0.002, 0.2   1.854  0.001, 0.2   2.086                        700 steps
    corpora/tales.txt  gru   0.004, 0.3  1.263  0.006, 0.2   1.264  0.008, 0.15  1.269  0.004, 0.01  1.303    25 epochs
                       lstm  0.010, 0.2  1.280  0.004, 0.3   1.336                                            25 epochs

and, by `charrnn compare --trial-time 12s`, on a tenth of the training part of tiny Shakespeare, 2×192:

    ln-rnn   0.010  1.754  0.005  1.795        min-gru   0.006  1.851  0.003  1.922
    ln-lstm  0.010  2.019  0.005  2.157        min-lstm  0.006  1.959  0.003  2.057
    ln-gru   0.010  1.866  0.005  1.986        mogrifier 0.010  3.309  0.005  3.016

and, for as many steps as bf16 takes in three minutes; the first row learns from nine tenths of the training part of
tiny Shakespeare and is judged by the rest of it, the others had the usual split:

    2×256 gru        0.008     1.388    0.006    1.392                                                    2,750 steps
    2×256 gru        0.008     1.418    0.006    1.423    0.006, dropout 0.1  1.439                       2,750 steps
      average of the weights over the last 100 steps 1.417, 500 steps 1.425, 2,000 steps 1.491: not worth its place
    2×256 lstm, dropout 0.1    1.428    2×384 lstm, 0.1   1.437                                4,800 and 2,900 steps
    2×192 ln-lstm    0.010     1.423    2×256 ln-gru      1.429                                2,000 and 1,780 steps

and of the optimiser, with bf16, on nine tenths of the training part of tiny Shakespeare, judged by the rest of it;
first by steps of 2,048 characters, then by time, as a step of Muon takes longer, which a batch of 64 makes up for:

    gru   AdamW 0.008  1.425   Muon 0.008  1.397   0.016  1.406                                           1,400 steps
    lstm  AdamW 0.010  1.488   Muon 0.010  1.394                                                          1,400 steps
    gru   AdamW 0.008  1.446   Muon, batch 64, 0.008  1.429   0.012  1.424   0.018  1.436                 90 seconds
    lstm  Muon 0.010   1.417   Muon, batch 64, 0.010  1.421   0.014  1.412   0.020  1.408   0.028  1.411  90 seconds

    gru, Muon 0.012  1.434   sequences of 32, then 64, then 128  1.430   3 % of states begin anew  1.437  90 seconds

at a slower moment, when the first took 465 steps and the second 522: neither is worth its place. An lstm with a batch
of 128 and a rate of 0.028 came to 1.414.

Since then matrices take turns in Muon, one in four steps with four iterations, and memory is kept; a step in which all
move with five iterations does more (600 steps lstm 1.408 against 1.418) and takes as much longer as that is worth:

    lstm  Muon, all at every step  1.395 to 1.400  in turns, 0.014  1.386  0.020  1.395  0.028  1.390        75 seconds
    gru   Muon, all at every step  1.405           in turns         1.409                                     75 seconds
    fp32 gru  AdamW  1.461   Muon in turns  1.422  lstm  1.426                                                75 seconds
    ln-lstm   AdamW  1.439   Muon in turns, 0.020  1.423                                                      75 seconds

With two iterations at a time Muon costs less, and learns as much (600 steps, two seeds: 1.416 and 1.421, one at a time
1.415 and 1.425). How often a matrix has its turn makes no difference that could be told from chance, so it is what
costs least. Muon did better for every cell but ln-gru. These are single trials, AdamW's at slower moments for some
(11.6 thousand characters/s against 18 for mogrifier), so small gaps, such as rg-lru's, say nothing:

    lstm  one in 3 steps  1.383   4   1.390   6   1.382      gru  3   1.413   4   1.406   6   1.408           75 seconds
    lstm  4  1.378, 1.387   6   1.388                        gru  4   1.405   6   1.410      3 minutes, usual split
    AdamW, Muon 0.012     rnn  1.516, 1.477      ln-rnn  1.541, 1.492      min-gru  1.583, 1.483              45 seconds
                          ln-gru  1.515, 1.517   rg-lru  1.696, 1.685      mogrifier  1.862, 1.671            45 seconds
                          min-lstm  1.565, 1.514                                                              45 seconds
                          rnn-relu  1.558, diverged, with 0.004  1.510                                        45 seconds

Three iterations with better polynomials cost a third less than those four and learn as much; a turn in one of eight
steps did a little worse with both seeds:

    lstm  four  1.419, 1.422   three  1.418, 1.420   four, one in 8  1.426, 1.424             600 steps, two seeds

A gru or an lstm? With Muon the lstm is ahead on long texts in bf16, and level in single precision (above):

    tiny Shakespeare  lstm  1.388  gru  1.410      three minutes, the usual split
    War and Peace     lstm  1.255  gru  1.283      90 seconds, on nine tenths of it
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from charrnn.messages import named
from charrnn.recurrent.registry import CORES
from charrnn.runtime import multiplies_bf16
from charrnn.settings.run import RunConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.batches import fit_shape
from charrnn.text.tokens import Tokens

__all__ = ["choose"]

_BUDGET_SECONDS = 180.0
_TOKENS_A_STEP = 2048  # twice as many for Muon
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


_SIZES = [
    _Size(2_000, "gru", 1, 128, 0.0, None, "a text so short as to be learned by heart"),
    _Size(40_000, "gru", 1, 128, 0.3, 50.0, "a text of less than 40,000 characters"),
    _Size(400_000, "gru", 2, 192, 0.2, 25.0, "a text of less than 400,000 characters"),
    _Size(math.inf, "lstm", 2, 256, None, 25.0, "a longer text and a CPU"),
]
_MUON_RATE, _OWN_MUON_RATES = 0.012, {"lstm": 0.02, "ln-lstm": 0.02, "rnn-relu": 0.004}  # at their peak
_GPU_SIZE = _Size(math.inf, "lstm", 2, 512, 0.3, 25.0, "a longer text and a GPU")
_BY_HEART_STEPS = 1500


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
            other = named("optimizer", "adamw")
            notices.append(f"recurrent matrices learn by Muon, for the most in the time (else {other})")
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
        f"(change it with {named('time')}, {named('epochs')} or {named('steps')})"
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
