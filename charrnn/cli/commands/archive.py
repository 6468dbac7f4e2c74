"""The common part of `charrnn compress` and `charrnn decompress`: a file in, a model, a new file out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from charrnn.cli.common import ModelInput, Quiet, open_model, tell_model
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.messages import counted
from charrnn.settings.fields import FORCE_HELP, OUT, setting

__all__ = ["ArchiveInput", "ArchiveOutput", "convert"]


@dataclass(frozen=True)
class ArchiveInput(ModelInput):
    """The file that is converted."""

    file: str = setting("", "The file, or - for standard input.", argument=True, shows_default=False)


@dataclass(frozen=True)
class ArchiveOutput(Quiet):
    """Options for the file of the result."""

    output: str | None = setting(
        None,
        "Name of the new file, or - for standard output.",
        panel=OUT,
        short="o",
        metavar="FILE",
        shows_default=False,
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)


def convert(
    direction: Literal["compress", "decompress"], source_of: ArchiveInput, name: str, output: ArchiveOutput
) -> None:
    """Compress or decompress a file into the new file `name`, or `-`, and write the sizes of both on stderr."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no number may depend on it, and one is the fastest for one stream

    from charrnn.cli.render.display import working
    from charrnn.compression.archive import compressed, decompressed
    from charrnn.files import write_new
    from charrnn.text.sources import one_source
    from charrnn.text.spool import SMALL, Spool

    with Spool(SMALL) as spool:
        source = one_source(source_of.file, spool)
        opened = open_model(source_of.model)
        tell_model(opened, quiet=output)
        converted = compressed if direction == "compress" else decompressed
        size = 0

        def measured() -> Iterator[bytes]:
            nonlocal size
            for data in converted(source, opened.checkpoint):
                size += len(data)
                yield data

        if name == "-":
            writer = TextWriter("latin-1")
            for data in measured():
                writer.write(data.decode("latin-1"))
            writer.close()
        else:
            with working(f"{direction}ing", output.quiet):
                write_new(Path(name), measured(), replaces=output.force)
            before, after = counted(source.size, "byte"), counted(size, "byte")
            note(f"{source.name}, {before}, to {name}, {after}", quiet=output.quiet)
