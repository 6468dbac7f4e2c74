"""Writing text token by token, each drawn from the network's distribution after those before it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.recurrent.states import State
from charrnn.sampling.chooser import Chooser, surprisals
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary, check_label

__all__ = ["Engine", "generate", "start_after", "start_token", "written"]


class Engine(Protocol):
    """A model that can be stepped. A state is a value: no method changes it."""

    def initial_state(self, batch_size: int) -> State:
        """The zero state of `batch_size` streams."""
        ...

    def join(self, states: Sequence[State]) -> State:
        """One state with the streams of several states; `states.take_rows` selects streams."""

    def as_arrays(self, state: State) -> State:
        """The state with numpy arrays for its parts, the same for every engine."""

    def from_arrays(self, state: State) -> State:
        """The state of this engine from the arrays that `as_arrays` made. ValueError for others, as far as it tells."""

    def step(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after token ids (B,), and the next state."""

    def read(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""


def generate(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, prime: Ids, index: int = 0
) -> Iterator[str]:
    """The characters of sample `index`, one by one, after the start token and `prime`.

    The start token is that of `config.label`; if that is absent and the model has labels, a label is drawn by its share
    of the training documents.

    The draws depend on `config.seed` (ValueError when it is absent) and `index` alone. The sample ends after
    `config.length` characters (0: never), after `config.lines` newlines, before the first of `config.stop` (texts in
    the units of the model), or, with `config.until_end`, at the end token. The end token is never drawn without
    `config.until_end`, nor within the first `config.min_length` characters.

    Raises:
        UsageError: `config.allow` and `config.ban` have an unknown class, or leave no character to write; the model
            does not know `config.label`.
    """
    stream = Stream(vocabulary, config, index)
    stream.remember(prime)
    before = np.concatenate([[start_token(vocabulary, config, stream)], prime.astype(np.int64)])
    logits, state = engine.read(before[None], engine.initial_state(1))
    for piece in written(engine, Chooser(vocabulary, config), stream, logits, state):
        if piece:
            yield piece


def written(
    engine: Engine,
    chooser: Chooser,
    stream: Stream,
    logits: NDArray[np.float32],
    state: State,
    *,
    measured: bool = False,
) -> Iterator[str]:
    """The text of a stream from logits (1, V) and state on: after each step the part that is certain, until it ends.

    `measured` makes the stream count its nats. CheckpointError as for `generate`.
    """
    ids = np.empty(1, dtype=np.int64)
    while True:
        (token,) = chooser.choose(logits, [stream])
        yield stream.take(token, surprisals(logits, [token])[0] if measured else None)
        if stream.finish:
            return
        ids[0] = token
        logits, state = engine.step(ids, state)


def start_after(label: str | None, vocabulary: Vocabulary) -> int:
    """The start token of a document with that label. UsageError as `check_label`, or if the model needs a label."""
    label = check_label(label, vocabulary)
    if vocabulary.labels and label is None:
        one = named("label")
        raise UsageError(f"the model writes in several manners; say which by {one}: {vocabulary.listed_labels}")
    return vocabulary.start if label is None else vocabulary.start_of(label)


def start_token(vocabulary: Vocabulary, config: SamplingConfig, stream: Stream) -> int:
    """The start token of a stream's document; a label that is drawn takes one of the stream's random numbers."""
    if (label := check_label(config.label, vocabulary)) is not None:
        return vocabulary.start_of(label)
    if not vocabulary.labels:
        return vocabulary.start
    shares = np.cumsum(vocabulary.label_counts, dtype=np.float64)
    return vocabulary.starts[int(np.searchsorted(shares, stream.uniform() * shares[-1], side="right"))]
