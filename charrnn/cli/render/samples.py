"""Samples on standard output: as text, or as JSON lines."""

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from charrnn.cli.process.terminal import TextWriter
from charrnn.cli.render.score_rows import json_line
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.sampling.batched import Piece
    from charrnn.sampling.stream import Stream
    from charrnn.settings.text import Unit

__all__ = ["write_json", "write_text"]


def write_text(
    pieces: Iterable["Piece"], writer: TextWriter, separator: Literal["\n", "\0"] | None, *, echo: bool
) -> None:
    """Write samples as they come: with `echo` the prime first, then the sample, then the separator, if any."""
    from charrnn.sampling.batched import PrimePiece  # which needs numpy

    for piece in pieces:
        if echo or not isinstance(piece, PrimePiece):
            writer.write(piece.text)
        if piece.finished and separator:
            writer.end(separator)


def write_json(
    pieces: Iterable["Piece"], writer: TextWriter, seed: int | None, unit: "Unit", more: Mapping[str, Any]
) -> None:
    """Write each sample, once it is complete, as a line of JSON (in ASCII), with `more` about all of them."""
    from charrnn.sampling.batched import PrimePiece  # which needs numpy

    prime: list[str] = []
    texts: list[str] = []
    for piece in pieces:
        (prime if isinstance(piece, PrimePiece) else texts).append(piece.text)
        if piece.finished:
            record = _record("".join(texts), "".join(prime), seed, unit, piece.finished)
            writer.write(json_line(record | dict(more)))
            texts.clear()
            prime.clear()


def _record(text: str, prime: str, seed: int | None, unit: "Unit", stream: "Stream") -> dict[str, Any]:
    record = {
        "sample": stream.index,
        "seed": seed,
        "prime": readable(prime, unit, "replace"),
        "text": readable(text, unit, "replace"),
        "finish": stream.finish,
        "characters": len(text),
        "nats": stream.nats,
    }
    return record | ({"bytes": base64.b64encode(text.encode("latin-1")).decode()} if unit == "byte" else {})
