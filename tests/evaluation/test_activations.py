"""What is seen inside: the values that the model itself computes, and the unit that was put there to be found."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CheckpointError, DataError, UsageError
from charrnn.evaluation.activations import UnitMatch, find_units, property_of, read_inside, trace
from charrnn.evaluation.evaluate import open_reading
from charrnn.model import model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.doubles import quote_detector

TEXT = "ab“cab”c\nab(c)b“a”\n"


@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize(("encoder", "residual"), [("embedding", True), ("one-hot", False)])
def test_the_values_are_those_of_the_model(folder: Path, cell: str, encoder: str, residual: bool) -> None:
    size = 5 if encoder == "embedding" else None
    config = ModelConfig(cell, 3, 6, encoder, size, 0.0, residual=residual, zoneout=0.1)  # type: ignore[arg-type]
    vocabulary = Vocabulary.of(TEXT, "character")
    checkpoint = random_checkpoint(config, vocabulary)
    ids = np.array([vocabulary.start, *vocabulary.encode(TEXT)])
    (folder / "t.txt").write_text(TEXT)
    tokens = open_reading(checkpoint, ("t.txt",), device="cpu").tokens
    layers, read = read_inside(checkpoint, tokens, np.arange(vocabulary.size), 1000)
    assert [vocabulary.decode(ids) for ids in read] == [TEXT]
    model = model_from_arrays(config, vocabulary, checkpoint.model)
    with torch.no_grad():
        x = model.encoder(torch.from_numpy(ids)[None])
        for index, (core, state) in enumerate(zip(model.stack.layers, model.initial_state(1), strict=True)):
            outputs, _ = core(x, state)
            assert layers[index]["h"] == pytest.approx(outputs[0, 1:].numpy(), abs=1e-5)
            x = x + outputs if residual and index else outputs


def test_gates_make_up_the_state(folder: Path) -> None:
    (folder / "t.txt").write_text(TEXT)
    for cell in ("lstm", "gru"):
        config = ModelConfig(cell, 2, 6, "embedding", 5, 0.0)
        checkpoint = random_checkpoint(config, Vocabulary.of(TEXT, "character"))
        tokens = open_reading(checkpoint, ("t.txt",), device="cpu").tokens
        for traces in read_inside(checkpoint, tokens, np.arange(checkpoint.vocabulary.size), 1000)[0]:
            own = {name: values[1:].astype(np.float64) for name, values in traces.items()}
            before = {name: values[:-1].astype(np.float64) for name, values in traces.items()}
            if cell == "lstm":
                assert list(own) == ["h", "c", "i", "f", "g", "o"]
                assert own["h"] == pytest.approx(own["o"] * own["c"], abs=1e-6)
                c = own["f"] * np.arctanh(before["c"]) + own["i"] * own["g"]
                assert own["c"] == pytest.approx(np.tanh(c), abs=1e-5)
            else:
                assert list(own) == ["h", "r", "z", "n"]
                assert own["h"] == pytest.approx((1 - own["z"]) * own["n"] + own["z"] * before["h"], abs=1e-6)
                assert own["r"].min() > 0


def test_documents_begin_anew_and_reading_ends_where_it_is_to(folder: Path) -> None:
    config, vocabulary = ModelConfig("gru", 1, 6, "embedding", 5, 0.0), Vocabulary.of("abc", "character")
    checkpoint = random_checkpoint(config, vocabulary)
    lines = Checkpoint(RunConfig(text=TextConfig(documents="line"), model=config), vocabulary, checkpoint.model)
    (folder / "t.txt").write_text("abc\nab\nabcabc\n")
    tokens = open_reading(lines, ("t.txt",), device="cpu").tokens
    (layer,), ids = read_inside(lines, tokens, np.arange(vocabulary.size), 8)
    assert [vocabulary.decode(each) for each in ids] == ["abc", "ab", "abc"]
    assert np.array_equal(layer["h"][:2], layer["h"][3:5])
    assert np.array_equal(layer["h"][:3], layer["h"][5:])


def test_the_unit_that_is_1_within_quotes_is_found(folder: Path) -> None:
    checkpoint = quote_detector("ab c")
    (folder / "t.txt").write_text("a“b c”ba“c” a")
    reading = open_reading(checkpoint, ("t.txt",), device="cpu")
    translation = reading.vocabulary.translation(checkpoint.vocabulary)
    layers, ids = read_inside(checkpoint, reading.tokens, translation, 100)
    wanted = property_of("quotes", ids, reading.vocabulary)
    assert wanted.tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0]
    assert trace(layers, 1, "h", 3).tolist() == (2 * wanted - 1).tolist()
    assert find_units({1: layers[0]}, wanted, 2)[0] == UnitMatch(1, 3, "h", pytest.approx(1))


@pytest.mark.parametrize(
    ("wanted", "text", "expected"),
    [
        ("quotes", 'a"b"c', [0, 1, 1, 0, 0]),
        ("quotes", 'a"b\n\nc"', [0, 1, 1, 1, 0, 0, 1]),
        ("quotes", "«a»„b“", [1, 1, 0, 1, 1, 1]),
        ("brackets", "a(b[c]d)e)(f", [0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1]),
        ("line-length", "ab\n\nabc", [1, 2, 0, 0, 1, 2, 3]),
    ],
)
def test_properties(wanted: str, text: str, expected: list[int]) -> None:
    vocabulary = Vocabulary.of(text, "character")
    assert property_of(wanted, [vocabulary.encode(text)], vocabulary).tolist() == expected  # type: ignore[arg-type]


def test_properties_begin_anew_with_each_document() -> None:
    vocabulary = Vocabulary.of('a"(', "character")
    documents = [vocabulary.encode(text) for text in ('a"(', 'a"')]
    assert property_of("quotes", documents, vocabulary).tolist() == [0, 1, 1, 0, 1]
    assert property_of("brackets", documents, vocabulary).tolist() == [0, 0, 1, 0, 0]
    assert property_of("line-length", documents, vocabulary).tolist() == [1, 2, 3, 1, 2]


def test_values_that_overflow_are_told(folder: Path) -> None:
    (folder / "t.txt").write_text("ab" * 20)
    config = ModelConfig("rnn-relu", 1, 4, "one-hot", None, 0.0)
    checkpoint = random_checkpoint(config, Vocabulary.of("ab", "character"))
    checkpoint.model["stack.layers.0.U"][:] = 1e30
    tokens = open_reading(checkpoint, ("t.txt",), device="cpu").tokens
    with pytest.raises(CheckpointError, match="overflow"):
        read_inside(checkpoint, tokens, np.arange(5), 100)


def test_a_text_without_the_property_is_refused() -> None:
    vocabulary = Vocabulary.of("abc", "character")
    with pytest.raises(DataError, match="0 everywhere by brackets"):
        property_of("brackets", [vocabulary.encode("abc")], vocabulary)


@given(st.integers(0, 2**32 - 1))
def test_correlations_are_pearsons(seed: int) -> None:
    random = np.random.default_rng(seed)
    layers = [random.normal(size=(20, 3)).astype(np.float32) for _ in range(2)]
    layers[1][:, 2] = 0.5  # which has none
    wanted = random.normal(size=20)
    found = find_units({1: {"h": layers[0]}, 2: {"c": layers[1]}}, wanted, 6)
    strengths = [abs(unit.correlation) for unit in found]
    assert strengths == sorted(strengths, reverse=True)
    for unit in found:
        assert unit.gate == {1: "h", 2: "c"}[unit.layer]
        values = layers[unit.layer - 1][:, unit.unit - 1]
        expected = 0.0 if (unit.layer, unit.unit) == (2, 3) else np.corrcoef(values, wanted)[0, 1]
        assert unit.correlation == pytest.approx(expected, abs=1e-6)


def test_what_is_not_there_is_told() -> None:
    layers = [{"h": np.zeros((4, 3), np.float32)}] * 2
    with pytest.raises(UsageError, match="layer must be 1 to 2, got 3"):
        trace(layers, 3, "h")
    with pytest.raises(UsageError, match="gate must be one of h in this model, got f"):
        trace(layers, 1, "f")
    with pytest.raises(UsageError, match="neuron must be 1 to 3, got 0"):
        trace(layers, None, "h", 0)


@pytest.mark.parametrize("pair", ["“”", "«»", "「」", "『』", "„”", "‹›"])
def test_quotes_of_every_script_enclose(pair: str) -> None:
    text = f"a {pair[0]}it’s{pair[1]} b"
    vocabulary = Vocabulary.of(text, "character")
    found = property_of("quotes", [vocabulary.encode(text)], vocabulary)
    assert found.tolist() == [0.0] * 2 + [1.0] * 5 + [0.0] * 3
    if pair != "„”":
        with pytest.raises(DataError, match="0 everywhere by brackets"):
            property_of("brackets", [vocabulary.encode(text)], vocabulary)


@pytest.mark.parametrize("pair", ["()", "（）", "【】", "〈〉", "［］", "⟨⟩"])
def test_brackets_of_every_script_enclose(pair: str) -> None:
    text = f"a {pair[0]}it{pair[1]} b"
    vocabulary = Vocabulary.of(text, "character")
    found = property_of("brackets", [vocabulary.encode(text)], vocabulary)
    assert found.tolist() == [0.0] * 2 + [1.0] * 3 + [0.0] * 3
