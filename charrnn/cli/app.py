"""The command line: what every command shares. Commands import what they use in their bodies, so that this is quick."""

import os
import sys
from typing import Annotated, NoReturn

import typer

import charrnn
from charrnn.cli import compare, evaluate, sample, train
from charrnn.cli.terminal import note, output_error
from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError

__all__ = ["app", "main"]

app = typer.Typer(
    name="charrnn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok, 1 bug, 2 usage, 3 data, 4 checkpoint, 5 busy, 6 diverged, 7 resources, "
    "129 SIGHUP, 130 Ctrl-C, 141 reader gone, 143 SIGTERM.",
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"charrnn {charrnn.__version__}\n")
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
app.command("compare")(compare.command)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _occupy_closed_streams()
    arguments = _with_explicit_resume(sys.argv[1:])
    debug = "--debug" in arguments[:1] or os.environ.get("CHARRNN_DEBUG", "0") not in ("", "0")
    try:
        code = app(arguments, standalone_mode=False) or 0
        _flush()
    except ReaderGoneError as gone:
        # Python would flush what is left at exit, and complain that nobody reads it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        code = gone.exit_code
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if debug:
            raise
        code = _explain(error)
    sys.exit(code)


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
    if _is_out_of_memory(error):
        said = str(error).partition("\n")[0]
        note(
            f"out of memory{f': {said}' if said else ''}\n"
            "in a training, lower --batch-size first, then --sequence-length, then --hidden-size"
        )
        return ResourceError.exit_code
    note(
        f"this is a bug in charrnn: {type(error).__name__}: {error}\n"
        "run it again with CHARRNN_DEBUG=1 for the traceback, and please report it"
    )
    return CharrnnError.exit_code


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory is what lacked, as Python and numpy, torch on a GPU, and torch on a CPU say it."""
    names = {kind.__name__ for kind in type(error).__mro__}  # torch, which may not be loaded, has one of its own
    said = ("can't allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED")
    is_said = isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or is_said
