"""`charrnn inspect`."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from charrnn.cli.common import ModelInput, Quiet, open_model, tell_model
from charrnn.cli.looking import PictureOutput, TextInput
from charrnn.cli.options import with_options
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.chart import scatter
from charrnn.cli.render.plot import check_plot, write_map
from charrnn.cli.render.score_rows import as_value, json_line
from charrnn.cli.render.shading import colours, is_light, picture
from charrnn.errors import UsageError
from charrnn.export.character_names import name_of
from charrnn.export.shading import Scale, Shaded, cells, ramp
from charrnn.messages import counted, named
from charrnn.settings.fields import IN, OUT, TEXT_ENCODING_HELP, Settings, setting
from charrnn.settings.scoring import Property

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint
    from charrnn.evaluation.activations import Floats, Traces
    from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["command"]

_LOOK = "What is looked at"
_LISTED = 10  # units that follow a property most
_PICTURED = 1000  # characters of the best one's picture
_NEIGHBOURS = 5


@dataclass(frozen=True)
class InspectInput(TextInput, ModelInput):
    """The text to look at, and the number of its characters to read."""

    encoding: str | None = setting(None, TEXT_ENCODING_HELP, panel=IN, metavar="NAME", shows_default=False)
    characters: int = setting(10_000, "Characters of the text that are read.", panel=IN, least=1, most=2**24)


@dataclass(frozen=True)
class InspectView(Settings):
    """The view: one of `neuron`, `find` and `embedding`."""

    neuron: int | None = setting(None, "Shade the text by the values of this unit, from 1.", panel=_LOOK)
    find: Property | None = setting(None, "Find the units that follow this property of the text.", panel=_LOOK)
    embedding: bool = setting(False, "Show which characters are alike. Needs no text.", panel=_LOOK)
    layer: int | None = setting(None, "Layer of the unit, from 1 (default: the topmost).", panel=_LOOK)
    gate: str | None = setting(
        None, "h (default); of an lstm also c, i, f, g, o; of a gru also r, z, n.", panel=_LOOK, shows_default=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = {"neuron": self.neuron is not None, "find": self.find is not None, "embedding": self.embedding}
        if sum(asked.values()) != 1:
            raise UsageError(f"say what to look at, by one of {', '.join(map(named, asked))}")


@dataclass(frozen=True)
class InspectOutput(PictureOutput, Quiet):
    """Options for the form of the output."""

    as_json: bool = setting(False, "Write JSON on stdout.", panel=OUT, flag="--json")


@with_options
def command(source: InspectInput, view: InspectView, output: InspectOutput) -> None:
    """--neuron shades a text by a unit's values, --find looks for the units that follow a property of the text, and
    --embedding shows which characters are alike to the network.
    """
    if view.embedding and source.text:
        raise UsageError(f"{named('embedding')} looks at the model alone; leave the text out")
    if output.plot is not None and not view.embedding:
        with_embedding = f"{named('plot')} goes with {named('embedding')}"
        raise UsageError(f"{with_embedding}; a shaded text is drawn on the terminal")
    check_plot(output.plot, replaces=output.force)

    opened = open_model(source.model)
    tell_model(opened, quiet=output)
    writer = TextWriter("utf-8", escape=False)  # all characters are named or shown by harmless cells
    if view.embedding:
        _write_alphabet(writer, opened.checkpoint, output)
    else:
        _write_units(writer, opened.checkpoint, source, view, output)
    writer.close()
    if output.plot is not None:
        note(f"the picture is {output.plot}", quiet=output.quiet)


def _write_units(
    writer: TextWriter, checkpoint: "Checkpoint", source: InspectInput, view: InspectView, output: InspectOutput
) -> None:
    """Write a text shaded by a unit's values, or the units that follow a property of it."""
    from charrnn.cli.render.display import working
    from charrnn.evaluation.activations import read_inside, trace
    from charrnn.evaluation.evaluate import open_reading

    reading = open_reading(checkpoint, source.text, encoding=source.encoding, device="cpu", may_lack_label=True)
    vocabulary = reading.vocabulary
    with working("reading", output.quiet):
        layers, documents = read_inside(checkpoint, reading.tokens, reading.translation, source.characters)
    if sum(map(len, documents)) == source.characters:
        first = f"the first {counted(source.characters, 'character')} of {reading.text}"
        note(f"{first}; {named('characters')} reads more", quiet=output.quiet)
    if view.find is not None:
        _write_found(writer, layers, documents, vocabulary, view, as_json=output.as_json)
        return
    values = trace(layers, view.layer, view.gate or "h", view.neuron)
    for line in _lines(values, documents, vocabulary) if output.as_json else _picture(values, documents, vocabulary):
        writer.write(line)


def _write_found(
    writer: TextWriter,
    layers: "list[Traces]",
    documents: "list[Ids]",
    vocabulary: "Vocabulary",
    view: InspectView,
    *,
    as_json: bool,
) -> None:
    """Write the units that follow a property most, and the text shaded by the first of them."""
    from charrnn.evaluation.activations import find_units, property_of, trace

    assert view.find is not None
    chosen = range(1, len(layers) + 1) if view.layer is None else [view.layer]
    names = [name for name in ("h", "c") if name in layers[0]] if view.gate is None else [view.gate]
    traces = {number: {name: trace(layers, number, name) for name in names} for number in chosen}
    units = find_units(traces, property_of(view.find, documents, vocabulary), _LISTED)
    if as_json:
        writer.write(json_line({"property": view.find, "units": [unit._asdict() for unit in units]}))
        return
    for layer, neuron, gate, correlation in units:
        writer.write(f"layer {layer}  unit {neuron:<4} {gate}  correlation with {view.find} {correlation:+.4f}\n")
    writer.write("\n")
    best = traces[units[0].layer][units[0].gate][:, units[0].unit - 1]
    for line in _picture(best, documents, vocabulary, _PICTURED):
        writer.write(line)


def activation_scale(largest: float) -> Scale:
    """A scale of nine levels from -`largest` to `largest`: blue below 0, no colour around 0, red above."""
    bounds = [largest * (k - 3.5) / 4.5 for k in range(8)]
    edges = [f"{bound:.2f}" for bound in bounds]
    labels = [
        f"below {edges[0]}",
        *(f"{a} to {b}" for a, b in pairwise(edges)),
        f"from {edges[-1]}",
    ]
    blue, red = ramp([(8, 48, 140), (205, 225, 250)], 4), ramp([(253, 219, 199), (150, 10, 30)], 4)
    return Scale("value", bounds, labels, "DCBA.1234", [*blue, None, *red], lambda values: values[-1])


def _picture(
    values: "Floats", documents: "list[Ids]", vocabulary: "Vocabulary", most: int | None = None
) -> Iterator[str]:
    """The text, or its first `most` characters, shaded by a unit's value after each; the scale is from -1 to 1, or
    wider if the values are."""
    scale = activation_scale(max(1.0, float(abs(values).max())))
    scale = scale if is_light() else scale.on_dark()
    shaded = (Shaded(character, value) for _, character, value in islice(_values(values, documents, vocabulary), most))
    yield from picture(cells(shaded, scale, vocabulary.unit), scale, colours(), shutil.get_terminal_size().columns)


def _lines(values: "Floats", documents: "list[Ids]", vocabulary: "Vocabulary") -> Iterator[str]:
    for offset, character, value in _values(values, documents, vocabulary):
        yield json_line({"offset": offset, **as_value(character, vocabulary.unit), "value": value})


def _values(
    values: "Floats", documents: "list[Ids]", vocabulary: "Vocabulary"
) -> Iterator[tuple[int, str | None, float | None]]:
    """Offset, character, and the unit's value after it; both are None where a document ends and another begins."""
    of_all, offset = iter(values.tolist()), 0
    for number, ids in enumerate(documents):
        if number:
            yield offset, None, None
            offset += 1
        for token in ids.tolist():
            yield offset, vocabulary.characters[token], next(of_all)
            offset += 1


def _write_alphabet(writer: TextWriter, checkpoint: "Checkpoint", output: InspectOutput) -> None:
    """Write each character's neighbours, the share of neighbours of the same kind, and a map."""
    from charrnn.evaluation.alphabet import kinds, learned_alphabet

    alphabet, unit = learned_alphabet(checkpoint), checkpoint.vocabulary.unit
    names = [name_of(character, unit) for character in alphabet.characters]
    if output.as_json:
        for index, character in enumerate(alphabet.characters):
            neighbours = [
                {unit: as_value(other, unit)[unit], "similarity": similarity}
                for other, similarity in alphabet.neighbours(index, _NEIGHBOURS)
            ]
            x, y = alphabet.places[index].tolist()
            writer.write(json_line({unit: as_value(character, unit)[unit], "neighbours": neighbours, "x": x, "y": y}))
    else:
        for index, name in enumerate(names):
            near = (f"{name_of(other, unit)} {alike:.2f}" for other, alike in alphabet.neighbours(index, _NEIGHBOURS))
            writer.write(f"{name}\t{'  '.join(near)}\n")
        writer.write("\nwhose nearest neighbour is of their own kind, and how many would be by chance:\n")
        for kind in kinds(alphabet):
            writer.write(f"{kind.name} ({kind.characters})\t{kind.together:.0%}\t{kind.by_chance:.0%}\n")
        writer.write("\n")
    points = [(name, *place) for name, place in zip(names, alphabet.places.tolist(), strict=True)]
    if not output.as_json:
        width = min(shutil.get_terminal_size().columns, 100)
        for line in scatter(points, width, max(20, len(points) // 4)):
            writer.write(line)
    if output.plot is not None:
        title = "Characters by their first two principal components"
        write_map(output.plot, title, points, replaces=output.force)
