"""The command line, with what all commands share. Commands import what they use in their bodies, to start fast."""

import errno
import os
import sys
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from itertools import chain
from typing import Annotated, NamedTuple, NoReturn, get_args

import typer

import charrnn
from charrnn.cli.process.rank import leave
from charrnn.cli.process.terminal import TextWriter, note, output_error
from charrnn.errors import CharrnnError, ReaderGoneError, ResourceError, UsageError, is_out_of_memory
from charrnn.messages import named, without_long
from charrnn.settings.fields import suggestion

__all__ = ["COMMANDS", "application", "main"]


class Command(NamedTuple):
    """A command's module in cli/commands, and what it does, with an example: the first line of its help."""

    module: str
    summary: str


# In the order of --help.
COMMANDS = {
    "train": Command("train", "Learn a text: charrnn train corpus.txt --cell gru --time 3m"),
    "sample": Command("sample", 'Write text: charrnn sample "To be"'),
    "write": Command("write", "Write with the model beside the cursor: charrnn write story.txt"),
    "eval": Command("evaluate", "Score a text: charrnn eval held-out.txt"),
    "next": Command("next_character", 'Tell what comes next: charrnn next "hello"'),
    "fill": Command("fill", 'Fill a gap in a text: charrnn fill "she ___ the door"'),
    "compare": Command(
        "compare", "Compare cores on a text at equal cost: charrnn compare corpus.txt --cells rnn,lstm,gru --time 3m"
    ),
    "memory": Command("memory", "Measure how far back a network remembers: charrnn memory held-out.txt"),
    "inspect": Command("inspect", "Look inside a network: charrnn inspect held-out.txt --find quotes"),
    "info": Command("info", "Tell what a model is: charrnn info checkpoints/hamlet-gru"),
    "export": Command(
        "export", "Write a model into a folder to pass it on: charrnn export checkpoints/hamlet-gru hamlet"
    ),
    "verify": Command(
        "verify", "Repeat a run and say whether it comes out the same: charrnn verify checkpoints/hamlet-gru"
    ),
    "compress": Command("compress", "Compress a file by the model's probabilities: charrnn compress book.txt"),
    "decompress": Command("decompress", "Make a file again: charrnn decompress book.txt.crnn"),
    "page": Command("page", "Make a web page that runs a model: charrnn page -o tales.html"),
    "runs": Command("runs", "List the runs, the newest first: charrnn runs"),
    "plot": Command("plot", "Draw the losses of runs: charrnn plot hamlet-gru hamlet-lstm"),
    "report": Command("report", "Make a page about a run: charrnn report hamlet-gru -o report.html"),
    "completion": Command("completion", "Write a shell's completion script: charrnn completion bash"),
    "help": Command("help", "Show the guide: charrnn help sampling"),
}
# Words that people try, and the names that these things have here.
_ALSO_CALLED = {"generate": "sample", "chat": "sample", "evaluate": "eval", "score": "eval", "predict": "next"}
_OPTIONS_ALSO_CALLED = {
    **dict.fromkeys(("--lr", "--rate"), "--learning-rate"),
    **dict.fromkeys(("--num-layers", "--n-layers"), "--layers"),
    **dict.fromkeys(("--rnn-size", "--hidden", "--units", "--hidden-dim"), "--hidden-size"),
    **dict.fromkeys(("--rnn", "--model-type", "--arch", "--rnn-type"), "--cell"),
    **dict.fromkeys(("--seq-length", "--seq-len", "--block-size", "--context"), "--sequence-length"),
    **dict.fromkeys(("--max-length", "--max-tokens", "--max-new-tokens", "--num-chars", "--chars"), "--length"),
    **dict.fromkeys(("--start", "--seed-text", "--prefix"), "--prime"),
    **dict.fromkeys(("--checkpoint", "--init-from", "--run"), "--model"),
    **dict.fromkeys(("--temp", "--diversity"), "--temperature"),
    **dict.fromkeys(("--num-epochs", "--max-epochs"), "--epochs"),
    **dict.fromkeys(("--max-steps", "--iterations", "--max-iters"), "--steps"),
    **dict.fromkeys(("--out", "--output-file"), "--output"),
    **dict.fromkeys(("--embedding-dim", "--embed-size"), "--embedding-size"),
    **dict.fromkeys(("--val-fraction", "--validation-split"), "--validation"),
    "--continue": "--resume",
    "--finetune": "--from",
    "--gpu": "--device",
    "--batch": "--batch-size",
    "--overwrite": "--force",
}

# Of a name that no file can have, or that leads through a file.
_BAD_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.ELOOP)

# Environment variables that belong to no option. The last is for processes that train together.
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

    charrnn sample "hello"

    charrnn eval held-out.txt

    charrnn help getting-started
    """


def application(names: Collection[str] = COMMANDS) -> typer.Typer:
    """The command line, with options for the commands of these names and only a summary for the others."""
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
    for name, (_, summary) in COMMANDS.items():
        function = _command(name) if name in names else _unloaded
        app.command(name, help="\n\n".join(filter(None, [summary, function.__doc__])))(function)
    return app


def _unloaded() -> None:
    raise AssertionError("a command that is called is loaded")


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


def _called(arguments: list[str]) -> Collection[str]:
    """The name of the command that is called, if it is known; all names for completion, which lists their options.

    Raises:
        UsageError: the command has another name here, or a variable CHARRNN_... sets nothing.
    """
    called = next((each for each in arguments if not each.startswith("-")), "")
    if called in _ALSO_CALLED:
        raise UsageError(f"there is no command {called}; it is called charrnn {_ALSO_CALLED[called]}")
    names = COMMANDS.keys() if called == "completion" else COMMANDS.keys() & {called}
    unknown = {name for name in os.environ if name.startswith("CHARRNN_")} - _OTHER_VARIABLES - _variables(names)
    if unknown:  # rare, so that only then all commands are loaded
        known = _variables(COMMANDS) | _OTHER_VARIABLES
        for name in sorted(unknown - known):
            raise UsageError(f"the environment has {name}, which sets nothing{suggestion(name, known)}")
    return names


def _command(name: str) -> Callable[..., None]:
    command: Callable[..., None] = import_module(f"charrnn.cli.commands.{COMMANDS[name].module}").command
    return command


def _variables(names: Collection[str]) -> set[str]:
    """The environment variables of some commands' options."""
    hints = [hint for name in names for hint in _command(name).__annotations__.values()]
    variables = {getattr(info, "envvar", None) for hint in hints for info in get_args(hint)[1:]}
    return {each for each in variables if isinstance(each, str)}


def _run(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command; its exit code. Errors in writing Typer's own text, such as help, are raised as ours."""
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
    """Open /dev/null for closed standard streams: a file in their place would get the warnings of libraries."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _with_explicit_resume(arguments: list[str]) -> list[str]:
    """Arguments where a bare --resume, which Typer cannot express, is --resume=newest."""
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


def _called_otherwise(error: Exception, context: typer.Context | None) -> str:
    """A message for an option that the command has under another name; empty for any other error."""
    tried = getattr(error, "option_name", "")
    other = _OPTIONS_ALSO_CALLED.get(tried, "")
    names = [name for each in (context.command.params if context else ()) for name in each.opts]
    return f"there is no option {tried}; it is called {other}" if other in names else ""


def _explain(error: Exception) -> int:
    """Tell an error in one to three lines on stderr, with nothing long from the command line; its exit code."""
    message, code = _message(error)
    if message:
        note(without_long(message, _given_words()))
    return code


def _given_words() -> Iterator[str]:
    """The words that a person has given, and the paths that are made of them."""
    variables = [pair for pair in os.environ.items() if pair[0].startswith("CHARRNN_")]
    for word in (*sys.argv[1:], *chain.from_iterable(variables)):
        for part in (word, *word.split("=", 1), word[2:]):
            yield part
            yield os.path.normpath(part)


def _message(error: Exception) -> tuple[str, int]:
    """The message of an error, perhaps an empty one, and its exit code."""
    if isinstance(error, CharrnnError):
        return error.message, error.exit_code
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        message = _called_otherwise(error, context) or getattr(error, "format_message", error.__str__)()
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
