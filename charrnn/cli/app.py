"""The command line: what every command shares. Commands import what they use in their bodies, so that this is quick."""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

import charrnn
from charrnn.cli.commands import (
    compare,
    completion,
    compress,
    decompress,
    evaluate,
    fill,
    inspect,
    memory,
    next_character,
    sample,
    train,
)
from charrnn.cli.process.launcher import leave
from charrnn.cli.process.terminal import TextWriter, note, output_error
from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError, is_out_of_memory

__all__ = ["app", "main"]

app = typer.Typer(
    name="charrnn",
    no_args_is_help=True,
    add_completion=False,  # there is a command for it, whose scripts start no process
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 bug, 2 usage, 3 data, 4 checkpoint, 5 busy, 6 diverged, 7 resources, "
    "129 SIGHUP, 130 Ctrl-C, 141 reader gone, 143 SIGTERM.",
)


def _version(wanted: bool) -> None:
    if wanted:
        writer = TextWriter("utf-8")
        writer.write(f"charrnn {charrnn.__version__}\n")
        writer.close()
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (also CHARRNN_DEBUG=1).")
    ] = False,
) -> None:
    """Learn a text character by character with a recurrent network, and write more of it.

    charrnn train corpus.txt --time 3m

    charrnn sample --prime "hello"

    charrnn eval held-out.txt
    """


app.command("train")(train.command)
app.command("sample")(sample.command)
app.command("eval")(evaluate.command)
app.command("next")(next_character.command)
app.command("fill")(fill.command)
app.command("compare")(compare.command)
app.command("memory")(memory.command)
app.command("inspect")(inspect.command)
app.command("compress")(compress.command)
app.command("decompress")(decompress.command)
app.command("completion")(completion.command)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _occupy_closed_streams()
    arguments = _with_explicit_resume(sys.argv[1:])
    debug = "--debug" in arguments[:1] or os.environ.get("CHARRNN_DEBUG", "0") not in ("", "0")
    try:
        code = _run(arguments)
        _flush()
    except ReaderGoneError as gone:
        code = gone.exit_code
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if debug:
            raise
        code = _explain(error)
    leave(code)


def _run(arguments: list[str]) -> int:
    """The command's exit code. What Typer writes itself, such as help, may have nowhere to go, like all else."""
    try:
        return app(arguments, standalone_mode=False) or 0
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        raise output_error(error) from error
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise ReaderGoneError from end
        raise


def _occupy_closed_streams() -> None:
    """Keep files off the numbers of standard streams that are closed: a library would write its warnings into them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _with_explicit_resume(arguments: list[str]) -> list[str]:
    """A bare --resume takes no value, which Typer cannot say; it means the newest run."""
    following = [*arguments[1:], "-"]
    return [
        "--resume=newest" if argument == "--resume" and after.startswith("-") else argument
        for argument, after in zip(arguments, following, strict=False)
    ]


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        raise output_error(error) from error


def _explain(error: Exception) -> int:
    """Tell an error in one to three lines on stderr; its exit code."""
    if isinstance(error, CharrnnError):
        note(str(error))
        return error.exit_code
    if isinstance(error, typer.TyperException):
        message = getattr(error, "format_message", error.__str__)()
        context = getattr(error, "ctx", None)
        if message:
            note(f"{message}\ntry: {context.command_path if context else 'charrnn'} --help")
        return int(getattr(error, "exit_code", 2))
    if is_out_of_memory(error):
        said = str(error).partition("\n")[0]
        advice = "in a training, lower --batch-size first, then --sequence-length, then --hidden-size"
        note("\n".join([f"out of memory{f': {said}' if said else ''}", *getattr(error, "__notes__", [advice])]))
        return ResourceError.exit_code
    note(
        f"this is a bug in charrnn: {type(error).__name__}: {error}\n"
        "run it again with CHARRNN_DEBUG=1 for the traceback, and please report it"
    )
    return CharrnnError.exit_code
