"""The use case of sampling: the choice of engine, beginning and way to draw. It yields pieces of text."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError, UsageError
from charrnn.files import check_new
from charrnn.messages import named
from charrnn.sampling.batched import Begin, Piece, PrimePiece, write_batched
from charrnn.sampling.chooser import forbidden_ids
from charrnn.sampling.engines import OpenedEngine, open_engine
from charrnn.sampling.generate import start_token
from charrnn.sampling.prefill import after_each, after_prime, led_in, started
from charrnn.sampling.prime import as_model_text, encode_pieces, encode_prime
from charrnn.sampling.stream import Stream, random_seed
from charrnn.settings.sampling import EngineConfig, PrimeConfig, SamplingConfig
from charrnn.text.vocabulary import Ids, check_label

if TYPE_CHECKING:
    from charrnn.sampling.mixture import Mixture

__all__ = ["Prime", "Session"]

Prime = str | list[tuple[str, str]] | Iterable[bytes]


class Session:
    """Samples of one model, or of several, ready to be written: all settings and primes have been checked.

    Args:
        checkpoint: the model; of a `mixture`, the first, whose units and documents are those of the text.
        prime: the text that samples go on from; or its bytes in pieces, which one sample does not keep in memory; or
            named lines, each the prime of one sample, whose state is not saved.

    `config` has the settings with the seed and `until_end` filled in. `device` is the device in words. `draws_labels`
    is true if each sample draws its own label.

    Raises:
        UsageError: settings that do not go together, or not with this model.
        DataError: a prime, or a text to stop before, with characters that the model does not know.
        CharrnnError: as `open_engine`, `load_state` and `copy_guard` do.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: SamplingConfig,
        prime: Prime = "",
        reading: PrimeConfig = PrimeConfig(),  # noqa: B008 (a frozen value)
        engine: EngineConfig = EngineConfig(),  # noqa: B008
        mixture: "Mixture | None" = None,
    ) -> None:
        self._checkpoint, self._reading, self._mixture = checkpoint, reading, mixture
        self.vocabulary = checkpoint.vocabulary
        self.config = config = self._settled(config)
        self.draws_labels = bool(self.vocabulary.labels) and config.label is None and reading.load_state is None
        self._check()
        check_label(config.label, self.vocabulary)
        self._check_ends()
        forbidden_ids(self.vocabulary, config)  # errors come before any text
        self._read(prime)
        self._guard = None
        if config.novel is not None:
            from charrnn.sampling.novel import copy_guard  # few need this

            learned = mixture.checkpoints if mixture else [checkpoint]
            self._guard = copy_guard(learned, config.novel, config.corpus, reading.encoding)
        self._engine, self.device, self._threads, self._blocks = self._opened(engine)
        self._primed = None
        if reading.load_state is not None:
            from charrnn.sampling.prompt_cache import load_state

            self._primed = load_state(Path(reading.load_state), self._engine, checkpoint)

    def pieces(self, *, measured: bool = False) -> Iterator[Piece]:
        """The samples in order, each after its prime; `measured` makes each stream count its nats.

        Raises:
            CheckpointError: the model gives no character a probability.
            DataError: a prime in pieces has characters that the model does not know; or every continuation is a copy.
        """
        if self._lines is not None:
            unprimed = None if self.vocabulary.labels else led_in(self._engine, self.vocabulary.start, self._checkpoint)
            begin = after_each(self._engine, self.vocabulary, self.config, self._lines, self._primed, unprimed)
        elif self.draws_labels:
            begin = after_prime(self._engine, self.vocabulary, self.config, self._first, None)
        else:
            begin = yield from self._prefilled()
        current = -1 if self._is_kept else 0
        for piece in self._written(begin, measured):
            if piece.sample != current:
                current = piece.sample
                prime = self._first if self._lines is None else self._lines[current]
                yield PrimePiece(current, self._shown(prime), None)
            yield piece

    def _opened(self, engine: EngineConfig) -> OpenedEngine:
        streams = None if self._lines is None else len(self._lines)
        if self._mixture is None:
            return open_engine(self._checkpoint, self.config, engine.engine, engine.device, streams=streams)
        from charrnn.sampling.mixture import open_mixture  # few need this

        return open_mixture(self._mixture, self.config, engine, streams=streams)

    def _settled(self, config: SamplingConfig) -> SamplingConfig:
        text = self._checkpoint.config.text
        stop = tuple(as_model_text(each, text, self.vocabulary, named("stop")) for each in config.stop)
        seed = random_seed() if config.seed is None else config.seed
        until_end = text.documents != "none" if config.until_end is None else config.until_end
        return replace(config, stop=stop, seed=seed, until_end=until_end)

    def _check(self) -> None:
        config, reading = self.config, self._reading
        for name in ("load_state", "save_state"):
            if self._mixture and getattr(reading, name) is not None:
                raise UsageError(f"{named(name)} is for the state of one model; it cannot go with several")
        if reading.save_state is not None and not reading.force:
            check_new(Path(reading.save_state))
        if reading.load_state is not None and config.label is not None:
            raise UsageError(
                f"{named('load_state')} goes on with a document that has begun; it cannot go with {named('label')}"
            )
        if reading.save_state is not None and self.draws_labels:
            raise UsageError(f"{named('save_state')} needs a {named('label')}, one of {self.vocabulary.listed_labels}")

    def _check_ends(self) -> None:
        """DataError for a text to stop before, or lines to count, that the model cannot write."""
        known = set(self.vocabulary.characters)
        for stop in self.config.stop:
            if unknown := sorted(set(stop) - known):
                typed = "\\" in unknown
                hint = "a newline is typed $'\\n' in most shells" if typed else "leave it out, or name another text"
                raise DataError(f"{named('stop')} {stop!r:.60} never comes: the model never saw {unknown[0]!a}; {hint}")
        if self.config.lines is not None and "\n" not in known and not self.config.until_end:
            returns = f": its lines end in CR; train with {named('newlines', 'lf')}" if "\r" in known else ""
            raise DataError(
                f"{named('lines')} counts newlines, and the model never saw one{returns}\n"
                f"leave it out, and say the {named('length')}"
            )

    def _read(self, prime: Prime) -> None:
        """Encode the prime: the first piece at once, so that its errors come before any text.

        For one sample a prime of any length takes little memory; for several it is kept, as they need it again.
        """
        text, unknown = self._checkpoint.config.text, self._reading.unknown
        encode = partial(encode_prime, config=text, vocabulary=self.vocabulary, unknown=unknown)
        pieces: Iterator[Ids] = iter(())
        self._lines: list[Ids] | None = None
        if isinstance(prime, str):
            pieces = iter([encode(prime)])
        elif isinstance(prime, list):
            self._lines = [encode(line, name=name) for name, line in prime]
        else:
            pieces = encode_pieces(prime, text, self.vocabulary, unknown, self._reading.encoding)
        self._is_kept = self.draws_labels or self.config.num_samples > 1 or self._lines is not None
        if self._is_kept:
            pieces = iter([np.concatenate([self.vocabulary.encode(""), *pieces])])
        self._first, self._rest = next(pieces, self.vocabulary.encode("")), pieces

    def _prefilled(self) -> Generator[Piece, None, Begin]:
        """Read the prime that all samples share, yield its pieces unless it is kept, and return the beginnings."""
        start = start_token(self.vocabulary, self.config, Stream(self.vocabulary, self.config, 0))
        if self._primed or len(self._first):
            primed = self._primed or started(self._engine, start)
        else:
            primed = led_in(self._engine, start, self._checkpoint)
        for ids in chain([self._first], self._rest):
            if not self._is_kept:
                yield PrimePiece(0, self._shown(ids), None)
            primed = primed.after(self._engine, ids.astype(np.int64))
        if self._reading.save_state is not None:
            from charrnn.sampling.prompt_cache import save_state

            path, replaces = Path(self._reading.save_state), self._reading.force
            save_state(path, primed, self._engine, self._checkpoint, replaces=replaces)
        return after_prime(self._engine, self.vocabulary, self.config, self._first, primed)

    def _written(self, begin: Begin, measured: bool) -> Iterator[Piece]:
        """The samples, written as the settings ask: by a beam, without copies, or side by side."""
        count = self.config.num_samples if self._lines is None else len(self._lines)
        arguments = (self._engine, self.vocabulary, self.config, begin, count)
        if self.config.beam is not None:
            from charrnn.sampling.beam import write_likeliest

            return write_likeliest(*arguments)
        if self._guard is not None:
            from charrnn.sampling.novel import write_novel

            return write_novel(*arguments, guard=self._guard, measured=measured)
        return write_batched(*arguments, measured=measured, threads=self._threads, blocks=self._blocks)

    def _shown(self, ids: Ids) -> str:
        return self.vocabulary.decode(ids[ids < self.vocabulary.start])
