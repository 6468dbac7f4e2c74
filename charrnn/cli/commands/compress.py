"""`charrnn compress`."""

from charrnn.cli.commands.archive import ArchiveInput, ArchiveOutput, convert
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import is_terminal
from charrnn.errors import UsageError
from charrnn.messages import named

__all__ = ["command"]


@with_options
def command(source: ArchiveInput, output: ArchiveOutput) -> None:
    """Writes book.txt.crnn, from which decompress makes the file again with the same model, whatever its bytes are."""
    name = output.output or ("-" if source.file == "-" else f"{source.file}.crnn")
    if name == "-" and is_terminal("stdout"):
        raise UsageError(
            f"an archive is nothing for a terminal; name a file with {named('output')}, or write into a pipe"
        )
    convert("compress", source, name, output)
