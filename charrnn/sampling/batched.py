"""Many samples side by side: their streams are stepped as one product, their texts come out in order.

A product of one row and one of many rows round differently, and the rounding changes a draw once in some 200,000
characters. A sample must not depend on how many are drawn with it, so sample i always has row i mod 65, and each row
is always in a product of the same shape: row 0 is alone, as fast as one stream can be, the others are in blocks, whose
idle rows are computed, too. On a GPU, where many rows cost no more than one, all rows are in one block.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from operator import methodcaller
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.recurrent.states import State, take_rows
from charrnn.sampling.chooser import Chooser, surprisals
from charrnn.sampling.generate import Engine, written
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["BLOCKS", "ONE_BLOCK", "Begin", "Beginning", "Piece", "PrimePiece", "write_batched"]

BLOCKS = (1, 8, 24, 32)  # rows; small ones for few samples, the last two balanced for two threads
_ROWS = sum(BLOCKS)
ONE_BLOCK = (_ROWS,)
_MOST_HELD = 2**18  # characters that a row may have written while samples before its own are not complete
_MOST_AHEAD = 4 * _ROWS  # samples


class Beginning(NamedTuple):
    """The beginning of a sample: a state of one stream, and tokens (N,) that are to be read from it first.

    If there are no such tokens, `logits` (1, V) are those after the last token read. `before` are the last tokens that
    were read to reach the state.
    """

    stream: Stream
    state: State
    ids: Ids
    logits: NDArray[np.float32] | None = None
    before: Ids = np.empty(0, dtype=np.int64)

    def read(self, engine: Engine) -> tuple[NDArray[np.float32], State]:
        """Logits (1, V) and state after all tokens."""
        if len(self.ids):
            return engine.read(self.ids[None], self.state)
        assert self.logits is not None
        return self.logits, self.state


Begin = Callable[[int], Beginning]


class Piece(NamedTuple):
    """Some text of a sample; its last piece has its stream, which says how it ended."""

    sample: int
    text: str
    finished: Stream | None


class PrimePiece(Piece):
    """Some text of the prime of a sample, which comes before its own."""


class _Unclaimed:
    """Text that a sample has written and that has not been taken yet; `size` is its length in characters."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.size = stream, 0
        self._pieces: list[str] = []

    @property
    def is_far_ahead(self) -> bool:
        """True if the text has `_MOST_HELD` characters or more."""
        return self.size >= _MOST_HELD

    def add(self, piece: str) -> None:
        """Append a piece of text."""
        self._pieces.append(piece)
        self.size += len(piece)
        if len(self._pieces) == 4096:
            self._pieces = ["".join(self._pieces)]

    def taken(self) -> str:
        """The text so far, which is removed."""
        text, self._pieces, self.size = "".join(self._pieces), [], 0
        return text


def write_batched(
    engine: Engine,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    begin: Begin,
    count: int,
    *,
    measured: bool = False,
    threads: int = 1,
    blocks: tuple[int, ...] = BLOCKS,
) -> Iterator[Piece]:
    """The texts of samples 0 to `count` - 1, each begun at `begin(index)`, in pieces and in order.

    The first sample that is not complete comes out as it is written, the others are held meanwhile; those that get far
    ahead wait, so memory has a bound. `measured` makes each stream count its nats. The rows are stepped in `blocks`,
    which are `BLOCKS` or `ONE_BLOCK`, by the given number of `threads`.

    Raises:
        CheckpointError: the model gives no character a probability.
    """
    if count == 1 and blocks[0] == 1:  # the same as below, but simpler
        beginning = begin(0)
        stream, (logits, state) = beginning.stream, beginning.read(engine)
        for piece in written(engine, Chooser(vocabulary, config), stream, logits, state, measured=measured):
            yield Piece(0, piece, stream if stream.finish else None)
        return
    common = _Common(engine, begin, count, measured)
    firsts = [last - rows for rows, last in zip(blocks, accumulate(blocks), strict=True)]
    stepped: list[_Alone | _Block] = [
        _Alone(common, Chooser(vocabulary, config))
        if rows == 1
        else _Block(common, Chooser(vocabulary, config), range(first, first + rows))
        for rows, first in zip(blocks, firsts, strict=True)
        if first < count
    ][::-1]  # the largest first
    with _mapping(min(threads, len(stepped))) as each_of:
        for index in range(count):
            block = next(block for block in stepped if index % _ROWS in block.rows)
            finished = None
            while not finished:
                each_of(methodcaller("advance", index), stepped)
                text = block.texts[index]
                finished = text.stream if text.stream.finish else None
                if text.size or finished:
                    yield Piece(index, text.taken(), finished)
            del block.texts[index]


@contextmanager
def _mapping(threads: int) -> Iterator[Callable[[Callable[[Any], object], list[Any]], object]]:
    """A function that calls another with each item of a list, in the given number of threads."""
    if threads < 2:
        yield lambda function, things: [function(thing) for thing in things]
        return
    from concurrent.futures import ThreadPoolExecutor  # takes a hundredth of a second, and few need it

    with ThreadPoolExecutor(threads) as pool:
        yield lambda function, things: list(pool.map(function, things))


class _Common(NamedTuple):
    """Values that all rows share."""

    engine: Engine
    begin: Begin
    samples: int
    measured: bool

    def may_begin(self, index: int, first: int) -> bool:
        """True if sample `index` may begin while `first` is the first that is not complete."""
        return index < self.samples and index <= first + _MOST_AHEAD


class _Alone:
    """Row 0, whose stream is stepped alone."""

    rows = range(1)

    def __init__(self, common: _Common, chooser: Chooser) -> None:
        self.texts: dict[int, _Unclaimed] = {}
        self._common, self._chooser = common, chooser
        self._index = 0  # of the sample that it writes or will write next
        self._steps: Iterator[str] | None = None

    def advance(self, first: int) -> None:
        """Take a step, unless there is nothing to do before sample `first` is complete."""
        engine, begin, _, measured = self._common
        if self._steps is None:
            if not self._common.may_begin(self._index, first):
                return
            beginning = begin(self._index)
            stream, (logits, state) = beginning.stream, beginning.read(engine)
            self._steps = written(engine, self._chooser, stream, logits, state, measured=measured)
            self.texts[self._index] = _Unclaimed(stream)
        text = self.texts[self._index]
        if text.is_far_ahead and self._index != first:
            return
        text.add(next(self._steps))
        if text.stream.finish:
            self._index, self._steps = self._index + _ROWS, None


class _Assigned:
    """A row of a block while it has a sample."""

    def __init__(self, index: int, ids: Ids, text: _Unclaimed) -> None:
        self.index, self.text = index, text
        self.unread = ids.tolist()[::-1]


class _Block:
    """Rows that are stepped together."""

    def __init__(self, common: _Common, chooser: Chooser, rows: range) -> None:
        self.rows = rows
        self.texts: dict[int, _Unclaimed] = {}
        self._common, self._chooser = common, chooser
        self._next = list(rows)  # the sample that a row writes or will write next
        self._assigned: list[_Assigned | None] = [None] * len(rows)
        self._ids = np.zeros(len(rows), dtype=np.int64)
        self._logits, self._state = common.engine.step(self._ids, common.engine.initial_state(len(rows)))

    def advance(self, first: int) -> None:
        """Take a step with every row that has something to do before sample `first` is complete."""
        engine, _, _, measured = self._common
        self._begin(first)
        waiting, drawing, going = [], [], 0
        for place, assigned in enumerate(self._assigned):
            if assigned is None:
                continue
            if assigned.text.is_far_ahead and assigned.index != first:
                waiting.append(place)
            elif assigned.unread:
                self._ids[place] = assigned.unread.pop()
                going += 1
            else:
                drawing.append((place, assigned))
        if drawing:
            places = [place for place, _ in drawing]
            logits = self._logits[places]
            tokens = self._chooser.choose(logits, [assigned.text.stream for _, assigned in drawing])
            costs = surprisals(logits, tokens) if measured else [None] * len(tokens)
            self._ids[places] = tokens
            for (place, assigned), token, nats in zip(drawing, tokens, costs, strict=True):
                stream = assigned.text.stream
                assigned.text.add(stream.take(token, nats))
                going += not stream.finish
                if stream.finish:
                    self._assigned[place] = None
                    self._next[place] += _ROWS
        if going:
            logits, state = engine.step(self._ids, self._state)
            if waiting:
                order = np.arange(len(self._assigned)) + len(self._assigned)
                order[waiting] -= len(self._assigned)
                state = take_rows(engine.join([self._state, state]), order)
                logits[waiting] = self._logits[waiting]
            self._logits, self._state = logits, state

    def _begin(self, first: int) -> None:
        """Give samples to the rows that have none."""
        order = np.arange(len(self._assigned))
        begun: list[State] = []
        for place, assigned in enumerate(self._assigned):
            index = self._next[place]
            if assigned is not None or not self._common.may_begin(index, first):
                continue
            stream, state, ids, logits, _ = self._common.begin(index)
            self.texts[index] = _Unclaimed(stream)
            self._assigned[place] = _Assigned(index, ids, self.texts[index])
            order[place] = len(self._assigned) + len(begun)
            begun.append(state)
            if logits is not None:
                self._logits[place] = logits[0]
        if begun:
            self._state = take_rows(self._common.engine.join([self._state, *begun]), order)
