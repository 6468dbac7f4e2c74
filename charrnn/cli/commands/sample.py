"""`charrnn sample`."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn.cli.common import ModelsInput, PrimeInput, Quiet, open_model, tell_model, weighted
from charrnn.cli.options import with_options
from charrnn.cli.process.stdin import lines_of
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.samples import write_json, write_text
from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import IN, JSON_LINES_HELP, OUT, setting
from charrnn.settings.sampling import BlendConfig, EngineConfig, PrimeConfig, SamplingConfig, shares_of

if TYPE_CHECKING:
    from charrnn.cli.common import OpenedModel
    from charrnn.sampling.batched import Piece
    from charrnn.sampling.mixture import Mixture

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
    models: ModelsInput,
    drawing: SamplingConfig,
    blending: BlendConfig,
    reading: PrimeConfig,
    output: SampleOutput,
    engine: EngineConfig,
) -> None:
    """The text goes to stdout as it is made, everything else to stderr. Several models, --model a --model b:0.3, write
    together: a has the rest of the weight, and without weights all have the same.
    """
    _check(prime, drawing, reading, output)
    names, shares = _named(models, blending)
    read = prime.read(quiet=output.quiet)
    lines = None if prime.prime_lines is None else list(lines_of(prime.prime_lines, reading.encoding))
    if engine.engine != "torch":  # one character's products are too small to share: threads would wait for each other
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from charrnn.sampling.session import Session

    opened, mixture = _open(names, shares, blending)
    session = Session(opened[0].checkpoint, drawing, read if lines is None else lines, reading, engine, mixture)
    config, unit = session.config, session.vocabulary.unit
    if output.as_json and not (config.length or config.until_end or config.stop or config.lines):
        never = f"which {named('length', 0)} is never; give a {named('length')}"
        raise UsageError(f"{named('as_json')} writes a sample when it is complete, {never}")
    told = [[f"{share:.1%} of the {blending.blend}"] for share in shares] or [[]]
    told[-1] += [session.device, f"seed {config.seed}"]
    for each, about in zip(opened, told, strict=True):
        tell_model(each, *about, quiet=output)
    if session.draws_labels:
        by_share = f"labels drawn by their share of {session.vocabulary.listed_labels}"
        note(f"{by_share}; {named('label')} says which", quiet=output.quiet)

    escape, in_bytes = None if output.raw is None else not output.raw, unit == "byte" and not output.as_json
    writer = TextWriter("latin-1" if in_bytes else "utf-8", escape, output.output, replaces=reading.force)
    seen = _Seen()
    if output.as_json:
        write_json(seen.passing(session.pieces(measured=True)), writer, config.seed, unit, _mixed(opened, mixture))
    else:
        several = config.num_samples > 1 or lines is not None
        write_text(
            seen.passing(session.pieces()), writer, "\0" if output.null else "\n" if several else None, echo=output.echo
        )
    writer.close()
    if config.novel is not None and seen.only_space:
        empty = f"{named('novel', config.novel)} left nothing to write but white space"
        note(f"{empty}: all else is in the text that it must not copy; ask for a larger one", quiet=output.quiet)


def _named(models: ModelsInput, blending: BlendConfig) -> tuple[list[str], list[float]]:
    """The names of the models, and the shares of several."""
    pairs = [weighted(name) for name in models.model]
    if len(pairs) < 2 and blending.blend != BlendConfig.blend:
        raise UsageError(f"{named('blend')} mixes several models; give {named('model')} for each")
    return [name for name, _ in pairs], shares_of([weight for _, weight in pairs]) if len(pairs) > 1 else []


def _open(names: list[str], shares: list[float], blending: BlendConfig) -> "tuple[list[OpenedModel], Mixture | None]":
    """The models of these names, or the one that is chosen; and their mixture, if there are several."""
    opened = [open_model(name) for name in names] or [open_model(None)]
    if not shares:
        return opened, None
    from charrnn.sampling.mixture import Mixture

    paths = [str(each.path) for each in opened]
    return opened, Mixture.of([each.checkpoint for each in opened], paths, shares, blending.blend)


def _mixed(opened: "list[OpenedModel]", mixture: "Mixture | None") -> dict[str, Any]:
    """The models of a mixture, for JSON."""
    if mixture is None:
        return {}
    models = [{"model": str(each.path), "share": share} for each, share in zip(opened, mixture.shares, strict=True)]
    return {"blend": mixture.blend, "models": models}


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
