"""Sampling without copies: no K characters in a row are in another text; at dead ends the sampler goes back."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError
from charrnn.messages import counted, named
from charrnn.recurrent.states import State
from charrnn.sampling.batched import Begin, Piece
from charrnn.sampling.chooser import Chooser, surprisals
from charrnn.sampling.filters import softmax
from charrnn.sampling.generate import Engine
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.grams import GramIndex, Grams
from charrnn.text.rolling_hash import unit_values
from charrnn.text.training_text import training_text
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["CopyGuard", "copy_guard", "write_novel", "written_novel"]

# The least probability of all novel tokens together. Below it the text can only copy or become nonsense, so an earlier
# character is drawn anew.
_LEAST_SHARE = 0.1
# Steps back since a character was given out, after which any share is accepted, and after which the search gives up.
_PATIENCE, _LIMIT = 100, 10_000


class CopyGuard:
    """A test for tokens that would complete a K-gram of any of `grams`, given the tokens before them."""

    def __init__(self, grams: Sequence[GramIndex], vocabulary: Vocabulary) -> None:
        self.k = grams[0].k
        self._grams, self._values, self._special = grams, unit_values(vocabulary), vocabulary.start

    def before(self, prime: Ids) -> Ids:
        """The last characters of a prime, at most K - 1, that a K-gram may begin with."""
        borders = np.flatnonzero(prime >= self._special)
        return self.tail(prime[borders[-1] + 1 :] if len(borders) else prime)

    def tail(self, ids: Ids) -> Ids:
        """The last K - 1 ids, or all if there are fewer."""
        return ids[max(0, len(ids) - self.k + 1) :]

    def copies(self, before: Ids) -> NDArray[np.bool_]:
        """Mask (V,) of the tokens that complete a K-gram of any of `grams` after the ids `before`."""
        if len(before) < self.k - 1:
            return np.zeros(len(self._values), dtype=bool)
        found: NDArray[np.bool_] = np.any([each.ending(before, self._values) for each in self._grams], axis=0)
        found[self._special :] = False
        return found


def copy_guard(
    checkpoints: Sequence[Checkpoint], k: int, corpus: Sequence[str] = (), encoding: str | None = None
) -> CopyGuard:
    """The guard against copies of the texts that `corpus` names, or without any of the models' training texts.

    They are in UTF-8 unless another `encoding` is named.

    Raises:
        CharrnnError: as `training_text` does.
    """
    learned = (
        training_text(each.config, each.vocabulary, each.folder, corpus, encoding)
        for each in (checkpoints[:1] if corpus else checkpoints)
    )
    indexes = [GramIndex.of(Grams(each.tokens, each.vocabulary, k)) for each in learned]
    return CopyGuard(indexes, checkpoints[0].vocabulary)


class _Place(NamedTuple):
    """A place in a text that the sampler can return to, with everything as it was on arrival."""

    mark: dict[str, Any]  # the stream's
    given: str  # text that the stream gave out on arriving
    before: Ids
    logits: NDArray[np.float32]
    state: State
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
    """The same as `batched.write_batched`, but no text copies, and each is complete before the next begins."""
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
    state: State,
    *,
    prime: Ids,
    guard: CopyGuard,
    measured: bool = False,
) -> Iterator[str]:
    """The same as `generate.written`, but no K-gram with a character that is written here is a copy.

    The other characters of a K-gram may be of the prime. The filters act on the novel tokens. The last K characters are
    held, as they may be taken back.

    Raises:
        DataError: every continuation is a copy.
    """
    before = guard.before(prime)
    place = _Place(stream.mark(), "", before, logits, state, guard.copies(before))
    trail: deque[tuple[_Place, int]] = deque()
    steps_back = 0
    while True:
        token = -1
        if steps_back >= _PATIENCE or not trail or _novel_share(chooser, stream, place) >= _LEAST_SHARE:
            (token,) = chooser.choose(place.logits, [stream], place.closed[None])
        if token == -1 and not trail and 0 < steps_back < _PATIENCE:
            # Small shares were passed over on the way back to here, where nothing else is left: any will do now.
            place, steps_back = place._replace(closed=guard.copies(place.before)), _PATIENCE
            continue
        if token == -1:
            if not trail or steps_back == _LIMIT:
                raise _all_copied(guard)
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


def _all_copied(guard: CopyGuard) -> DataError:
    return DataError(
        f"whatever is written here has {counted(guard.k, 'character')} in a row of the text not to be copied\n"
        f"ask for a larger {named('novel')}, or begin with another prime"
    )


def _novel_share(chooser: Chooser, stream: Stream, place: _Place) -> float:
    """Probability that the next token is neither a copy nor tried before."""
    if not place.closed.any():
        return 1.0
    shares = softmax(chooser.allowed(place.logits, [stream]))[0]
    return float(shares[~place.closed].sum())
