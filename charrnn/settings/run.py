"""A run: the settings of its text, its model and its training, and its record; `run.toml` and checkpoints hold one."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from charrnn.errors import UsageError
from charrnn.settings.fields import suggestion
from charrnn.settings.model import ModelConfig
from charrnn.settings.tables import from_table
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record, TrainingConfig

__all__ = ["RunConfig"]


@dataclass(frozen=True)
class RunConfig:
    """The settings and the record of a training run."""

    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    record: Record = field(default_factory=Record)

    @classmethod
    def from_mapping(cls, tables: Mapping[str, Any], source: str) -> Self:
        """Build from nested tables, as read from TOML or JSON; `source` names them in messages.

        Raises:
            UsageError: an unknown key, a value of the wrong type, or one out of range.
        """
        return from_table(cls, tables, source)

    def override(self, values: Mapping[str, Any]) -> Self:
        """A copy with fields of the sections replaced, by their bare names (unique over all sections).

        Raises:
            UsageError: a name that no section has, or a value out of its range.
        """
        known = self.flat()
        for name in values.keys() - known.keys():
            raise UsageError(f"a run has no setting {name!r:.40}{suggestion(name, known)}")
        sections = {}
        for section in fields(self):
            current = getattr(self, section.name)
            own = {f.name: values[f.name] for f in fields(current) if f.name in values}
            sections[section.name] = replace(current, **own)
        return replace(self, **sections)

    def flat(self) -> dict[str, Any]:
        """The settings of all sections by their bare names."""
        return {name: value for section in vars(self).values() for name, value in vars(section).items()}

    def to_mapping(self) -> dict[str, dict[str, Any]]:
        """Nested plain tables without the absent values, as `from_mapping` reads them."""
        return {
            section: {key: value for key, value in table.items() if value is not None}
            for section, table in asdict(self).items()
        }

    def to_toml(self) -> str:
        """The tables of `to_mapping` as TOML."""
        lines: list[str] = []
        for section, table in self.to_mapping().items():
            lines += [f"[{section}]", *(f"{key} = {_toml_value(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)


def _toml_value(value: Any) -> str:
    # Strings, numbers, booleans and arrays are the same in JSON and TOML, except that TOML has DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
