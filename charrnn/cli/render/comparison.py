"""Display of a comparison: its rows in words, the table of them, and the progress on stderr."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from charrnn.cli.process.terminal import note
from charrnn.cli.render.display import clock, finished_lines, live_table, loss_text, print_table
from charrnn.cli.render.widths import columns, on_the_left, on_the_right
from charrnn.events import Finished, Notice, Reported
from charrnn.messages import counted
from charrnn.training.comparison import Compared, ComparisonEvent, Planned, Started, Tried

__all__ = ["comparison_display", "plain_table", "show_table", "verdict"]

_NETWORK, _SPREAD = ("cell", "rate", "size", "parameters", "nats\n/char", "bits\n/char"), ("±bits\n/char", "seeds")
_REST = ("windowed\n/char", "trained\n/s", "sampled\n/s", "run")
_PLAIN_SECONDS = 10.0  # between lines about a training that is not watched on a terminal


@contextmanager
def comparison_display(quiet: bool, *, live: bool, transient: bool) -> Iterator[Callable[[ComparisonEvent], None]]:
    """Yield a function that shows a comparison's events: in a live table, else in lines, not at all when quiet."""
    if quiet:
        yield lambda _: None
    elif not live:
        yield _Progress(note, in_lines=True).show
    else:
        progress = _Progress(lambda _: None, in_lines=False)
        with live_table(_columns(several=False), progress.picture, transient=transient) as say:
            progress.say = say
            yield progress.show


class _Progress:
    """The progress of a comparison. `say` is called with each line to show by itself."""

    def __init__(self, say: Callable[[str], None], *, in_lines: bool) -> None:
        self.say = say
        self._in_lines = in_lines
        self._cells: tuple[str, ...] = ()
        self._rows: dict[str, Compared] = {}
        self._started: Started | None = None
        self._report: Reported | None = None
        self._report_time = 0.0
        self._is_trained = False

    def show(self, event: ComparisonEvent) -> None:
        """Take in an event, and say the lines that it is worth."""
        match event:
            case Notice():
                self.say(event.message)
            case Planned():
                self._cells = tuple(event.grids)
                for line in _planned(event):
                    self.say(line)
            case Started():
                self._started, self._report, self._report_time = event, None, time.monotonic()
                self._is_trained = False
                if self._in_lines:
                    self.say(_started(event))
            case Reported():
                due = time.monotonic() - self._report_time > _PLAIN_SECONDS
                if not self._in_lines or due:
                    self._report, self._report_time = event, time.monotonic()
                if self._in_lines and due:
                    self.say(self._now())
            case Tried():
                loss = "diverged" if event.loss is None else loss_text(event.loss)
                self.say(f"{event.cell}: tried {event.learning_rate:g}, size {event.hidden_size}: {loss}")
            case Compared():
                self._rows[event.cell] = event
                self._started = None
                self.say(_compared(event))
            case Finished():
                self._is_trained = True
                for line in finished_lines(event) if event.reason == "stopped" else ():
                    self.say(line)
            case _:
                pass

    def picture(self) -> tuple[Sequence[Sequence[str]], str]:
        """The rows of the table, one for every cell, and the line below them."""
        empty = ("",) * (len(_columns(several=False)) - 1)
        named = [cell for cell in self._rows if cell not in self._cells] + [*self._cells]
        rows = [_row(self._rows[cell]) if cell in self._rows else (cell, *empty) for cell in named]
        return rows, self._now()

    def _now(self) -> str:
        if (started := self._started) is None:
            waiting = "" if self._rows else "scoring what needs no network …"
            return waiting if self._cells else "reading the text …"
        if self._is_trained:
            return f"{_started(started)}: scoring …"
        if (report := self._report) is None:
            return f"{_started(started)} …"
        left = max(report.seconds_left - (time.monotonic() - self._report_time), 0.0)
        line = f"{_started(started)}: step {report.step:,} of {report.total_steps:,}, loss {report.loss:.4f}"
        if started.seconds_after is not None:
            line += f"; {clock(left + started.seconds_after)} left in all"
        return line


def _planned(event: Planned) -> Iterator[str]:
    each = [
        f"{counted(count, what)}{f' of {clock(seconds)}' if seconds else ''}"
        for count, what, seconds in (
            (event.trials, "trial", event.trial_seconds),
            (event.runs, "run", event.run_seconds),
        )
        if count
    ]
    total = f": {clock(event.seconds)} in all, and a little for scoring" if event.seconds is not None else ""
    yield f"{'' if event.trials else 'no search, '}{' and '.join(each)}{total}"
    for cell, points in event.grids.items():
        rates, sizes = (dict.fromkeys(f"{value:g}" for value in values) for values in zip(*points, strict=True))
        yield f"{cell}: learning rate {', '.join(rates)}; size {', '.join(sizes)}"


def _started(event: Started) -> str:
    what = (
        f"the run that counts, seed {event.seed}" if event.trial is None else f"trial {event.trial} of {event.trials}"
    )
    return f"{event.cell}, {what}, learning rate {event.learning_rate:g}, {event.layers}×{event.hidden_size}"


def _compared(row: Compared) -> str:
    if row.diverged is not None:
        return f"{row.cell}: {row.diverged}"
    bits = f"{row.cell}: {_spread_out(row.bits_per_character, row.bits_per_character_spread)} bits/character"
    if row.kind != "network":
        return f"{bits}, without a network"
    windowed = _spread_out(row.windowed_bits_per_character, row.windowed_bits_per_character_spread)
    seeds = f", {_seeds(row)} seeds" if len(row.seeds) > 1 else ""
    return f"{bits} carried, {windowed} windowed{seeds}: {row.checkpoint}"


def _spread_out(mean: float | None, spread: float | None) -> str:
    return _number(mean, 4) + ("" if spread is None else f" ± {spread:.4f}")


def _seeds(row: Compared) -> str:
    """The number of seeds whose runs the figures are of, and of all, if some diverged."""
    sound = sum(each.diverged is None for each in row.seeds)
    return f"{sound}" if sound == len(row.seeds) else f"{sound}/{len(row.seeds)}"


def _columns(*, several: bool) -> tuple[str, ...]:
    """The names of the columns, in two lines where room is scarce; with `several` seeds there are two more."""
    return (*_NETWORK, *(_SPREAD if several else ()), *_REST)


def _row(row: Compared, *, several: bool = False) -> tuple[str, ...]:
    """The row in words without spaces."""
    size = "-" if row.order is None else f"order-{row.order}"
    spread = (_number(row.bits_per_character_spread, 4), _seeds(row) if row.seeds else "-")
    return (
        row.cell,
        "-" if row.learning_rate is None else f"{row.learning_rate:g}",
        size if row.layers is None else f"{row.layers}×{row.hidden_size}",
        _number(row.parameters),
        "diverged" if row.diverged is not None else _number(row.nats_per_character, 4),
        _number(row.bits_per_character, 4),
        *(spread if several else ()),
        _number(row.windowed_bits_per_character, 4),
        _number(row.trained_characters_per_second),
        _number(row.sampled_characters_per_second),
        row.run or "-",
    )


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _table(rows: Sequence[Compared]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The columns, and the rows in words, the best first and those that diverged last."""
    several = any(len(row.seeds) > 1 for row in rows)
    ordered = sorted(rows, key=lambda row: row.nats_per_character or math.inf)
    return _columns(several=several), [_row(row, several=several) for row in ordered]


def plain_table(rows: Sequence[Compared]) -> str:
    """The table in columns of words, aligned by spaces."""
    heads, shown = _table(rows)
    lines = [tuple(name.replace("\n", "") for name in heads), *shown]
    widths = [max(map(columns, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    return "".join(
        "  ".join(
            (on_the_right if 0 < place < last else on_the_left)(value, width)
            for place, (value, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def show_table(rows: Sequence[Compared]) -> None:
    """Write the table on stdout, which is a terminal."""
    print_table(*_table(rows))


def verdict(rows: Sequence[Compared]) -> str | None:
    """A sentence that says if the best network predicts better than the best model without one; None without both."""
    networks = [row for row in rows if row.kind == "network" and row.bits_per_character is not None]
    others = [row for row in rows if row.kind != "network"]
    if not networks or not others:
        return None
    network, other = (min(each, key=lambda row: row.bits_per_character or 0) for each in (networks, others))
    own, least = network.bits_per_character or 0.0, other.bits_per_character or 0.0
    both = f"{network.cell} needs {own:.4f} bits/character, and {other.cell} {least:.4f} without a network"
    if abs(own - least) <= 2 * max(network.bits_per_character_spread or 0.0, other.bits_per_character_spread or 0.0):
        return f"no clear winner: {both}; they differ by less than two spreads"
    if own < least:
        return f"the network is worth it: {both}, {1 - own / least:.1%} fewer"
    return f"the network is not worth it yet: {both}; give it more time, or more text"
