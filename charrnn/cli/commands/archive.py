"""What `charrnn compress` and `charrnn decompress` share: a file in, a model, a file out that was not there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from charrnn.cli.process.terminal import TextWriter, note

__all__ = ["convert"]


def convert(
    direction: Literal["compress", "decompress"], file: str, output: str, model: str | None, *, quiet: bool
) -> None:
    """Write to `output`, a new file's name or `-`, what becomes of `file`, and tell how long either is."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no number may depend on it, and one is the fastest for one stream

    from charrnn.checkpoint.store import load_model
    from charrnn.cli.render.display import working
    from charrnn.compression.archive import compressed, decompressed
    from charrnn.files import write_new
    from charrnn.text.sources import one_source
    from charrnn.text.spool import SMALL, Spool

    with Spool(SMALL) as spool:
        source = one_source(file, spool)
        found, checkpoint = load_model(model)
        note(f"{found.path} ({found.why})", quiet=quiet)
        converted = compressed if direction == "compress" else decompressed
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for data in converted(source, checkpoint):
                size += len(data)
                yield data

        if output == "-":
            writer = TextWriter("latin-1")
            for data in counted():
                writer.write(data.decode("latin-1"))
            writer.close()
        else:
            with working(f"{direction}ing", quiet):
                write_new(Path(output), counted())
            note(f"{source.name}, {source.size:,} bytes, to {output}, {size:,} bytes", quiet=quiet)
