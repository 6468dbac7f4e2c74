"""`charrnn compress`."""

from charrnn.cli import options
from charrnn.cli.commands.archive import convert
from charrnn.cli.process.terminal import is_terminal
from charrnn.errors import UsageError

__all__ = ["command"]


def command(
    file: options.File,
    output: options.Output = None,
    model: options.Model = None,
    quiet: options.Quiet = False,
) -> None:
    """Compress a file by the model's probabilities: charrnn compress book.txt

    Writes book.txt.crnn, from which decompress makes the file again with the same model, whatever its bytes are.
    """
    output = output or ("-" if file == "-" else f"{file}.crnn")
    if output == "-" and is_terminal("stdout"):
        raise UsageError("an archive is nothing for a terminal; name a file with --output, or write into a pipe")
    convert("compress", file, output, model, quiet=quiet)
