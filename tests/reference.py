"""Write charrnn/guide/reference.md anew from the declarations of all commands: python -m tests.reference"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from charrnn.cli.app import COMMANDS, application

__all__ = ["PATH", "reference"]

PATH = Path(__file__).parents[1] / "charrnn" / "guide" / "reference.md"

_HEAD = """# Reference

Every command with its options, their defaults and their environment variables. This page is generated from the \
declarations in the code; `charrnn COMMAND --help` shows the same.

An option is taken from the command line, else from its environment variable, else (for `train`) from \
the file that `--config` names, else its default counts. `charrnn --version` prints the version, and `--debug` before \
a command shows the traceback of an error (also `CHARRNN_DEBUG=1`). `CHARRNN_MODEL` names the model of all commands \
that need one, and `CHARRNN_CACHE` the folder for large encoded texts.
"""


def reference() -> str:
    """The page."""
    commands: dict[str, Any] = typer.main.get_command(application()).commands  # type: ignore[attr-defined]
    return _HEAD + "".join(f"\n{line}\n" for name, each in commands.items() for line in _command(name, each))


def _command(name: str, command: Any) -> Iterator[str]:
    """The paragraphs about a command."""
    told, _, example = COMMANDS[name].summary.partition(": ")
    more = inspect.cleandoc(command.callback.__doc__ or "")
    yield f"## charrnn {name}"
    yield f"{told}."
    yield f"    {example}"
    yield from (" ".join(part.split()) for part in more.split("\n\n") if part)
    panels: dict[str, list[str]] = {}
    for each in command.params:
        if not getattr(each, "hidden", False) and "--help" not in each.opts:
            panel = getattr(each, "rich_help_panel", None) or ("Options" if each.opts[0][0] == "-" else "Arguments")
            panels.setdefault(panel, []).append(_option(each))
    for panel, options in panels.items():
        yield f"### {panel}"
        yield "\n".join(options)


def _option(option: Any) -> str:
    is_option = option.opts[0].startswith("-")
    names = ", ".join(f"`{each}`" for each in [*option.opts, *option.secondary_opts])
    kind = option.metavar or getattr(option.type, "name", "").upper()
    choices = getattr(option.type, "choices", None)
    values = (
        ", ".join(f"`{each}`" for each in choices)
        if choices
        else ""
        if getattr(option, "is_flag", False)
        else f"`{kind}`"
    )
    if not is_option:
        names, values = f"`{(option.metavar or option.name).upper()}`", values if choices else ""
    helped = option.help.replace("\\[", "[")
    helped = helped if helped.endswith(".") else f"{helped}."
    default = f" Default: `{option.default}`." if option.show_default and option.default not in (None, False) else ""
    variable = f" Variable: `{option.envvar}`." if option.envvar else ""
    return f"- {names}{f' {values}' if values else ''}: {helped}{default}{variable}"


if __name__ == "__main__":
    PATH.write_text(reference(), "utf-8")
