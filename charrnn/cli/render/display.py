"""Displays drawn with rich, which is used nowhere else. All but the tables of results are drawn on stderr."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from charrnn.cli.process.terminal import as_told, is_terminal, note, shows_all
from charrnn.cli.render.console import as_shown, open_console, own_words
from charrnn.events import Began, Event, Finished, Notice, Reported, Sampled, Saved, Skipped, Validated
from charrnn.messages import counted

__all__ = [
    "clock",
    "finished_lines",
    "live_table",
    "loss_text",
    "print_table",
    "score_table",
    "training_display",
    "working",
]

Show = Callable[[Event], None]

_PLAIN_SECONDS = 10.0  # between lines of a training that is not watched on a terminal
_PACE_KNOWN_AFTER = 2  # reports; the first includes work that is done only once
_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.,-=+*#"
_WIDEST_BAR, _NARROWEST_BAR = 30, 8  # columns
_WIDEST_CURVE, _NARROWEST_CURVE = 40, 8


@contextmanager
def training_display(quiet: bool, *, in_lines: bool = False) -> Iterator[Show]:
    """Yield a function that shows a training's events: live on a terminal, else in lines, not at all when quiet."""
    if quiet:
        yield lambda _: None
    elif in_lines or not is_terminal("stderr"):
        yield _PlainDisplay().show
    else:
        # rich would otherwise take stdout for its own; that belongs to the command's product.
        console = open_console("stderr")
        display = _LiveDisplay(console)
        with Live(
            get_renderable=display.render,
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield display.show
        display.after()


class _PlainDisplay:
    """Display of a training in lines of key=value pairs, at intervals."""

    def __init__(self) -> None:
        self._told = 0.0
        self._reports = 0

    def show(self, event: Event) -> None:
        """Write a line about an event, or none; reports get one every ten seconds."""
        if isinstance(event, Reported):
            self._reports += 1
            if self._reports == _PACE_KNOWN_AFTER and event.step < event.total_steps:
                note(_expected(event))
        match event:
            case Notice():
                note(event.message)
            case Began():
                note(_began(event))
            case Reported() if time.monotonic() - self._told >= _PLAIN_SECONDS or event.step == event.total_steps:
                self._told = time.monotonic()
                self._line(
                    step=event.step,
                    total=event.total_steps,
                    epoch=f"{event.epoch:.2f}",
                    loss=f"{event.loss:.4f}",
                    bits=f"{_bits(event.loss):.4f}",
                    characters_per_second=round(event.characters_per_second),
                    seconds=round(event.seconds),
                    left=round(event.seconds_left),
                )
            case Skipped() if _is_told(event):
                note(_skipped(event))
            case Validated():
                loss, bits = f"{event.loss:.4f}", f"{_bits(event.loss):.4f}"
                self._line(step=event.step, validation_loss=loss, validation_bits=bits, best=str(event.best).lower())
            case Finished():
                for line in finished_lines(event):
                    note(line)
            case _:
                pass

    def _line(self, **values: object) -> None:
        note(" ".join(f"{key}={value}" for key, value in values.items()))


class _LiveDisplay:
    """Live display of a training, drawn anew four times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._report: Reported | None = None
        self._report_time = 0.0
        self._validated: Validated | None = None
        self._losses: list[float] = []
        self._validation_losses: list[float] = []
        self._sample: Sampled | None = None
        self._finished: Finished | None = None

    def show(self, event: Event) -> None:
        """Take in an event for the next picture, or print a line above it."""
        match event:
            case Notice():
                self._console.print(Text(own_words(as_told(event.message), "stderr"), style="dim"))
            case Began():
                self._console.print(Text(own_words(_began(event), "stderr")))
            case Reported():
                self._report, self._report_time = event, time.monotonic()
                self._losses.append(event.loss)
            case Skipped():
                if _is_told(event):
                    self._console.print(Text(own_words(_skipped(event), "stderr")))
            case Validated():
                self._validated = event
                self._validation_losses.append(event.loss)
            case Sampled():
                self._sample = event
            case Finished():
                self._finished = event
            case Saved():
                pass

    def after(self) -> None:
        """Print the result below the last picture."""
        if self._finished:
            for line in finished_lines(self._finished):
                self._console.print(Text(own_words(line, "stderr")))

    def render(self) -> RenderableType:
        """The picture: progress bar, losses with their curves, and the latest sample."""
        if (report := self._report) is None:
            return Text(own_words("warming up …", "stderr") if not self._finished else "", style="dim")
        parts: list[RenderableType] = [self._progress(report)]
        parts.append(self._loss("training  ", report.loss, self._losses, "cyan"))
        if self._validated:
            parts.append(self._loss("validation", self._validated.loss, self._validation_losses, "green"))
        if self._sample:
            text = Text(as_shown(self._sample.text, "stderr"), style="yellow")
            parts.append(Padding(Group(Text(f"it writes, at step {self._sample.step:,}:", "dim"), text), (1, 0, 0, 0)))
        return Padding(Group(*parts), (1, 0))

    def _progress(self, report: Reported) -> RenderableType:
        """The bar and what stands beside it, of which the least important is left out where it does not fit."""
        left = max(report.seconds_left - (time.monotonic() - self._report_time), 0.0)
        words = {
            "share": f"{report.step / report.total_steps:.0%}",
            "steps": f"step {report.step:,} of {report.total_steps:,}",
            "epoch": f"epoch {report.epoch:.1f}",
            "pace": f"{report.characters_per_second:,.0f} characters/s",
            "left": "done" if self._finished else f"{clock(left)} left",
        }
        for least in ("epoch", "pace", "steps"):
            if self._room(words.values()) < _NARROWEST_BAR:
                del words[least]
        width = max(min(self._room(words.values()), _WIDEST_BAR), 1)
        grid = Table.grid(padding=(0, 2))
        for _ in range(1 + len(words)):
            grid.add_column(no_wrap=True)
        grid.add_row(ProgressBar(total=report.total_steps, completed=report.step, width=width), *words.values())
        return grid

    def _loss(self, name: str, loss: float, losses: list[float], style: str) -> Text:
        """A loss and its curve; in nats alone where both units do not fit."""
        told = loss_text(loss)
        if self._room((name, told)) < _NARROWEST_CURVE:
            told = told.partition("  ")[0]
        width = min(self._room((name, told)), _WIDEST_CURVE)
        line = Text(f"{name}  {told}  ", no_wrap=True, overflow="crop")
        return line.append(_curve(losses, width) if width > 0 else "", style)

    def _room(self, words: Iterable[str]) -> int:
        """Columns that are left in a line beside these words, with two spaces after each."""
        return self._console.width - sum(len(each) + 2 for each in words)


@contextmanager
def working(what: str, quiet: bool) -> Iterator[None]:
    """Show "`what` …" on a terminal while the context is open."""
    if quiet or not is_terminal("stderr"):
        yield
        return
    words = Text(own_words(f"{what} …", "stderr"), "dim")
    with Live(words, console=open_console("stderr"), redirect_stdout=False, transient=True):
        yield


def score_table(title: str, values: Mapping[str, float | int | str | None]) -> None:
    """Write a table of scores on stdout, which is a terminal."""
    table = Table(title=Text(as_shown(title, "stdout")), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in values.items():
        shown = f"{value:,.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name.replace("_", " "), Text(as_shown(shown, "stdout")))
    open_console("stdout").print(table)


Row = Sequence[str]


@contextmanager
def live_table(
    columns: Row, picture: Callable[[], tuple[Sequence[Row], str]], *, transient: bool
) -> Iterator[Callable[[str], None]]:
    """Draw the rows, and the line below them, that `picture` gives, four times a second on a terminal.

    The function that is yielded writes a line above them.
    """
    console = open_console("stderr")

    def render() -> RenderableType:
        """The table and the line below it, as `picture` gives them now."""
        rows, line = picture()
        below = Text(own_words(line, "stderr"), "dim")
        shown = [[own_words(value, "stderr") for value in row] for row in rows]
        return Group(_table(columns, shown), below) if rows else below

    with Live(
        get_renderable=render,
        console=console,
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=transient,
    ):
        yield lambda line: console.print(Text(own_words(as_told(line), "stderr")))


def print_table(columns: Row, rows: Sequence[Row]) -> None:
    """Write a table on stdout, which is a terminal."""
    shown = [[as_shown(value, "stdout") for value in row] for row in rows]
    open_console("stdout").print(_table(columns, shown))


def _table(columns: Row, rows: Sequence[Row]) -> Table:
    """A table whose first column is words, whose last is words that may be folded, and whose others are numbers."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in columns[:-1]:
        table.add_column(column, justify="right" if column != columns[0] else "left", no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _bits(nats: float) -> float:
    return nats / math.log(2)


def loss_text(nats: float) -> str:
    """A loss in nats and in bits per character, as text."""
    return f"{nats:.4f} nats  {_bits(nats):.4f} bits/character"


def _curve(values: list[float], width: int) -> str:
    """A curve of values as a line of at most `width` characters, the latest at the right."""
    if len(values) > width:
        edges = [len(values) * k // width for k in range(width + 1)]
        values = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(values), max(values)
    bars = _BARS if shows_all("stderr") else _ASCII_BARS
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(bars[round((value - low) * scale)] for value in values)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _began(event: Began) -> str:
    parameters, characters = counted(event.parameters, "parameter"), counted(event.training_characters, "character")
    held_out = f"{event.validation_characters:,} held out" if event.validation_characters else "none held out"
    place = f" from step {event.step:,} on" if event.step else ""
    return (
        f"{event.run}{place}: {event.model}: {parameters}, vocabulary {event.vocabulary_size:,}, "
        f"{characters} to learn, {held_out}; on {event.device}"
    )


def _expected(report: Reported) -> str:
    epochs = report.epoch * report.total_steps / report.step
    return (
        f"about {clock(report.seconds_left)} to go at {report.characters_per_second:,.0f} characters/s: "
        f"{counted(report.total_steps, 'step')}, {epochs:.1f} epochs in all"
    )


def _is_told(event: Skipped) -> bool:
    """True for the first, second, fourth, eighth … of a run, so that thousands do not hide everything else."""
    return event.skipped.bit_count() == 1


def _skipped(event: Skipped) -> str:
    return (
        f"step {event.step:,} skipped: a loss of {event.loss:g}, a gradient norm of {event.gradient_norm:g} "
        f"(skipped so far: {event.skipped:,})"
    )


def finished_lines(event: Finished) -> list[str]:
    """Lines about a training that is over: why, after how long, its best loss, and commands to go on."""
    reasons = {
        "budget": "finished",
        "patience": "stopped early, as the validation loss got no better",
        "stopped": "stopped",
    }
    lines = [f"{reasons[event.reason]} at step {event.step:,} after {clock(event.seconds)}"]
    if event.best_loss is not None:
        lines[0] += f"; best validation loss {loss_text(event.best_loss)} at step {event.best_step:,}"
    if event.skipped:
        lines.append(f"{counted(event.skipped, 'step')} skipped, whose loss or gradient was not finite")
    lines.append(f"go on:  charrnn train --resume {event.run}" if event.reason == "stopped" else "")
    lines.append(f"sample: charrnn sample --model {event.run}")
    return [line for line in lines if line]
