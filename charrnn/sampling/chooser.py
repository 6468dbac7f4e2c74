"""The choice of the next token of each of several texts: forbidden tokens, penalties and the draw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.sampling.character_sets import matches
from charrnn.sampling.filters import FILTERS, draw, penalized, probabilities
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Chooser", "forbidden_ids", "surprisals"]

_PLAIN = 1e-3  # the lowest temperature by which float32 logits can be divided without overflow


def forbidden_ids(vocabulary: Vocabulary, config: SamplingConfig) -> NDArray[np.int64]:
    """The ids that are never drawn. UsageError as for `generate`."""
    allowed = np.ones(vocabulary.size, dtype=bool)
    allowed[[*vocabulary.starts, vocabulary.unknown]] = False
    allowed[vocabulary.end] = bool(config.until_end)
    characters = allowed[: vocabulary.start]  # a view
    if config.allow is not None:
        characters &= matches(config.allow, vocabulary, "allow")
    if config.ban is not None:
        characters &= ~matches(config.ban, vocabulary, "ban")
    if not characters.any():
        raise UsageError(
            f"{named('allow')} and {named('ban')} leave none of the model's characters to write; "
            "allow more, or ban fewer"
        )
    return np.flatnonzero(~allowed)


class Chooser:
    """Draws the next token of each of several streams from their logits, as a configuration says.

    A stream's token depends on its own row and random numbers alone.
    """

    def __init__(self, vocabulary: Vocabulary, config: SamplingConfig) -> None:
        self._config, self._end = config, vocabulary.end
        self._forbidden = forbidden_ids(vocabulary, config)
        self._row = np.empty(vocabulary.size)  # float64, used again for every draw of a single stream
        is_filtered = any(getattr(config, name) is not None for name in FILTERS)
        self._is_plain = config.temperature >= _PLAIN and not is_filtered
        self._is_simple = self._is_plain and config.repetition_penalty == 1 and not config.min_length

    def choose(
        self, logits: NDArray[np.float32], streams: Sequence[Stream], forbidden: NDArray[np.bool_] | None = None
    ) -> list[int]:
        """A token for each stream from logits (B, V), drawn by one of its random numbers.

        `forbidden` (B, V) marks tokens that may not come next, besides those never drawn; a row that has no token left
        gets -1.

        Raises:
            CheckpointError: the model gives no character a probability.
        """
        if self._is_simple and len(streams) == 1 and forbidden is None:
            return [self._draw_one(logits, streams[0].uniform())]
        allowed = self.allowed(logits, streams)
        uniforms = np.array([stream.uniform() for stream in streams])
        if forbidden is None:
            tokens = self._draw(allowed, uniforms)
        else:
            rest = np.where(forbidden, -np.inf, allowed)
            is_closed = (rest.max(axis=-1) == -np.inf) & (allowed.max(axis=-1) > -np.inf)
            rest[is_closed] = allowed[is_closed]
            tokens = np.where(is_closed, -1, self._draw(rest, uniforms))
        found: list[int] = tokens.tolist()
        return found

    def allowed(self, logits: NDArray[np.float32], streams: Sequence[Stream]) -> NDArray[np.float64]:
        """Logits (B, V) before temperature and filters: penalised, and -inf for tokens that may not come next."""
        config = self._config
        allowed: NDArray[np.float64] = logits.astype(np.float64)
        allowed[:, self._forbidden] = -np.inf
        if config.min_length:
            allowed[[stream.written < config.min_length for stream in streams], self._end] = -np.inf
        if config.repetition_penalty != 1:
            for row, stream in zip(allowed, streams, strict=True):
                recent = np.fromiter(set(stream.recent), dtype=np.int64)
                row[:] = penalized(row, recent, config.repetition_penalty)
        return allowed

    def _draw(self, allowed: NDArray[np.float64], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
        best = allowed.max(axis=-1, keepdims=True)
        if self._is_plain and np.isfinite(best).all():
            allowed -= best
            allowed /= self._config.temperature
            shares = np.exp(allowed, out=allowed)
        else:
            shares = probabilities(allowed, self._config)
        return draw(shares, uniforms)

    def _draw_one(self, logits: NDArray[np.float32], uniform: float) -> int:
        """The token of a single row, as `choose` has it, with only numpy calls on one buffer, which is faster."""
        row = self._row
        row[:] = logits[0]
        row[self._forbidden] = -np.inf
        best = row.max()
        if not -np.inf < best < np.inf:
            return int(self._draw(self.allowed(logits, ()), np.array([uniform]))[0])
        row -= best
        row /= self._config.temperature
        np.exp(row, out=row)
        np.add.accumulate(row, out=row)
        return int(row.searchsorted(uniform * row[-1], "right"))


def surprisals(logits: NDArray[np.float32], tokens: Sequence[int]) -> list[float]:
    """-ln p of a token in each row of logits (B, V), by the softmax of the unchanged row; NaN where logits overflow."""
    rows: NDArray[Any] = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        rows -= rows.max(axis=-1, keepdims=True)
    chosen = rows[np.arange(len(tokens)), list(tokens)]
    found: list[float] = (np.log(np.exp(rows).sum(axis=-1)) - chosen).tolist()
    return found
