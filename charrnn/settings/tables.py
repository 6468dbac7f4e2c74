"""Conversion of tables, read from TOML or JSON or given as keywords, to groups of settings, checked key by key."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import Settings, declared, suggestion

__all__ = ["checked_keywords", "from_table"]

_Config = TypeVar("_Config")


def from_table(cls: type[_Config], table: Any, where: str) -> _Config:
    """Build a configuration dataclass from a table read from a file; `where` names it in messages.

    Raises:
        UsageError: an unknown key, a value of the wrong type, or one out of range.
    """
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: expected a table, got {table!r:.40}")
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    declarations = declared(cls) if issubclass(cls, Settings) else {}
    values = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                f"{where}: unknown key {key!r:.40}{suggestion(key, known)} (known here: {', '.join(known)})"
            )
        if is_dataclass(hints[key]):
            values[key] = from_table(hints[key], value, f"{where} [{key}]")
        elif isinstance(value, str) and key in declarations and (parse := declarations[key].parse):
            values[key] = parse(value)
        else:
            values[key] = _conform(value, hints[key], f"{where}: {key}")
    if missing := [name for name, f in known.items() if name not in values and _is_required(f)]:
        raise UsageError(f"{where}: {', '.join(missing)} must be given")
    return cls(**values)


def _is_required(own: Field[Any]) -> bool:
    return own.default is MISSING and own.default_factory is MISSING


def _conform(value: Any, hint: Any, where: str) -> Any:
    """The value converted to the type of `hint` (lists become tuples, integers floats), or `UsageError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # X | None; None is an absent key, not a null
        (hint,) = (argument for argument in arguments if argument is not NoneType)
        return _conform(value, hint, where)
    if origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
        raise UsageError(f"{where} must be one of {', '.join(arguments)}, got {value!r:.40}")
    if origin is tuple and isinstance(value, list | tuple):
        hints = [arguments[0]] * len(value) if Ellipsis in arguments and len(arguments) == 2 else list(arguments)
        if len(hints) == len(value):
            return tuple(_conform(item, item_hint, where) for item, item_hint in zip(value, hints, strict=True))
    elif hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    kind = "list" if origin is tuple else hint.__name__
    raise UsageError(f"{where} must be a {kind}, got {value!r:.40}")


def checked_keywords(values: Mapping[str, Any], groups: Sequence[type[Settings]], function: str) -> dict[str, Any]:
    """Values of the settings that `groups` declare, from keywords of the Python function that messages name.

    None means that a setting is not given. A single text means a list of that text.

    Raises:
        UsageError: a keyword that no group has, or a value of the wrong type.
    """
    hints = {name: hint for group in groups for name, hint in get_type_hints(group).items()}
    declarations = {name: each for group in groups for name, each in declared(group).items()}
    found = {}
    for name, value in values.items():
        if name not in hints:
            raise UsageError(f"{function} has no setting {name!r:.40}{suggestion(name, hints)}")
        if isinstance(value, str) and tuple in (get_origin(hints[name]), *map(get_origin, get_args(hints[name]))):
            value = (value,)
        if isinstance(value, str) and (parse := declarations[name].parse):
            found[name] = parse(value)
        elif value is not None:
            found[name] = _conform(value, hints[name], named(name))
    return found
