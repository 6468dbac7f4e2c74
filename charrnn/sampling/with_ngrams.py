"""An engine whose logits are those of a network mixed with the n-grams of its training text."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.ngrams.copies import Copies, newest_copy
from charrnn.ngrams.earlier import BEFORE, WINDOW
from charrnn.ngrams.followers import newest_followers
from charrnn.ngrams.table import Contexts, NgramTable, Precedents
from charrnn.recurrent.states import State, joined, map_state
from charrnn.sampling.generate import Engine
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.text.vocabulary import Ids

__all__ = ["EngineWithNgrams", "numpy_engine", "with_ngrams"]


class _NgramState(NamedTuple):
    """Contexts (B, N - 1), and the last tokens (B, WINDOW) of the document, `BEFORE` before it."""

    contexts: NDArray[Any]
    window: NDArray[Any]


class EngineWithNgrams:
    """An engine of a network and a table of n-grams. Its state is that of the network, and the contexts after it."""

    def __init__(self, engine: Engine, table: NgramTable) -> None:
        self._engine, self._table = engine, table

    def initial_state(self, batch_size: int) -> State:
        """The zero state of the network, and nothing read."""
        empty = _NgramState(self._table.no_contexts(batch_size), np.full((batch_size, WINDOW), BEFORE, np.uint32))
        return (*self._engine.initial_state(batch_size), empty)

    def join(self, states: Sequence[State]) -> State:
        """One state with the streams of several states."""
        network = self._engine.join([state[:-1] for state in states])
        return (*network, joined([state[-1] for state in states], np.concatenate))

    def as_arrays(self, state: State) -> State:
        """The state with arrays of float32 for its parts, which hold whole numbers exactly up to 2^24."""
        return (*self._engine.as_arrays(state[:-1]), map_state(lambda part: part.astype(np.float32), state[-1]))

    def from_arrays(self, state: State) -> State:
        """The state from the arrays that `as_arrays` made. ValueError if there are no n-grams of such numbers."""
        own = _NgramState(state[-1].contexts.astype(np.int64), state[-1].window.astype(np.uint32))
        self._table.check_contexts(own.contexts)
        if ((own.window >= self._table.vocabulary_size) & (own.window != BEFORE)).any():
            raise ValueError("there is no token of that number")
        return (*self._engine.from_arrays(state[:-1]), own)

    def step(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after token ids (B,), and the next state."""
        logits, network = self._engine.step(ids, state[:-1])
        before = state[-1]
        if len(ids) == 1:
            contexts = self._table.read_one(int(ids[0]), before.contexts)
        else:
            contexts = self._table.read(ids[:, None], before.contexts)[:, -1]
        return self._mixed(logits, network, contexts, ids[:, None], before)

    def read(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        logits, network = self._engine.read(ids, state[:-1])
        last, before = ids[:, -WINDOW:], state[-1]
        return self._mixed(logits, network, self._table.read(last, before.contexts)[:, -1], last, before)

    def _mixed(
        self, logits: NDArray[np.float32], network: State, contexts: Contexts, ids: Ids, before: _NgramState
    ) -> tuple[NDArray[np.float32], State]:
        """The logits of the mixture and the state, after a network's, the contexts, and the last ids (B, T) read."""
        window = np.concatenate([before.window[:, ids.shape[1] :], ids], 1, dtype=np.uint32, casting="unsafe")
        texts = [row.tobytes().decode("utf-32-le", "surrogatepass") for row in window]
        followers, copies = (np.array(list(map(find, texts))) for find in (newest_followers, newest_copy))
        found = Precedents(contexts, followers, Copies(*copies.T), self._table.recall.at_ends(window))
        logits = self._table.mixed(logits, found)
        return logits, (*network, _NgramState(contexts, window))


def numpy_engine(checkpoint: Checkpoint) -> Engine:
    """The engine in numpy for a checkpoint, with its n-grams, if it has any."""
    return with_ngrams(NumpyEngine(checkpoint.config.model, checkpoint.model), checkpoint.ngrams)


def with_ngrams(engine: Engine, table: NgramTable | None) -> Engine:
    """The engine with the n-grams of a table, if there is one."""
    return engine if table is None else EngineWithNgrams(engine, table)
