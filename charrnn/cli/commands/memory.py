"""`charrnn memory`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn.cli.common import ModelsInput, Quiet, open_model, tell_model
from charrnn.cli.looking import DeviceChoice, LineJson, PictureOutput, TextInput
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, is_terminal, note
from charrnn.cli.render.chart import chart
from charrnn.cli.render.plot import check_plot, write_curves
from charrnn.cli.render.score_rows import columns_line, json_line
from charrnn.errors import UsageError
from charrnn.messages import named, safe
from charrnn.settings.fields import IN, TEXT_ENCODING_HELP, setting

if TYPE_CHECKING:
    from charrnn.evaluation.memory import Memory

__all__ = ["command"]

_BITS = "bits per character, by the characters that the network may see"
_GRADIENTS = "norm of the loss's gradient at the state so many characters earlier"
_LEAST_NORM = 1e-9  # in a chart, where smaller ones would leave no room for the others
_COLUMNS = ("model", "characters", "bits_per_character", "gradient_norm")


@dataclass(frozen=True)
class MemoryInput(ModelsInput, TextInput):
    """The text to measure on, and the models."""

    encoding: str | None = setting(None, TEXT_ENCODING_HELP, panel=IN, metavar="NAME", shows_default=False)
    targets: int = setting(300, "Characters that are predicted, spread over the text.", panel=IN, least=1, most=2**24)


@dataclass(frozen=True)
class MemoryOutput(PictureOutput, LineJson, Quiet):
    """Options for the form of the measurements."""


@with_options
def command(source: MemoryInput, machine: DeviceChoice, output: MemoryOutput) -> None:
    """Tells the cost of a character when only the last 1, 2, 4 … 1024 characters are seen, or all; and the share of the
    gradient of its loss that arrives so many characters earlier. --model can be given several times.
    """
    check_plot(output.plot, replaces=output.force)

    from charrnn.cli.render.display import working
    from charrnn.evaluation.evaluate import open_reading
    from charrnn.evaluation.memory import memory

    measured: dict[str, Memory] = {}
    for each in source.model or (None,):
        opened = open_model(each)
        tell_model(opened, quiet=output)
        with working(f"measuring {opened.path}", output.quiet):
            reading = open_reading(opened.checkpoint, source.text, encoding=source.encoding, device=machine.device)
            measured[str(opened.path)] = memory(reading, source.targets)
        for notice in reading.notices:
            note(notice, quiet=output.quiet)
    writer = TextWriter("utf-8")
    if is_terminal("stdout") and not output.as_json:
        _draw(writer, measured)
    else:
        if not output.as_json:
            note(f"columns: {', '.join(_COLUMNS)}", quiet=output.quiet)
        for name, of_one in measured.items():
            _write_rows(writer, name, of_one, as_json=output.as_json)
    writer.close()
    if output.plot is not None:
        _plot(output.plot, measured, replaces=output.force)
        note(f"the picture is {output.plot}", quiet=output.quiet)


def _write_rows(writer: TextWriter, name: str, measured: "Memory", *, as_json: bool) -> None:
    """Write a JSON object, or a line for each context; the last context is all text before a character."""
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


def _plot(path: str, measured: "dict[str, Memory]", *, replaces: bool) -> None:
    names, labels, bits, gradients = _curves(measured)
    panels = {
        _BITS: dict(zip(names, bits, strict=True)),
        _GRADIENTS: dict(zip(names, gradients, strict=True)),
    }
    write_curves(path, [*labels, "all"], panels, logarithmic=[_GRADIENTS], replaces=replaces)


def _curves(
    measured: "dict[str, Memory]",
) -> tuple[list[str], list[str], list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Names of the models (short ones if they differ), the contexts, and each model's bits and gradient norms."""
    runs = [Path(name).parent.name or name for name in measured]
    names = [safe(name) for name in (runs if len(set(runs)) == len(runs) else measured)]
    all_measured = list(measured.values())
    if len({each.contexts for each in all_measured}) > 1:
        raise UsageError(
            f"the models take the text apart into other documents; measure them one by one, or use {named('as_json')}"
        )
    labels = [str(context) for context in all_measured[0].contexts]
    return names, labels, [(*m.bits, m.all_bits) for m in all_measured], [m.gradients for m in all_measured]
