"""Several models that write one text: their distributions of the next character, mixed at every step."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.recurrent.states import State
from charrnn.sampling.batched import BLOCKS
from charrnn.sampling.beam import log_probabilities
from charrnn.sampling.engines import OpenedEngine, open_engine
from charrnn.sampling.generate import Engine
from charrnn.settings.sampling import Blend, EngineConfig, SamplingConfig
from charrnn.text.same_alphabet import check_alphabets
from charrnn.text.vocabulary import Ids

__all__ = ["MixedEngine", "Mixture", "open_mixture"]


class Mixture(NamedTuple):
    """Models of one alphabet, the share of each, which sum to 1, and the way in which they are mixed.

    A "mixture" has the sum of their probabilities, weighted by the shares; a "product" the weighted geometric mean,
    normalised.
    """

    checkpoints: Sequence[Checkpoint]
    shares: Sequence[float]
    blend: Blend = "mixture"

    @classmethod
    def of(cls, checkpoints: Sequence[Checkpoint], names: Sequence[str], shares: Sequence[float], blend: Blend) -> Self:
        """A mixture of models of these names.

        Raises:
            UsageError: as `check_alphabets`.
        """
        check_alphabets([each.vocabulary for each in checkpoints], names)
        return cls(checkpoints, shares, blend)


class MixedEngine:
    """An engine that steps several others, and mixes their distributions.

    Its state is a tuple of theirs. Its logits are the logarithms of the probabilities.
    """

    def __init__(self, engines: Sequence[Engine], shares: Sequence[float], blend: Blend) -> None:
        self._engines, self._blend = engines, blend
        self._shares = np.array(shares)[:, None, None]  # (models, 1, 1)

    def initial_state(self, batch_size: int) -> State:
        """The zero states of all."""
        return tuple(engine.initial_state(batch_size) for engine in self._engines)

    def join(self, states: Sequence[State]) -> State:
        """One state with the streams of several states."""
        return self._each("join", *(list(own) for own in zip(*states, strict=True)))

    def as_arrays(self, state: State) -> State:
        """The states with numpy arrays for their parts."""
        return self._each("as_arrays", *state)

    def from_arrays(self, state: State) -> State:
        """The states of the engines from the arrays that `as_arrays` made."""
        return self._each("from_arrays", *state)

    def _each(self, method: str, *arguments: State) -> State:
        return tuple(
            getattr(engine, method)(argument) for engine, argument in zip(self._engines, arguments, strict=True)
        )

    def step(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after token ids (B,), and the next state."""
        return self._mixed([engine.step(ids, own) for engine, own in zip(self._engines, state, strict=True)])

    def read(self, ids: Ids, state: State) -> tuple[NDArray[np.float32], State]:
        """Logits (B, V) after the last of token ids (B, T), T > 0, and the state there."""
        return self._mixed([engine.read(ids, own) for engine, own in zip(self._engines, state, strict=True)])

    def _mixed(self, found: Sequence[tuple[NDArray[np.float32], State]]) -> tuple[NDArray[np.float32], State]:
        logs = np.stack([log_probabilities(logits) for logits, _ in found])  # (models, B, V)
        if self._blend == "product":
            mixed = log_probabilities((self._shares * logs).sum(0))
        else:
            mixed = np.logaddexp.reduce(logs + np.log(self._shares))
        return mixed.astype(np.float32), tuple(state for _, state in found)


def open_mixture(
    mixture: Mixture, config: SamplingConfig, engine: EngineConfig, *, streams: int | None = None
) -> OpenedEngine:
    """An engine that mixes the models, each stepped by the engine that `open_engine` chooses for it.

    Raises:
        UsageError: as `open_engine`.
    """
    opened = [open_engine(each, config, engine.engine, engine.device, streams=streams) for each in mixture.checkpoints]
    mixed = MixedEngine([each.engine for each in opened], mixture.shares, mixture.blend)
    blocks = opened[0].blocks if len({each.blocks for each in opened}) == 1 else BLOCKS
    threads = max(each.threads for each in opened)
    return OpenedEngine(mixed, ", ".join(dict.fromkeys(each.device for each in opened)), threads, blocks)
