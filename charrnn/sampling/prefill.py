"""The beginnings of samples: after a prime that they share, or each after a prime of its own."""

from collections.abc import Iterable, Sequence

import numpy as np

from charrnn.checkpoint.format import Checkpoint
from charrnn.sampling.batched import Begin, Beginning
from charrnn.sampling.generate import Engine, start_token
from charrnn.sampling.prompt_cache import Primed
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["after_each", "after_prime", "lead_in_of", "led_in", "read_prime", "started"]

_NOTHING = np.empty(0, dtype=np.int64)


def started(engine: Engine, start: int) -> Primed:
    """Logits, state and tokens after a start token alone."""
    ids = np.array([start])
    return Primed(*engine.read(ids[None], engine.initial_state(1)), ids)


def lead_in_of(checkpoint: Checkpoint) -> str:
    """The end of a paragraph after which samples without a prime begin; "" where the text is no running one, or has
    too few."""
    text, vocabulary, lead_in = checkpoint.config.text, checkpoint.vocabulary, checkpoint.config.record.lead_in
    if lead_in is None:  # a line's end leads in worse, but better than the start token alone
        has_lines = text.documents == "none" and vocabulary.unit == "character" and "\n" in vocabulary.characters
        lead_in = "\n" if has_lines else ""
    return lead_in


def led_in(engine: Engine, start: int, checkpoint: Checkpoint) -> Primed:
    """Logits and state from which a sample without a prime begins. What was read to get there is no text of it."""
    first, ids = started(engine, start), checkpoint.vocabulary.encode(lead_in_of(checkpoint))
    return first.after(engine, ids.astype(np.int64))._replace(recent=first.recent)


def read_prime(engine: Engine, primed: Primed, pieces: Iterable[Ids]) -> Primed:
    """Logits, state and last tokens after `primed` and then a prime in pieces; a piece is dropped once it is read."""
    for piece in pieces:
        primed = primed.after(engine, piece.astype(np.int64))
    return primed


def after_prime(
    engine: Engine, vocabulary: Vocabulary, config: SamplingConfig, prime: Ids, primed: Primed | None
) -> Begin:
    """Beginnings of all samples at `primed`, or without it after their own start tokens and the prime (N,)."""
    known: dict[int | None, Primed] = {} if primed is None else {None: primed}

    def begin(index: int) -> Beginning:
        """The beginning of sample `index`, its prime read already, once for each start token."""
        stream = Stream(vocabulary, config, index)
        start = None if primed else start_token(vocabulary, config, stream)
        if start not in known:
            assert start is not None
            known[start] = read_prime(engine, started(engine, start), [prime])
        logits, state, recent = known[start]
        stream.remember(recent)
        return Beginning(stream, state, _NOTHING, logits, recent)

    return begin


def after_each(
    engine: Engine,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    primes: Sequence[Ids],
    primed: Primed | None,
    unprimed: Primed | None = None,
) -> Begin:
    """Beginnings of samples at `primed`, or their start tokens, each with `primes[i]` (N,) still to be read.

    Without `primed`, samples whose prime is empty begin at `unprimed`, if there is one.
    """

    def begin(index: int) -> Beginning:
        """The beginning of sample `index`, its prime still to be read."""
        stream, ids = Stream(vocabulary, config, index), primes[index].astype(np.int64)
        after = primed or (None if len(ids) else unprimed)
        if after is None:
            ids = np.concatenate([[start_token(vocabulary, config, stream)], ids])
            stream.remember(ids)
            return Beginning(stream, engine.initial_state(1), ids)
        stream.remember(after.recent)
        stream.remember(ids)
        return Beginning(stream, after.state, ids, None if len(ids) else after.logits, after.recent)

    return begin
