"""Values of a network's units and gates while it reads, and their correlation with properties of the text.

After Karpathy, Johnson & Fei-Fei 2015, "Visualizing and understanding recurrent networks", arXiv 1506.02078.
"""

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError, UsageError, overflow
from charrnn.messages import named
from charrnn.network import LayerTrace, NumpyNetwork, quiet_overflow
from charrnn.settings.scoring import Property
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["Property", "Traces", "UnitMatch", "find_units", "property_of", "read_inside", "trace"]

Floats = NDArray[np.float32]

# A layer's values (N, H) by name: those of the state and of the cell's gates.
Traces = dict[str, Floats]


class UnitMatch(NamedTuple):
    """A unit and its layer, from 1, and Pearson's correlation of one of its values with a property of the text."""

    layer: int
    unit: int
    gate: str
    correlation: float


def read_inside(checkpoint: Checkpoint, tokens: Tokens, translation: Ids, count: int) -> tuple[list[Traces], list[Ids]]:
    """Every layer's values (N, H) after each of the first `count` characters, and the ids of these by document.

    `h` is the output, which in most cells is the hidden state; `c` is tanh of an LSTM's cell state; the gates are those
    of `equations`. Each document is read from a zero state and its start token.

    Raises:
        CheckpointError: a value is no finite number, as huge weights can make it.
    """
    network = NumpyNetwork(checkpoint.config.model, checkpoint.model)
    kept, read = [], 0
    documents = []
    for first, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True):
        length = min(int(end - first) - 2, count - read)
        if length <= 0:
            break
        ids = tokens.ids[first : first + 1 + length]
        with quiet_overflow():
            documents.append([_named(trace) for trace in network.trace(translation[ids])])
        kept.append(ids[1:])
        read += length
    layers = [
        {name: np.concatenate([layers[index][name] for layers in documents]) for name in documents[0][index]}
        for index in range(len(documents[0]))
    ]
    if not all(np.isfinite(values).all() for traces in layers for values in traces.values()):
        raise overflow("the model has values that are no finite numbers")
    return layers, kept


def _named(trace: LayerTrace) -> Traces:
    """A layer's values by name after each character of a document, whose first token is the start token."""
    traces = {"h": trace.outputs[1:]}
    if "c" in trace.state._fields:
        traces["c"] = np.tanh(trace.state.c[1:])
    if trace.gates is not None:
        traces |= {name: values[1:] for name, values in trace.gates._asdict().items()}
    return traces


_APOSTROPHES = "‘’‚‛"  # which stand within words, too


def property_of(wanted: Property, documents: list[Ids], vocabulary: Vocabulary) -> NDArray[np.float64]:
    """A property of documents after each character, (N,): 1 in quotes or brackets, or the place in the line, from 0.

    Quotes end with their paragraph at the latest, as a missing quotation mark would invert all that follows.

    Raises:
        DataError: the property is the same everywhere.
    """
    measure = {"quotes": _quotes, "brackets": _brackets, "line-length": _line_places}[wanted]
    found = np.concatenate([measure([vocabulary.characters[token] for token in ids.tolist()]) for ids in documents])
    if found.min() == found.max():
        raise DataError(f"there is nothing to find: the text is {found[0]:g} everywhere by {wanted}; use another text")
    return found


def _quotes(text: list[str]) -> NDArray[np.float64]:
    inside, values = False, []
    for k, character in enumerate(text):
        if character == '"':
            inside = not inside
        elif _opens_quote(character):
            inside = True
        elif _closes_quote(character) or text[k - 1 : k + 1] == ["\n", "\n"]:
            inside = False
        values.append(float(inside))
    return np.array(values)


def _opens_quote(character: str) -> bool:
    return character in "„「『〝" or (unicodedata.category(character) == "Pi" and character not in _APOSTROPHES)


def _closes_quote(character: str) -> bool:
    return character in "」』〞〟" or (unicodedata.category(character) == "Pf" and character not in _APOSTROPHES)


def _brackets(text: list[str]) -> NDArray[np.float64]:
    depth, values = 0, []
    for character in text:
        kind = "" if _opens_quote(character) or _closes_quote(character) else unicodedata.category(character)
        depth = max(depth + (kind == "Ps") - (kind == "Pe"), 0)
        values.append(float(depth > 0))
    return np.array(values)


def _line_places(text: list[str]) -> NDArray[np.float64]:
    place, values = 0, []
    for character in text:
        place = 0 if character == "\n" else place + 1
        values.append(float(place))
    return np.array(values)


def find_units(layers: Mapping[int, Traces], wanted: NDArray[np.float64], count: int) -> list[UnitMatch]:
    """The `count` units whose values correlate most, in either direction, with a property (N,)."""
    found = []
    centred = wanted - wanted.mean()
    for layer, traces in layers.items():
        for gate, values in traces.items():
            own = values.astype(np.float64)
            own -= own.mean(0)
            norms = np.linalg.norm(own, axis=0) * np.linalg.norm(centred)
            correlations = np.divide(centred @ own, norms, out=np.zeros_like(norms), where=norms > 0)
            found += [UnitMatch(layer, unit, gate, float(value)) for unit, value in enumerate(correlations, 1)]
    return sorted(found, key=lambda unit: -abs(unit.correlation))[:count]


def trace(layers: list[Traces], layer: int | None, gate: str, neuron: int | None = None) -> Floats:
    """The values (N, H) of a layer's units, or (N,) of one unit; of the topmost layer if none is named.

    Raises:
        UsageError: there is no such layer, value or unit.
    """
    number = len(layers) if layer is None else layer
    if not 1 <= number <= len(layers):
        raise UsageError(f"{named('layer')} must be 1 to {len(layers)}, got {layer}")
    traces = layers[number - 1]
    if gate not in traces:
        raise UsageError(f"{named('gate')} must be one of {', '.join(traces)} in this model, got {gate}")
    if neuron is None:
        return traces[gate]
    if not 1 <= neuron <= traces[gate].shape[1]:
        raise UsageError(f"{named('neuron')} must be 1 to {traces[gate].shape[1]}, got {neuron}")
    return traces[gate][:, neuron - 1]
