"""`charrnn memory`."""

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note, safe
from charrnn.cli.render.chart import chart
from charrnn.cli.render.plot import check_plot, write_curves
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.config import TrainingConfig, check_range
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.evaluation.memory import Memory

__all__ = ["command"]

_BITS = "bits per character, by the characters that the network may see"
_GRADIENTS = "norm of the loss's gradient at the state so many characters earlier"
_LEAST_NORM = 1e-9  # in a chart, where smaller ones would leave no room for the others
_COLUMNS = ("model", "characters", "bits_per_character", "gradient_norm")


def command(
    text: options.Text = None,
    model: options.Models = None,
    targets: options.Targets = 300,
    encoding: options.TextEncoding = None,
    device: options.Device = TrainingConfig.device,
    plot: options.Plot = None,
    as_json: options.JsonRows = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how far back a network remembers: charrnn memory held-out.txt

    What a character costs when only the last 1, 2, 4 … 1024 characters are seen, or all; and how much of the gradient
    of its loss arrives so many characters earlier. --model can be given several times.
    """
    check_range("targets", targets, least=1, most=2**24)
    check_plot(plot)

    from charrnn.checkpoint.store import load_model
    from charrnn.cli.render.display import working
    from charrnn.evaluation.evaluate import open_reading
    from charrnn.evaluation.memory import memory

    measured: dict[str, Memory] = {}
    models: list[str] | list[str | None] = model or [os.environ.get("CHARRNN_MODEL") or None]
    for each in models:
        found, checkpoint = load_model(each)
        note(f"{found.path} ({found.why})", quiet=quiet)
        with working(f"measuring {found.path}", quiet):
            reading = open_reading(checkpoint, tuple(text or ()), encoding=encoding, device=device)
            measured[str(found.path)] = memory(reading, targets)
        for notice in reading.notices:
            note(notice, quiet=quiet)
    writer = TextWriter("utf-8")
    if is_terminal("stdout") and not as_json:
        _draw(writer, measured)
    else:
        if not as_json:
            note(f"columns: {', '.join(_COLUMNS)}", quiet=quiet)
        for name, of_one in measured.items():
            _write_rows(writer, name, of_one, as_json=as_json)
    writer.close()
    if plot is not None:
        _plot(plot, measured)
        note(f"the picture is {plot}", quiet=quiet)


def _write_rows(writer: TextWriter, name: str, measured: "Memory", *, as_json: bool) -> None:
    """An object of JSON, or a line for each context; the last is all that stands before a character."""
    if as_json:
        writer.write(json_line({"model": name, **measured._asdict()}))
        return
    for row in zip(measured.contexts, measured.bits, measured.gradients, strict=True):
        writer.write(columns_line(name, *row))
    writer.write(columns_line(name, "all", measured.all_bits, None))


def _draw(writer: TextWriter, measured: "dict[str, Memory]") -> None:
    names, labels, bits, gradients = _curves(measured)
    logarithms = {
        name: [math.log10(max(norm, _LEAST_NORM)) for norm in curve]
        for name, curve in zip(names, gradients, strict=True)
    }
    for line in chart(_BITS, [*labels, "all"], dict(zip(names, bits, strict=True))):
        writer.write(line)
    writer.write("\n")
    for line in chart(f"log10 of the {_GRADIENTS}, from {math.log10(_LEAST_NORM):g} on", labels, logarithms):
        writer.write(line)


def _plot(path: str, measured: "dict[str, Memory]") -> None:
    names, labels, bits, gradients = _curves(measured)
    panels = {
        _BITS: dict(zip(names, bits, strict=True)),
        _GRADIENTS: dict(zip(names, gradients, strict=True)),
    }
    write_curves(path, [*labels, "all"], panels, logarithmic=[_GRADIENTS])


def _curves(
    measured: "dict[str, Memory]",
) -> tuple[list[str], list[str], list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Short names of the models, where these tell them apart, the contexts, and each one's bits and gradient norms."""
    runs = [Path(name).parent.name or name for name in measured]
    names = [safe(name) for name in (runs if len(set(runs)) == len(runs) else measured)]
    all_measured = list(measured.values())
    if len({each.contexts for each in all_measured}) > 1:
        raise UsageError("the models take the text apart into other documents; measure them one by one, or use --json")
    labels = [str(context) for context in all_measured[0].contexts]
    return names, labels, [(*m.bits, m.all_bits) for m in all_measured], [m.gradients for m in all_measured]
