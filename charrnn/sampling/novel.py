"""Text of which no K characters in a row stand in another: what would copy is not drawn, and dead ends are left."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.sampling.batched import Begin, Piece
from charrnn.sampling.chooser import Chooser, surprisals
from charrnn.sampling.filters import softmax
from charrnn.sampling.generate import Engine
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.grams import GramIndex, Grams, unit_values
from charrnn.text.training_text import training_text
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["CopyGuard", "copy_guard", "write_novel", "written_novel"]

# Where all that is novel has a smaller share of the probability, the text has come to where it can but copy or write
# nonsense, and an earlier character is drawn anew.
_LEAST_SHARE = 0.1
# Steps back since a character was given out, after which any share will do; and after which to give up.
_PATIENCE, _LIMIT = 100, 10_000


class CopyGuard:
    """Which tokens would complete a K-gram of `grams`, given the tokens before them."""

    def __init__(self, grams: GramIndex, vocabulary: Vocabulary) -> None:
        self.k = grams.k
        self._grams, self._values, self._special = grams, unit_values(vocabulary), vocabulary.start

    def before(self, prime: Ids) -> Ids:
        """The characters of a prime that a K-gram may begin with."""
        borders = np.flatnonzero(prime >= self._special)
        return self.tail(prime[borders[-1] + 1 :] if len(borders) else prime)

    def tail(self, ids: Ids) -> Ids:
        """The last K - 1 ids, or all if there are fewer."""
        return ids[max(0, len(ids) - self.k + 1) :]

    def copies(self, before: Ids) -> NDArray[np.bool_]:
        """Of each token (V,) whether it completes one."""
        if len(before) < self.k - 1:
            return np.zeros(len(self._values), dtype=bool)
        found = self._grams.ending(before, self._values)
        found[self._special :] = False
        return found


def copy_guard(checkpoint: Checkpoint, k: int, corpus: Sequence[str] = (), encoding: str | None = None) -> CopyGuard:
    """What is novel to those who know the texts that `corpus` names, or without any the model's training text.

    They are in UTF-8 unless another `encoding` is named.

    Raises:
        CharrnnError: as `training_text` does.
    """
    learned = training_text(checkpoint.config, checkpoint.vocabulary, corpus, encoding)
    return CopyGuard(GramIndex.of(Grams(learned.tokens, learned.vocabulary, k)), checkpoint.vocabulary)


class _Place(NamedTuple):
    """A point in a text to come back to: all that was there on arrival."""

    mark: dict[str, Any]  # the stream's
    given: str  # what the stream gave out on arriving
    before: Ids
    logits: NDArray[np.float32]
    state: Any
    closed: NDArray[np.bool_]  # tokens (V,) that would complete a copy, or were tried


def write_novel(
    engine: Engine,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    begin: Begin,
    count: int,
    *,
    guard: CopyGuard,
    measured: bool = False,
) -> Iterator[Piece]:
    """As `batched.write_batched`, but that no text copies, and that each is complete before the next begins."""
    chooser = Chooser(vocabulary, config)
    for index in range(count):
        beginning = begin(index)
        stream, prime = beginning.stream, np.concatenate([beginning.before, beginning.ids])
        logits, state = beginning.read(engine)
        for text in written_novel(engine, chooser, stream, logits, state, prime=prime, guard=guard, measured=measured):
            yield Piece(index, text, stream if stream.finish else None)


def written_novel(
    engine: Engine,
    chooser: Chooser,
    stream: Stream,
    logits: NDArray[np.float32],
    state: Any,
    *,
    prime: Ids,
    guard: CopyGuard,
    measured: bool = False,
) -> Iterator[str]:
    """As `generate.written`, but that no K-gram is a copy that has a character written here, be the others the prime's.

    The filters act on what is novel. The last K characters may be taken back, and are held until then.

    Raises:
        DataError: whatever is drawn, everything that may follow it is a copy.
    """
    before = guard.before(prime)
    place = _Place(stream.mark(), "", before, logits, state, guard.copies(before))
    trail: deque[tuple[_Place, int]] = deque()
    steps_back = 0
    while True:
        token = -1
        if steps_back >= _PATIENCE or not trail or _novel_share(chooser, stream, place) >= _LEAST_SHARE:
            (token,) = chooser.choose(place.logits, [stream], place.closed[None])
        if token == -1:
            if not trail or steps_back == _LIMIT:
                raise DataError(
                    f"whatever is written here, {guard.k} characters in a row stand in the text not to be copied\n"
                    f"ask for a larger {named('novel')}, or begin with another prime"
                )
            place, tried = trail.pop()
            place.closed[tried] = True
            stream.go_back(place.mark)
            steps_back += 1
            continue
        given = stream.take(token, surprisals(place.logits, [token])[0] if measured else None)
        trail.append((place, token))
        if stream.finish:
            yield "".join(held.given for held, _ in trail) + given
            return
        if len(trail) > guard.k:
            steps_back = 0
            yield trail.popleft()[0].given
        logits, state = engine.step(np.array([token]), place.state)
        before = guard.tail(np.append(place.before, token))
        place = _Place(stream.mark(), given, before, logits, state, guard.copies(before))


def _novel_share(chooser: Chooser, stream: Stream, place: _Place) -> float:
    """How probable it is that what the model would write next is neither a copy nor tried."""
    if not place.closed.any():
        return 1.0
    shares = softmax(chooser.allowed(place.logits, [stream]))[0]
    return float(shares[~place.closed].sum())
