"""`charrnn inspect`."""

import shutil
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from charrnn.cli import options
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.cli.render.character_names import name_of
from charrnn.cli.render.chart import scatter
from charrnn.cli.render.plot import check_plot, write_map
from charrnn.cli.render.score_rows import as_value, json_line
from charrnn.cli.render.shading import Scale, Shaded, cells, colours, is_light, picture, ramp
from charrnn.config import check_range
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint
    from charrnn.evaluation.activations import Floats
    from charrnn.text.vocabulary import Ids, Vocabulary

__all__ = ["command"]

_LISTED = 10  # units that follow a property most
_PICTURED = 1000  # characters of the best one's picture
_NEIGHBOURS = 5


def command(
    text: options.Text = None,
    model: options.Model = None,
    neuron: options.Neuron = None,
    find: options.Find = None,
    layer: options.Layer = None,
    gate: options.Gate = None,
    embedding: options.Embedding = False,
    characters: options.Characters = 10_000,
    encoding: options.TextEncoding = None,
    plot: options.Plot = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Look inside a network: charrnn inspect held-out.txt --find quotes

    --neuron shades a text by a unit's values, --find looks for the units that follow a property of the text, and
    --embedding shows which characters are alike to the network.
    """
    asked = {"--neuron": neuron is not None, "--find": find is not None, "--embedding": embedding}
    if sum(asked.values()) != 1:
        raise UsageError(f"say what to look at, by one of {', '.join(asked)}")
    if embedding and text:
        raise UsageError("--embedding looks at the model alone; leave the text out")
    if plot is not None and not embedding:
        raise UsageError("--plot goes with --embedding; a shaded text is drawn on the terminal")
    check_range("characters", characters, least=1, most=2**24)
    check_plot(plot)

    from charrnn.checkpoint.store import load_model

    found, checkpoint = load_model(model)
    note(f"{found.path} ({found.why})", quiet=quiet)
    writer = TextWriter("utf-8", escape=False)  # all characters are named or shown by harmless cells
    if embedding:
        _write_alphabet(writer, checkpoint, plot, as_json=as_json)
        writer.close()
        if plot is not None:
            note(f"the picture is {plot}", quiet=quiet)
        return

    from charrnn.cli.render.display import working
    from charrnn.evaluation.activations import find_units, property_of, read_inside, trace
    from charrnn.evaluation.evaluate import open_reading

    reading = open_reading(checkpoint, tuple(text or ()), encoding=encoding, device="cpu", may_lack_label=True)
    vocabulary = reading.vocabulary
    with working("reading", quiet):
        translation = vocabulary.translation(reading.model_vocabulary)
        layers, documents = read_inside(checkpoint, reading.tokens, translation, characters)
    if sum(map(len, documents)) == characters:
        note(f"the first {characters:,} characters of {reading.text}; --characters reads more", quiet=quiet)
    if find is None:
        values = trace(layers, layer, gate or "h", neuron)
        for line in _lines(values, documents, vocabulary) if as_json else _picture(values, documents, vocabulary):
            writer.write(line)
    else:
        chosen = range(1, len(layers) + 1) if layer is None else [layer]
        names = [name for name in ("h", "c") if name in layers[0]] if gate is None else [gate]
        traces = {number: {name: trace(layers, number, name) for name in names} for number in chosen}
        units = find_units(traces, property_of(find, documents, vocabulary), _LISTED)
        if as_json:
            writer.write(json_line({"property": find, "units": [unit._asdict() for unit in units]}))
        else:
            for layer, neuron, gate, correlation in units:
                writer.write(f"layer {layer}  unit {neuron:<4} {gate}  correlation with {find} {correlation:+.4f}\n")
            writer.write("\n")
            best = traces[units[0].layer][units[0].gate][:, units[0].unit - 1]
            for line in _picture(best, documents, vocabulary, _PICTURED):
                writer.write(line)
    writer.close()


def activation_scale(largest: float) -> Scale:
    """Nine levels from -`largest` to `largest`, the middle one around 0 without a colour: blue below it, red above."""
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
    """The text, or `most` of it, shaded by a unit's value after each character; beyond -1 and 1 the scale reaches as
    far as they do."""
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
    """Each character's offset, itself and the value after it; None where a document ends and another one begins."""
    of_all, offset = iter(values.tolist()), 0
    for number, ids in enumerate(documents):
        if number:
            yield offset, None, None
            offset += 1
        for token in ids.tolist():
            yield offset, vocabulary.characters[token], next(of_all)
            offset += 1


def _write_alphabet(writer: TextWriter, checkpoint: "Checkpoint", plot: str | None, *, as_json: bool) -> None:
    """Each character's neighbours, whether kinds of characters find each other, and a map."""
    from charrnn.evaluation.alphabet import kinds, learned_alphabet

    alphabet, unit = learned_alphabet(checkpoint), checkpoint.vocabulary.unit
    names = [name_of(character, unit) for character in alphabet.characters]
    if as_json:
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
    if not as_json:
        width = min(shutil.get_terminal_size().columns, 100)
        for line in scatter(points, width, max(20, len(points) // 4)):
            writer.write(line)
    if plot is not None:
        write_map(plot, "Characters by their first two principal components", points)
