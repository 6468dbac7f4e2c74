"""The one table of recurrent cores. `--help`, config checks, the guide and the contract tests read it.

It holds strings, resolved on use, so that reading it imports neither torch nor numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from charrnn.recurrent.contract import Core
    from charrnn.recurrent.equations import Cell

__all__ = ["CORES", "CoreEntry", "core_class", "core_equations"]


class CoreEntry(NamedTuple):
    """An entry for a core: its module, equations, defaults, and words for the help and the guide."""

    core: str  # "module:class", the sequence module that trains
    cell: str  # "page:name", where its equations stand in charrnn.recurrent; the page is `equations` if not named
    learning_rate: float  # default peak rate, found by trial; see tests/benchmarks/README.md
    bf16_from: int  # hidden size from which on it trains faster in bf16, on a CPU that multiplies bf16
    summary: str
    paper: str


CORES = {
    "rnn": CoreEntry("charrnn.recurrent.rnn:RNN", "rnn", 6e-3, 384, "tanh recurrent network", "Elman 1990"),
    "rnn-relu": CoreEntry(
        "charrnn.recurrent.rnn_relu:RNNReLU", "rnn_relu", 4e-3, 384, "the same with rectified units", "Le et al. 2015"
    ),
    "lstm": CoreEntry(
        "charrnn.recurrent.lstm:LSTM", "lstm", 1e-2, 64, "long short-term memory", "Hochreiter & Schmidhuber 1997"
    ),
    "gru": CoreEntry("charrnn.recurrent.gru:GRU", "gru", 8e-3, 192, "gated recurrent unit", "Cho et al. 2014"),
    "ln-rnn": CoreEntry(
        "charrnn.recurrent.ln_rnn:LNRNN", "ln_rnn", 1e-2, 384, "rnn, layer-normalised", "Ba et al. 2016"
    ),
    "ln-lstm": CoreEntry(
        "charrnn.recurrent.ln_lstm:LNLSTM", "ln_lstm", 1e-2, 256, "lstm, layer-normalised", "Ba et al. 2016"
    ),
    "ln-gru": CoreEntry(
        "charrnn.recurrent.ln_gru:LNGRU", "ln_gru", 1e-2, 256, "gru, layer-normalised", "Ba et al. 2016"
    ),
    "mogrifier-lstm": CoreEntry(
        "charrnn.recurrent.mogrifier_lstm:MogrifierLSTM",
        "mogrifier_lstm",
        5e-3,
        256,
        "lstm whose input and state scale each other first",
        "Melis et al. 2019",
    ),
    "min-gru": CoreEntry(
        "charrnn.recurrent.min_gru:MinGRU",
        "scan_equations:min_gru",
        6e-3,
        128,
        "minimal gated unit, parallel over time",
        "Feng et al. 2024",
    ),
    "min-lstm": CoreEntry(
        "charrnn.recurrent.min_lstm:MinLSTM",
        "scan_equations:min_lstm",
        6e-3,
        128,
        "the same with two gates, forget and input, that sum to one",
        "Feng et al. 2024",
    ),
    "rg-lru": CoreEntry(
        "charrnn.recurrent.rg_lru:RGLRU",
        "scan_equations:rg_lru",
        6e-3,
        128,
        "real-gated linear unit, parallel over time",
        "De et al. 2024",
    ),
}


def core_class(name: str) -> "type[Core]":
    """The torch module of a registered core; imports torch. KeyError for an unknown name."""
    module, _, attribute = CORES[name].core.partition(":")
    found: type[Core] = getattr(import_module(module), attribute)
    return found


def core_equations(name: str) -> "Cell":
    """The equations of a registered core, which need no torch. KeyError for an unknown name."""
    page, _, cell = CORES[name].cell.rpartition(":")
    found: Cell = getattr(import_module(f"charrnn.recurrent.{page or 'equations'}"), cell)
    return found
