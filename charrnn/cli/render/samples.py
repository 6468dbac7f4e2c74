"""Samples on standard output: as text, or as JSON lines."""

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from charrnn.cli.process.terminal import TextWriter
from charrnn.text.units import readable

if TYPE_CHECKING:
    from charrnn.config import Unit
    from charrnn.sampling.batched import Piece
    from charrnn.sampling.stream import Stream

__all__ = ["write_json", "write_text"]

PrimeOf = Callable[[int], str]


def write_text(
    pieces: Iterable["Piece"], writer: TextWriter, prime_of: PrimeOf, separator: Literal["\n", "\0"] | None
) -> None:
    """Write samples as they come, each after its prime and before the separator, if any."""
    current = -1
    for index, text, finished in pieces:
        if index != current:
            current = index
            writer.write(prime_of(index))
        writer.write(text)
        if finished and separator:
            writer.end(separator)


def write_json(
    pieces: Iterable["Piece"], writer: TextWriter, prime_of: PrimeOf, seed: int | None, unit: "Unit"
) -> None:
    """Write each sample, once it is complete, as a line of JSON (in ASCII)."""
    texts: list[str] = []
    for index, text, finished in pieces:
        texts.append(text)
        if finished:
            record = _record("".join(texts), prime_of(index), seed, unit, finished)
            writer.write(json.dumps(record) + "\n")
            texts.clear()


def _record(text: str, prime: str, seed: int | None, unit: "Unit", stream: "Stream") -> dict[str, Any]:
    record = {
        "sample": stream.index,
        "seed": seed,
        "prime": readable(prime, unit, "replace"),
        "text": readable(text, unit, "replace"),
        "finish": stream.finish,
        "characters": len(text),
        "nats": stream.nats if math.isfinite(stream.nats) else None,
    }
    return record | ({"bytes": base64.b64encode(text.encode("latin-1")).decode()} if unit == "byte" else {})
