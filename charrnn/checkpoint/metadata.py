"""The metadata of a checkpoint's header: all that is not an array, checked as strictly as files from anyone need.

No numpy, so that a checkpoint is described quickly.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from charrnn.checkpoint.header import strict_json
from charrnn.checkpoint.versions import READABLE
from charrnn.errors import UsageError
from charrnn.settings.fields import check_range
from charrnn.settings.tables import from_table

__all__ = ["FORMAT", "Counters", "RefusedError", "checked_metadata", "parse", "progress"]

FORMAT = "charrnn"

_KEYS = {"format", "version", "model", "model_sha256", "training", "training_sha256"}


@dataclass(frozen=True)
class Counters:
    """Counters of a run. Losses are validation losses in nats per character."""

    step: int = 0
    characters: int = 0
    seconds: float = 0.0
    loss: float | None = None
    best_loss: float | None = None
    best_step: int | None = None
    stale: int = 0  # validations since the best
    skipped: int = 0  # steps whose loss or gradient was not finite
    skipped_in_a_row: int = 0  # the last of these, when nothing was learned since


class RefusedError(Exception):
    """The reason why a well-formed safetensors file is not a usable checkpoint."""


def checked_metadata(table: Any) -> dict[str, str]:
    """Check that the metadata are of our format and version, without other keys, and return them.

    Raises:
        RefusedError: they are not.
    """
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise RefusedError("it was not written by charrnn")
    version = table.get("version")
    if version not in [str(number) for number in READABLE]:
        if not isinstance(version, str) or not re.fullmatch("[0-9]{1,9}", version):
            raise RefusedError(f"its format version is {version!r:.40}, not a number")
        reader = "a newer charrnn reads it" if int(version) > READABLE[-1] else "no charrnn reads it any more"
        known = ", ".join(map(str, READABLE))
        raise RefusedError(f"it has format version {version}; {reader}, this charrnn reads the versions {known}")
    if table.keys() != _KEYS or not all(map(_is_text, table.values())):
        raise RefusedError("its metadata is not that of a checkpoint")
    return table


def _is_text(value: Any) -> bool:
    """True if the value is a text without lone surrogates, which JSON can express and UTF-8 cannot."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


def progress(text: str) -> tuple[Counters, dict[str, str]]:
    """The counters of a run and the versions of its software, from the metadata about its training.

    Raises:
        RefusedError: the text is anything else.
    """
    about = parse(text, "training", {"counters", "versions"})
    try:
        counters = from_table(Counters, about["counters"], "counters")
        for name, value in asdict(counters).items():
            check_range(name, value, least=0, below=2**63 if isinstance(value, int) else None)
    except (UsageError, RecursionError) as error:
        raise RefusedError(f"its counters do not hold together: {error}") from error
    versions = about["versions"]
    if not isinstance(versions, dict) or not all(isinstance(value, str) for value in versions.values()):
        raise RefusedError("its versions are not texts")
    return counters, versions


def parse(text: str, key: str, keys: set[str]) -> dict[str, Any]:
    """The object with exactly these keys that the metadata of a `key` hold.

    Raises:
        RefusedError: the text is anything else.
    """
    try:
        parsed = strict_json(text)
    except ValueError as error:
        raise RefusedError(f"its {key} metadata is no plain JSON: {error}") from error
    if parsed.keys() != keys:
        raise RefusedError(f"its {key} metadata does not have {' and '.join(sorted(keys))}")
    return parsed
