"""`charrnn runs`."""

import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charrnn.checkpoint.store import RUNS, newest_run, runs_above
from charrnn.checkpoint.summary import RunSummary, summaries
from charrnn.cli.common import Quiet
from charrnn.cli.looking import LineJson
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note, shows_all
from charrnn.cli.render.columns import aligned
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.messages import counted
from charrnn.settings.fields import Settings, setting

__all__ = ["command"]

_HEADINGS = ("name", "network", "steps", "best", "chars/s", "when", "text")
_DAY = 24 * 60


@dataclass(frozen=True)
class RunsFolder(Settings):
    """The folder of the runs."""

    folder: str | None = setting(
        None, "Folder whose runs are listed (default: ./checkpoints).", argument=True, shows_default=False
    )


@dataclass(frozen=True)
class RunsOutput(LineJson, Quiet):
    """Options for the form of the list."""


@with_options
def command(where: RunsFolder, output: RunsOutput) -> None:
    """The newest run comes first. `best` is the best validation loss in nats per character; characters per second are
    over the whole training. --model, --resume and --from take the names.

    With --json: name, path, cell, layers, hidden_size, text, step, best_loss (in nats), best_bits_per_character,
    best_step, characters_per_second, when, trouble. What is not known is null.
    """
    root = RUNS if where.folder is None else Path(where.folder)
    found = summaries(root)
    for run in found:
        if run.trouble:
            note(run.trouble, quiet=output.quiet)
    if not found:
        note(_without_runs(root), quiet=output.quiet)
    writer = TextWriter("utf-8")
    for line in _lines(found, as_json=output.as_json, quiet=output.quiet):
        writer.write(line)
    writer.close()


def _without_runs(root: Path) -> str:
    """A message that there are no runs, and where there are some, if that is near."""
    here, inside = Path(os.path.abspath(root)), root / RUNS  # noqa: PTH100 (which also takes out what is `..`)
    near = inside if newest_run(inside) else runs_above(here.parent)
    return f"there are no runs in {here}; {f'there are some in {near}' if near else 'a training makes one'}"


def _lines(runs: list[RunSummary], *, as_json: bool, quiet: bool) -> Iterator[str]:
    if as_json:
        yield from (json_line(_values(run)) for run in runs)
    elif is_terminal("stdout"):
        if runs:
            table = [_HEADINGS, *(_row(run, time.time()) for run in runs)]
            yield from aligned(table, shutil.get_terminal_size().columns, is_ascii=not shows_all("stdout"))
    elif runs:
        note(f"columns: {', '.join(_values(runs[0]))}", quiet=quiet)
        for run in runs:
            yield columns_line(*(", ".join(v) if isinstance(v, tuple) else v for v in _values(run).values()))


def _values(run: RunSummary) -> dict[str, Any]:
    """The facts of a run, as data."""
    return {
        "name": run.path.name,
        "path": str(run.path),
        "cell": run.cell,
        "layers": run.layers,
        "hidden_size": run.hidden_size,
        "text": run.text,
        "step": run.step,
        "best_loss": run.best_loss,
        "best_bits_per_character": None if run.best_loss is None else run.best_loss / math.log(2),
        "best_step": run.best_step,
        "characters_per_second": run.characters_per_second,
        "when": datetime.fromtimestamp(run.when, UTC).isoformat(timespec="seconds"),
        "trouble": run.trouble,
    }


def _row(run: RunSummary, now: float) -> tuple[str, ...]:
    """The run in words for a table."""
    size = f" {run.layers}×{run.hidden_size}" if run.layers and run.hidden_size else ""
    return (
        run.path.name,
        f"{run.cell or '-'}{size}",
        "-" if run.step is None else f"{run.step:,}",
        "-" if run.best_loss is None else f"{run.best_loss:.4f}",
        "-" if run.characters_per_second is None else f"{run.characters_per_second:,.0f}",
        _age(run.when, now),
        ", ".join(run.text) or "-",
    )


def _age(when: float, now: float) -> str:
    """The time since a time in words; its date after a month."""
    minutes = int((now - when) / 60)
    if not 0 <= minutes < 30 * _DAY:
        return f"{datetime.fromtimestamp(when):%Y-%m-%d}"
    for size, unit in ((_DAY, "day"), (60, "hour"), (1, "minute")):
        if count := minutes // size:
            return f"{counted(count, unit)} ago"
    return "just now"
