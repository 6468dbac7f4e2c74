"""The one table of recurrent cores. `--help`, config checks, the README and the contract tests read it.

It holds strings, resolved on use, so that reading it imports neither torch nor numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from charrnn.recurrent.contract import Core
    from charrnn.recurrent.equations import Cell

__all__ = ["CORES", "CoreEntry", "core_class", "core_equations"]


class CoreEntry(NamedTuple):
    """Where a core lives, and how the help and the README speak of it."""

    core: str  # "module:class", the sequence module that trains
    cell: str  # the name of its equations in charrnn.recurrent.equations
    learning_rate: float  # at its peak, where none is given; found by trial, see charrnn.training.preset
    summary: str
    paper: str


CORES = {
    "rnn": CoreEntry("charrnn.recurrent.rnn:RNN", "rnn", 6e-3, "tanh recurrent network", "Elman 1990"),
    "rnn-relu": CoreEntry(
        "charrnn.recurrent.rnn_relu:RNNReLU", "rnn_relu", 4e-3, "the same with rectified units", "Le et al. 2015"
    ),
    "lstm": CoreEntry(
        "charrnn.recurrent.lstm:LSTM", "lstm", 1e-2, "long short-term memory", "Hochreiter & Schmidhuber 1997"
    ),
    "gru": CoreEntry("charrnn.recurrent.gru:GRU", "gru", 6e-3, "gated recurrent unit", "Cho et al. 2014"),
}


def core_class(name: str) -> "type[Core]":
    """The torch module of a registered core; imports torch. KeyError for an unknown name."""
    module, _, attribute = CORES[name].core.partition(":")
    return getattr(import_module(module), attribute)  # type: ignore[no-any-return]


def core_equations(name: str) -> "Cell":
    """The equations of a registered core, which need no torch. KeyError for an unknown name."""
    equations = import_module("charrnn.recurrent.equations")
    return getattr(equations, CORES[name].cell)  # type: ignore[no-any-return]
