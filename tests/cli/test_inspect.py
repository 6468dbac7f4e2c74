"""`charrnn inspect`: what it finds in models in which something was put to be found."""

import json
from functools import partial
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.cli.commands.inspect import activation_scale
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import InProcess, random_checkpoint
from tests.doubles import quote_detector

TEXT = "a“b c”b\na“c” a"


@pytest.fixture
def run(folder: Path, in_process: InProcess) -> InProcess:
    """The command in this process, beside a model that knows quotes, a random one and a text."""
    (folder / "quotes").write_bytes(to_bytes(quote_detector("ab c\n")))
    lstm = ModelConfig("lstm", 2, 4, "embedding", 3, 0.0)
    (folder / "lstm").write_bytes(to_bytes(random_checkpoint(lstm, Vocabulary.of("ab c\n“”\x1b", "character"))))
    (folder / "t.txt").write_text(TEXT)

    return partial(in_process, "inspect")


def test_a_unit_is_shaded_along_the_text(run: InProcess) -> None:
    output, _ = run("t.txt", "--model", "quotes", "--neuron", "3")
    legend, _, *rows = output.splitlines()
    assert legend.startswith("value: D below -0.78, C -0.78 to -0.56, ")
    assert rows == ["a“b c”b↵", "D4444DDD", "a“c” a", "D44DDD"]
    still = run("t.txt", "--model", "quotes", "--neuron", "1")[0].splitlines()[3::2]
    assert still == ["........", "......"]


def test_the_unit_of_a_property_is_found_and_shown(run: InProcess) -> None:
    output, _ = run("t.txt", "--model", "quotes", "--find", "quotes")
    assert output.splitlines()[0] == "layer 1  unit 3    h  correlation with quotes +1.0000"
    assert output.endswith("a“b c”b↵\nD4444DDD\na“c” a\nD44DDD\n")
    found = json.loads(run("t.txt", "--model", "quotes", "--find", "quotes", "--json")[0])
    assert (found["property"], len(found["units"])) == ("quotes", 5)
    assert found["units"][0] == {"layer": 1, "unit": 3, "gate": "h", "correlation": pytest.approx(1)}


def test_json_has_a_value_for_each_character(run: InProcess) -> None:
    rows = [json.loads(line) for line in run("t.txt", "--model", "quotes", "--neuron", "3", "--json")[0].splitlines()]
    assert "".join(row["character"] for row in rows) == TEXT
    assert [row["offset"] for row in rows] == list(range(len(TEXT)))
    assert [row["value"] for row in rows] == [-1, 1, 1, 1, 1, -1, -1, -1, -1, 1, 1, -1, -1, -1]


def test_documents_are_shown_each_by_itself(run: InProcess, folder: Path) -> None:
    model = quote_detector("ab c\n")
    lines = RunConfig(text=TextConfig(documents="line"), model=model.config.model)
    (folder / "lines").write_bytes(to_bytes(Checkpoint(lines, model.vocabulary, model.model)))
    (folder / "t.txt").write_text("a“b\nc\n")
    assert run("t.txt", "--model", "lines", "--neuron", "3")[0].splitlines()[2:] == ["a“b∎", "D44?", "c", "D"]
    rows = [json.loads(line) for line in run("t.txt", "--model", "lines", "--neuron", "3", "--json")[0].splitlines()]
    assert [(row["offset"], row["end"], row["value"]) for row in rows[2:]] == [
        (2, False, 1),
        (3, True, None),
        (4, False, -1),
    ]


def test_layers_and_gates_can_be_chosen_and_are_listed_where_they_are_not_there(run: InProcess) -> None:
    def values(*arguments: str) -> str:
        return run("t.txt", "--model", "lstm", "--neuron", "2", "--json", *arguments)[0]

    assert values() == values("--layer", "2", "--gate", "h") != values("--layer", "1")
    assert all(0 < json.loads(line)["value"] < 1 for line in values("--gate", "f").splitlines())
    found = json.loads(run("t.txt", "--model", "lstm", "--find", "line-length", "--layer", "1", "--json")[0])
    assert {(unit["layer"], unit["gate"]) for unit in found["units"]} == {(1, "h"), (1, "c")}
    assert "one of h, c, i, f, g, o" in run("t.txt", "--model", "lstm", "--neuron", "1", "--gate", "z", code=2)[1]
    assert "must be 1 to 2" in run("t.txt", "--model", "lstm", "--neuron", "1", "--layer", "3", code=2)[1]
    assert "must be 1 to 4" in run("t.txt", "--model", "lstm", "--neuron", "5", code=2)[1]


def test_only_so_many_characters_are_read(run: InProcess) -> None:
    output, told = run("t.txt", "--model", "quotes", "--neuron", "3", "--characters", "3")
    assert output.splitlines()[2:] == ["a“b", "D44"]
    assert "the first 3 characters of t.txt" in told


def test_the_alphabet_is_listed_and_mapped(run: InProcess, folder: Path) -> None:
    output, _ = run("--model", "lstm", "--embedding")
    names = [line.split("\t")[0] for line in output.splitlines()[:8]]
    assert names == ["newline", "\\x1b", "space", "a", "b", "c", "“", "”"]
    assert "\x1b" not in output
    plane = output.partition("by chance:\n")[2].partition("\n\n")[2]
    assert sorted(plane.split()) == sorted(names)
    rows = [json.loads(line) for line in run("--model", "lstm", "--embedding", "--json")[0].splitlines()]
    assert [row["character"] for row in rows] == list("\n\x1b abc“”")
    assert all(len(row["neighbours"]) == 5 for row in rows)
    pytest.importorskip("matplotlib", reason="the plot extra")
    run("--model", "lstm", "--embedding", "--plot", "map.svg")
    assert (folder / "map.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "by one of --neuron, --find, --embedding"),
        (["--neuron", "1", "--embedding"], "by one of --neuron, --find, --embedding"),
        (["t.txt", "--embedding"], "leave the text out"),
        (["t.txt", "--neuron", "1", "--plot", "a.png"], "--plot goes with --embedding"),
        (["t.txt", "--neuron", "1", "--characters", "0"], "--characters must be at least 1"),
    ],
)
def test_mistakes_are_told(run: InProcess, arguments: list[str], told: str) -> None:
    assert told in run(*arguments, code=2)[1]


def test_a_text_without_the_property_is_refused(run: InProcess, folder: Path) -> None:
    (folder / "t.txt").write_text("abc")
    assert "0 everywhere by brackets" in run("t.txt", "--model", "quotes", "--find", "brackets", code=3)[1]


@pytest.mark.parametrize("largest", [1.0, 7.3])
def test_the_scale_is_even_around_0(largest: float) -> None:
    scale = activation_scale(largest)
    levels = [scale.level(largest * k / 100) for k in range(-100, 101)]
    assert levels == sorted(levels)
    assert levels == [8 - level for level in levels[::-1]]
    assert (levels[0], levels[100], levels[-1]) == (0, 4, 8)
    assert len(scale.labels) == len(scale.symbols) == len(scale.colours) == 9
    assert scale.colours[4] is None
