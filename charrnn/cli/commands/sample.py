"""`charrnn sample`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charrnn.cli.common import ModelInput, PrimeInput, Quiet, open_model, tell_model
from charrnn.cli.options import with_options
from charrnn.cli.process.stdin import lines_of
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.samples import write_json, write_text
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import JSON_LINES_HELP, setting
from charrnn.settings.sampling import IN, OUT, EngineConfig, PrimeConfig, SamplingConfig

if TYPE_CHECKING:
    from charrnn.sampling.batched import Piece

__all__ = ["command"]


@dataclass(frozen=True)
class SampleInput(PrimeInput):
    """The text to go on from, or several texts, one a line of a file."""

    prime_lines: str | None = setting(
        None, "Go on from each line of a file, or - for standard input.", panel=IN, metavar="FILE"
    )

    def given(self) -> list[str]:
        """Names of the ways in which a text was given, `prime_lines` among them."""
        return [*super().given(), *([named("prime_lines")] if self.prime_lines is not None else [])]


@dataclass(frozen=True)
class SampleOutput(Quiet):
    """Options for the file and the form of the text."""

    output: str | None = setting(None, "Write into a new file.", panel=OUT, short="o", metavar="FILE")
    echo: bool = setting(True, "Write the prime, too.", panel=OUT, off="--no-echo")
    as_json: bool = setting(False, JSON_LINES_HELP, panel=OUT, flag="--json")
    null: bool = setting(False, "End each sample with NUL, not with a newline.", panel=OUT, short="0")
    raw: bool | None = setting(
        None,
        "Write control characters as they are (default: in a pipe), or escaped (default: on a terminal).",
        panel=OUT,
        off="--escape",
        shows_default=False,
    )


def _check(prime: SampleInput, drawing: SamplingConfig, reading: PrimeConfig, output: SampleOutput) -> None:
    """Raise UsageError for settings that do not go together."""
    lines = named("prime_lines")
    if prime.prime_lines is not None and drawing.num_samples > 1:
        raise UsageError(f"{lines} writes one continuation a line; it cannot go with {named('num_samples')}")
    if prime.prime_lines is not None and reading.save_state is not None:
        raise UsageError(f"{named('save_state')} keeps the state after one prime; it cannot go with {lines}")
    if output.as_json and output.null:
        raise UsageError(f"{named('as_json')} writes lines; it cannot go with {named('null')}")


@with_options
def command(
    prime: SampleInput,
    model: ModelInput,
    drawing: SamplingConfig,
    reading: PrimeConfig,
    output: SampleOutput,
    engine: EngineConfig,
) -> None:
    """The text goes to stdout as it is made, everything else to stderr."""
    _check(prime, drawing, reading, output)
    read = prime.read(quiet=output.quiet)
    lines = None if prime.prime_lines is None else list(lines_of(prime.prime_lines, reading.encoding))
    if engine.engine != "torch":  # one character's products are too small to share: threads would wait for each other
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from charrnn.sampling.session import Session

    opened = open_model(model.model)
    session = Session(opened.checkpoint, drawing, read if lines is None else lines, reading, engine)
    config, unit = session.config, session.vocabulary.unit
    if output.as_json and not (config.length or config.until_end or config.stop or config.lines):
        never = f"which {named('length', 0)} is never; give a {named('length')}"
        raise UsageError(f"{named('as_json')} writes a sample when it is complete, {never}")
    tell_model(opened, session.device, f"seed {config.seed}", quiet=output)
    if session.draws_labels:
        by_share = f"labels drawn by their share of {session.vocabulary.listed_labels}"
        note(f"{by_share}; {named('label')} says which", quiet=output.quiet)

    escape, in_bytes = None if output.raw is None else not output.raw, unit == "byte" and not output.as_json
    writer = TextWriter("latin-1" if in_bytes else "utf-8", escape, output.output, replaces=reading.force)
    seen = _Seen()
    if output.as_json:
        write_json(seen.passing(session.pieces(measured=True)), writer, config.seed, unit)
    else:
        several = config.num_samples > 1 or lines is not None
        write_text(
            seen.passing(session.pieces()), writer, "\0" if output.null else "\n" if several else None, echo=output.echo
        )
    writer.close()
    if config.novel is not None and seen.only_space:
        empty = f"{named('novel', config.novel)} left nothing to write but white space"
        note(f"{empty}: all else is in the text that it must not copy; ask for a larger one", quiet=output.quiet)


class _Seen:
    """Notices whether what is written, primes aside, is nothing but white space."""

    def __init__(self) -> None:
        self.only_space = True

    def passing(self, pieces: "Iterator[Piece]") -> "Iterator[Piece]":
        from charrnn.sampling.batched import PrimePiece

        for piece in pieces:
            if not isinstance(piece, PrimePiece):
                self.only_space &= not piece.text.strip()
            yield piece
