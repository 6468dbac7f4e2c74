"""The command line: what every command shares. Commands import what they use in their bodies, so that this is quick."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Annotated, NoReturn, get_args

import typer

import charrnn
from charrnn.cli.process.launcher import leave
from charrnn.cli.process.terminal import TextWriter, note, output_error
from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError, UsageError, is_out_of_memory
from charrnn.messages import named, without_long
from charrnn.settings.fields import suggestion

__all__ = ["COMMANDS", "application", "main"]

# In the order of --help, each with its module; only the one that is called is loaded.
COMMANDS = {
    "train": "train",
    "sample": "sample",
    "eval": "evaluate",
    "next": "next_character",
    "fill": "fill",
    "compare": "compare",
    "memory": "memory",
    "inspect": "inspect",
    "compress": "compress",
    "decompress": "decompress",
    "completion": "completion",
}
# Words that people try, and what is called so here.
_ALSO_CALLED = {"generate": "sample", "chat": "sample", "evaluate": "eval", "score": "eval", "predict": "next"}

# Of a name that no file can have, or that leads through a file.
_BAD_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.ELOOP)

# Variables that are no option's. The last is for processes that train together.
_OTHER_VARIABLES = {"CHARRNN_DEBUG", "CHARRNN_CACHE", "CHARRNN_MODEL", "CHARRNN_MEETING"}


def _version(wanted: bool) -> None:
    if wanted:
        writer = TextWriter("utf-8")
        writer.write(f"charrnn {charrnn.__version__}\n")
        writer.close()
        raise typer.Exit


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


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with the commands of these names."""
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
    app.callback()(_options)
    for name in names:
        app.command(name)(_command(name))
    return app


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _occupy_closed_streams()
    arguments = _with_explicit_resume(sys.argv[1:])
    debug = "--debug" in arguments[:1] or os.environ.get("CHARRNN_DEBUG", "0") not in ("", "0")
    try:
        code = _run(application(_called(arguments)), arguments)
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


def _called(arguments: list[str]) -> Iterable[str]:
    """The command that is called; all of them where help or completion lists them, or none is known.

    Raises:
        UsageError: a command that is called otherwise here, or a variable CHARRNN_... that sets nothing.
    """
    called = next((each for each in arguments if not each.startswith("-")), "")
    if called in _ALSO_CALLED:
        raise UsageError(f"there is no command {called}; it is called charrnn {_ALSO_CALLED[called]}")
    names = [called] if called in COMMANDS and called != "completion" else COMMANDS
    unknown = {name for name in os.environ if name.startswith("CHARRNN_")} - _OTHER_VARIABLES - _variables(names)
    if unknown:  # rare, so that only then all commands are loaded
        known = _variables(COMMANDS) | _OTHER_VARIABLES
        for name in sorted(unknown - known):
            raise UsageError(f"the environment has {name}, which sets nothing{suggestion(name, known)}")
    return names


def _command(name: str) -> Callable[..., None]:
    command: Callable[..., None] = import_module(f"charrnn.cli.commands.{COMMANDS[name]}").command
    return command


def _variables(names: Iterable[str]) -> set[str]:
    """The environment variables of some commands' options."""
    hints = [hint for name in names for hint in _command(name).__annotations__.values()]
    variables = {getattr(info, "envvar", None) for hint in hints for info in get_args(hint)[1:]}
    return {each for each in variables if isinstance(each, str)}


def _run(app: typer.Typer, arguments: list[str]) -> int:
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
    """Tell an error in one to three lines on stderr, with nothing long from the command line; its exit code."""
    message, code = _message(error)
    if message:
        note(without_long(message, _given_words()))
    return code


def _given_words() -> Iterator[str]:
    """What a person has given, and what paths are made of it."""
    variables = [value for name, value in os.environ.items() if name.startswith("CHARRNN_")]
    for word in (*sys.argv[1:], *variables):
        for part in (word, *word.split("=", 1), word[2:]):
            yield part
            yield os.path.normpath(part)


def _message(error: Exception) -> tuple[str, int]:
    """What is to be said of an error, perhaps nothing, and its exit code."""
    if isinstance(error, CharrnnError):
        return error.message, error.exit_code
    if isinstance(error, typer.TyperException):
        message = getattr(error, "format_message", error.__str__)()
        context = getattr(error, "ctx", None)
        told = f"{message}\ntry: {context.command_path if context else 'charrnn'} --help" if message else ""
        return told, int(getattr(error, "exit_code", 2))
    if is_out_of_memory(error):
        said = str(error).partition("\n")[0]
        lower = " first, then ".join(map(named, ("batch_size", "sequence_length")))
        advice = f"in a training, lower {lower}, then {named('hidden_size')}"
        told = "\n".join([f"out of memory{f': {said}' if said else ''}", *getattr(error, "__notes__", [advice])])
        return told, ResourceError.exit_code
    if isinstance(error, OSError) and error.filename is not None:  # of a path that a person has named
        told = f"cannot use {os.fsdecode(error.filename)!r}: {error.strerror}; name another, or see to it"
        return told, UsageError.exit_code if error.errno in _BAD_NAMES else ResourceError.exit_code
    return (
        f"this is a bug in charrnn: {type(error).__name__}: {error}\n"
        "run it again with CHARRNN_DEBUG=1 for the traceback, and please report it"
    ), CharrnnError.exit_code
