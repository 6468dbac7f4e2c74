"""`charrnn decompress`."""

from charrnn.cli import options
from charrnn.cli.commands.archive import convert
from charrnn.errors import UsageError

__all__ = ["command"]


def command(
    file: options.File,
    output: options.Output = None,
    model: options.Model = None,
    quiet: options.Quiet = False,
) -> None:
    """Make a file again: charrnn decompress book.txt.crnn

    Writes book.txt, if there is none yet. It takes the model that compressed it.
    """
    output = output or ("-" if file == "-" else file.removesuffix(".crnn"))
    if output == file != "-":
        raise UsageError(f"{file} does not end in .crnn; name the file to write with --output")
    convert("decompress", file, output, model, quiet=quiet)
