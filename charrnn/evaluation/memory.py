"""Memory of a network: its cost by length of context, and the norm of its gradients by distance."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.errors import DataError, overflow
from charrnn.evaluation.evaluate import Reading
from charrnn.evaluation.scoring import ScoreSums, Segments, carried, score, scored
from charrnn.evaluation.with_ngrams import network_of
from charrnn.model import CharacterModel
from charrnn.recurrent.states import map_state
from charrnn.runtime import without_cudnn

__all__ = ["LONGEST", "Memory", "gradient_norms", "memory", "target_places"]

LONGEST = 1024
_GRADIENT_TARGETS = 128
_ROWS = 16  # targets whose gradients are computed together: each keeps 1024 steps in memory


class Memory(NamedTuple):
    """Costs and gradients of a network for each context length K of `contexts`: 1, 2, 4 … tokens.

    `bits` (N,) are bits per character after the last K tokens, over the same targets for each K; `all_bits` are those
    after the whole document before. `gradients` (N,) are mean norms of the gradient of a target's loss with respect to
    the state K steps before the one that predicts it. The state is all that is carried: hidden state and cell state of
    every layer.
    """

    contexts: tuple[int, ...]
    bits: tuple[float, ...]
    all_bits: float
    gradients: tuple[float, ...]
    targets: int


def memory(reading: Reading, targets: int = 300) -> Memory:
    """Measure the memory of the network, without n-grams, on at most `targets` targets, spread evenly over a text.

    Each target has the longest context before it, so that all contexts are measured on the same targets. A context
    begins with a zero state and no start token, as a window does. The gradients are those of every n-th target, at most
    `_GRADIENT_TARGETS` of them.

    Raises:
        DataError: no document has two characters, or the model knows none of the targets.
        CheckpointError: a cost is no finite number, as huge weights can make it.
    """
    model, tokens, vocabulary = network_of(reading.model), reading.tokens, reading.model_vocabulary
    translation = reading.translation
    longest, places = target_places(tokens.offsets, targets)
    known = places[translation[tokens.ids[places]] != vocabulary.unknown]
    if not len(known):
        raise DataError(f"{reading.text} has no target that the model knows; use a text like that of its training")
    contexts = tuple(2**k for k in range(longest.bit_length()))
    bits = []
    for context in contexts:
        segments = Segments(places - context, places - 1, places, places - context)
        found = score(model, tokens, segments, vocabulary, translation=translation, rows=256, chunk=2**15)
        bits.append(found.bits_per_character)
    whole = ScoreSums()
    for piece in scored(model, tokens, carried(tokens), vocabulary, translation=translation):
        whole = whole.plus(piece.at(np.flatnonzero(np.isin(piece.places, places))), vocabulary)
    some = known[:: -(-len(known) // _GRADIENT_TARGETS)]
    firsts = tokens.offsets[np.searchsorted(tokens.offsets, some, "right") - 1]
    windows = [
        translation[tokens.ids[max(int(place) - 2 * longest, int(first)) : place + 1]]
        for place, first in zip(some, firsts, strict=True)
    ]
    gradients = np.concatenate([gradient_norms(model, ids, contexts) for ids in _batches(windows)]).mean(0)
    if not np.isfinite([*bits, whole.nats, *gradients]).all():
        raise overflow("the model gives a text costs that are no finite numbers")
    return Memory(contexts, tuple(bits), whole.bits_per_character, tuple(gradients.tolist()), whole.characters)


def target_places(offsets: NDArray[np.integer[Any]], count: int) -> tuple[int, NDArray[np.int64]]:
    """The longest context, and places in `Tokens.ids` of at most `count` targets that have that context before them.

    The longest context is the largest power of two, at most 1024, such that at least half of the targets of the text
    have that many characters before them.

    Raises:
        DataError: no document has two characters.
    """
    starts, lengths = offsets[:-1].astype(np.int64), np.diff(offsets).astype(np.int64) - 1  # characters and the end
    longest = LONGEST
    while longest > 1 and 2 * np.maximum(lengths - longest, 0).sum() < lengths.sum():
        longest //= 2
    room = np.maximum(lengths - longest, 0)  # targets of each document that have `longest` characters before them
    total = int(room.sum())
    if not total:
        raise DataError("no document has two characters; there is nothing to remember")
    chosen = np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))
    ends = np.cumsum(room)
    document = np.searchsorted(ends, chosen, "right")
    return longest, starts[document] + 1 + longest + chosen - (ends - room)[document]


def _batches(windows: list[NDArray[Any]]) -> Iterator[Tensor]:
    """Windows of the same length side by side, as token ids (B, T)."""
    by_length: dict[int, list[NDArray[Any]]] = {}
    for window in windows:
        by_length.setdefault(len(window), []).append(window)
    for same in by_length.values():
        for k in range(0, len(same), _ROWS):
            yield torch.from_numpy(np.stack(same[k : k + _ROWS]).astype(np.int64))


def gradient_norms(model: CharacterModel, ids: Tensor, distances: tuple[int, ...]) -> NDArray[np.float64]:
    """Norms (B, N) of ∂loss/∂state, at each of N increasing `distances` before the state that predicts the last of
    token ids (B, T). Tokens before the longest distance are read from a zero state, without a gradient.

    ValueError where a row is shorter than the longest distance.
    """
    device, T = next(model.parameters()).device, ids.shape[1] - 1
    if distances[-1] > T:
        raise ValueError(f"{T} tokens to read are fewer than {distances[-1]} steps")
    ids = ids.to(device)
    inputs, targets = ids[:, :-1], ids[:, -1]
    state: Any = model.initial_state(len(ids))
    edges = [T - distance for distance in reversed(distances)]
    if edges[0]:
        with torch.no_grad():
            _, state = model(inputs[:, : edges[0]], state)
    states: list[list[Tensor]] = []
    with torch.enable_grad(), without_cudnn():  # cuDNN has a backward pass in training mode only
        for start, end in pairwise([*edges, T]):
            if not states:
                state = map_state(lambda part: part.detach().requires_grad_(), state)
            states.append([part for layer in state for part in layer])
            logits, state = model(inputs[:, start:end], state)
        loss = F.cross_entropy(logits[:, -1].float(), targets, reduction="sum")  # each row has its own gradients
        parts = [part for state in states for part in state]
        gradients = iter(torch.autograd.grad(loss, parts, allow_unused=True, materialize_grads=True))
    # In double precision on the CPU, as not every device has it.
    squares = [sum(next(gradients).cpu().double().square().sum(1) for _ in state) for state in states]
    norms: NDArray[np.float64] = torch.stack(squares[::-1], 1).sqrt().numpy()  # type: ignore[arg-type]
    return norms
