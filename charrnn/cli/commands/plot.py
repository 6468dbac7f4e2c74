"""`charrnn plot`."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from charrnn.checkpoint.records import Points, losses_of
from charrnn.checkpoint.store import find_run
from charrnn.cli.common import Quiet
from charrnn.cli.looking import LineJson
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, note, shows_all
from charrnn.cli.render.curves import drawn
from charrnn.cli.render.plot import check_plot, write_losses
from charrnn.cli.render.score_rows import json_line
from charrnn.cli.render.shading import colours
from charrnn.errors import DataError
from charrnn.settings.fields import FORCE_HELP, OUT, Settings, setting

__all__ = ["command"]

_TITLE = "loss in nats per character over steps"
_LEAST, _MOST = 10, 24  # rows of the picture
_AROUND = 8  # rows of a terminal for what stands around it

Losses = dict[str, Points]


@dataclass(frozen=True)
class PlottedRuns(Settings):
    """The runs whose curves are drawn."""

    run: tuple[str, ...] = setting(
        (), "Folders or names of runs (default: the newest run in ./checkpoints).", argument=True, shows_default=False
    )


@dataclass(frozen=True)
class PlotOutput(LineJson, Quiet):
    """Options for the form of the curves."""

    output: str | None = setting(
        None,
        "Draw them in a new file, .png or .svg, instead (pip install 'charrnn-text[plot]').",
        panel=OUT,
        short="o",
        metavar="FILE",
    )
    force: bool = setting(False, FORCE_HELP, panel=OUT)


@with_options
def command(source: PlottedRuns, output: PlotOutput) -> None:
    """Training and validation losses of one or several runs, on the terminal or in a picture.

    The first losses of a training are far above the others; what is higher than 95 % of all is at the upper edge.

    With --json: run, training, validation; the last two are lists of [step, loss].
    """
    check_plot(output.output, "output", replaces=output.force)
    runs = [find_run(each).path for each in source.run or (None,)]
    if not source.run:
        note(f"{runs[0]} (the newest run)", quiet=output.quiet)
    losses = {run: _losses(run) for run in runs}
    if output.output is not None:
        write_losses(output.output, _TITLE, _curves(losses), replaces=output.force)
        note(f"the picture is {output.output}", quiet=output.quiet)
        return
    writer = TextWriter("utf-8", escape=False)  # names are made safe where they are drawn
    for line in _as_json(losses) if output.as_json else _drawn(losses):
        writer.write(line)
    writer.close()


def _losses(run: Path) -> Losses:
    """The losses of a run by split.

    Raises:
        DataError: it has none.
    """
    if not (losses := losses_of(run)):
        raise DataError(f"{run} has no losses to draw: its metrics.jsonl is missing or empty; a training writes it")
    return losses


def _as_json(runs: Mapping[Path, Losses]) -> Iterator[str]:
    for run, losses in runs.items():
        yield json_line({"run": str(run), **{split: losses.get(split, []) for split in ("training", "validation")}})


def _drawn(runs: Mapping[Path, Losses]) -> Iterator[str]:
    size = shutil.get_terminal_size()
    height = min(max(size.lines - _AROUND, _LEAST), _MOST)
    has_colours, is_ascii = colours() is not None, not shows_all("stdout")
    return drawn(_TITLE, _curves(runs), size.columns, height, has_colours=has_colours, is_ascii=is_ascii)


def _curves(runs: Mapping[Path, Losses]) -> Losses:
    """The curves by name: a split, after the run's name, or its path where names are the same, if there are several."""
    names = [run.name for run in runs]
    prefixes = [""] if len(runs) == 1 else [f"{name} " for name in (names if len(set(names)) == len(names) else runs)]
    every = zip(prefixes, runs.values(), strict=True)
    return {f"{prefix}{split}": points for prefix, losses in every for split, points in losses.items()}
