"""Command-line options made from declared settings: names, help, panels, defaults, environment variables.

A command annotates its parameters with groups of settings and gets them filled in and checked. A parameter annotated
with `Given` gets only the settings that were set, for a command that lays them over a file.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import typer

from charrnn.cli.process.terminal import as_told
from charrnn.settings.fields import Setting, Settings, declared

__all__ = ["Given", "Part", "flag_of", "variable_of", "with_options"]


class Given(dict[str, Any]):
    """Settings that were set by flags or by the environment; `typed` are the names of those set by flags."""

    typed: frozenset[str] = frozenset()


class Part(NamedTuple):
    """Some settings of a group."""

    group: type[Settings]
    names: tuple[str, ...]


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command into a function that Typer can read, with one parameter for each setting of its groups."""
    hints = inspect.get_annotations(command)
    parts = {name: _parts(hints[name]) for name in inspect.signature(command).parameters}
    options = [option for each in parts.values() for part in each for option in _options(part)]

    def run(context: typer.Context, **values: Any) -> None:
        """Call the command with its groups of settings made from the options' values."""
        arguments: dict[str, Any] = {}
        for name, own in parts.items():
            if isinstance(hints[name], type):
                ((group, names),) = own
                arguments[name] = group(**{each: _value(group, each, values[each]) for each in names})
            else:
                arguments[name] = _given(context, own, values)
        command(**arguments)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    run.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in (context, *options)}
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    run.__doc__ = "\n\n".join(" ".join(each.split()) for each in paragraphs)  # as wide as the terminal is
    run.__module__ = command.__module__
    return run


def flag_of(name: str, declaration: Setting) -> str:
    """The long option of a setting."""
    return declaration.flag or "--" + name.replace("_", "-")


def variable_of(name: str, declaration: Setting) -> str | None:
    """The environment variable of a setting; None where it has none."""
    if declaration.argument or not declaration.has_variable:
        return None
    return "CHARRNN_" + flag_of(name, declaration).strip("-").replace("-", "_").upper()


def _parts(hint: Any) -> list[Part]:
    groups = (hint,) if isinstance(hint, type) else get_args(hint)[1:]
    return [each if isinstance(each, Part) else Part(each, tuple(declared(each))) for each in groups]


def _options(part: Part) -> Iterator[inspect.Parameter]:
    """A parameter for Typer for each setting."""
    group, names = part
    for each in fields(group):
        if each.name not in names:
            continue
        declaration = each.metadata["setting"]
        kind, default = _kind(each.type, declaration), None if each.default == () else each.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        more: dict[str, Any] = {
            "help": as_told(declaration.help).replace("[", "\\["),  # which Typer would take for markup
            "show_default": declaration.shows_default and default is not None,
        }
        more |= {"metavar": declaration.metavar, "hidden": declaration.hidden}
        if declaration.argument:
            info = typer.Argument(**more)
        else:
            long = flag_of(each.name, declaration) + (f"/{declaration.off}" if declaration.off else "")
            words = [long, *([f"-{declaration.short}"] if declaration.short else []), *declaration.aliases]
            more |= {"rich_help_panel": declaration.panel, "envvar": variable_of(each.name, declaration)}
            info = typer.Option(*words, show_envvar=False, **more)
        yield inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
        )


def _kind(hint: Any, declaration: Setting) -> Any:
    """The type that Typer reads: str for a setting that is parsed from text, a list for a tuple."""
    is_optional = get_origin(hint) in (Union, UnionType)
    if is_optional:
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    if declaration.parse:
        hint = str
    elif get_origin(hint) is tuple:
        hint, is_optional = list[get_args(hint)[0]], True  # type: ignore[misc]
    return hint | None if is_optional else hint


def _value(group: type[Settings], name: str, value: Any) -> Any:
    if isinstance(value, str) and (parse := declared(group)[name].parse):
        return parse(value)
    if isinstance(value, list) or (value is None and getattr(group, name) == ()):
        return tuple(value or ())
    return value


def _given(context: typer.Context, parts: list[Part], values: dict[str, Any]) -> Given:
    given, typed = Given(), set()
    for group, names in parts:
        for name in names:
            source = context.get_parameter_source(name)
            if source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT"):
                given[name] = _value(group, name, values[name])
                typed |= {name} if source.name == "COMMANDLINE" else set()
    given.typed = frozenset(typed)
    return given
