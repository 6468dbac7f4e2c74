"""`charrnn decompress`."""

from charrnn.cli.commands.archive import ArchiveInput, ArchiveOutput, convert
from charrnn.cli.options import with_options
from charrnn.errors import UsageError
from charrnn.messages import named

__all__ = ["command"]


@with_options
def command(source: ArchiveInput, output: ArchiveOutput) -> None:
    """Writes book.txt, if there is none yet. It takes the model that compressed it."""
    name = output.output or ("-" if source.file == "-" else source.file.removesuffix(".crnn"))
    if name == source.file != "-":
        raise UsageError(f"{source.file} does not end in .crnn; name the file to write with {named('output')}")
    convert("decompress", source, name, output)
