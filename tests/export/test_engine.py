"""The engine of a page computes what the equations say, and reads and draws as the commands do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.api import load
from charrnn.checkpoint.format import Arrays, Checkpoint, from_file
from charrnn.layout import EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, layer_prefix
from charrnn.recurrent.equations import Noise
from charrnn.recurrent.registry import CORES, core_equations
from charrnn.sampling.distribution import candidates
from charrnn.sampling.filters import draw, probabilities
from charrnn.sampling.prime import as_model_text
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.export.engine import Engine, needs_node, running_engine

pytestmark = needs_node

DEMO = Path(__file__).parents[2] / "checkpoints" / "demo"
VOCABULARY = Vocabulary("abcdefgh")
STEPS = 200


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


def expected_logits(config: ModelConfig, model: Arrays, ids: list[int]) -> NDArray[np.float64]:
    """Logits (T, V) after each id, straight from the equations, in double precision."""
    arrays = {name: array.astype(np.float64) for name, array in model.items()}
    cell, noise = core_equations(config.cell), Noise(k_h=config.zoneout, k_c=config.zoneout)
    x = np.array(ids) if config.encoder == "one-hot" else arrays[EMBEDDING][ids]
    for index in range(config.layers or 0):
        prefix = layer_prefix(index)
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        zeros = [np.zeros((1, config.hidden_size or 0)) for _ in cell.state._fields]  # type: ignore[attr-defined]
        state, outputs = cell.state(*zeros), []
        for projected in cell.project(x, own)[:, None]:
            output, state = cell.step(np, projected, state, own, noise)
            outputs.append(output[0])
        x = x + np.stack(outputs) if index and config.residual else np.stack(outputs)
    found: NDArray[np.float64] = x @ arrays[HEAD_WEIGHT].T + arrays[HEAD_BIAS]
    return found


NETWORKS = [
    {"layers": 1},
    {"layers": 2},
    {"layers": 2, "residual": True},
    {"layers": 2, "zoneout": 0.2},
]


@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize("encoder", ["one-hot", "embedding"])
def test_logits_are_those_of_the_equations(engine: Engine, cell: str, encoder: str) -> None:
    ids = np.random.default_rng(1).integers(VOCABULARY.size, size=STEPS).tolist()
    for network in NETWORKS:
        size = 5 if encoder == "embedding" else None
        config = ModelConfig(cell, hidden_size=10, encoder=encoder, embedding_size=size, dropout=0.0, **network)  # type: ignore[arg-type]
        checkpoint = random_checkpoint(config, VOCABULARY)
        engine.open_model(checkpoint, precision="fp32")
        found = engine.value(
            f"{json.dumps(ids)}.reduce(({{ all, state }}, id) => {{ const next = network.step(id, state); "
            "return { all: [...all, next.logits], state: next.state }; }, "
            "{ all: [], state: network.initialState() }).all"
        )
        expected = expected_logits(config, checkpoint.model, ids)
        assert np.ptp(expected) > 0.5
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4, err_msg=str(network))


def written(engine: Engine, prime: str, length: int) -> str:
    """The text that greedy drawing adds to a prime."""
    return str(
        engine.value(
            "(() => { let now = { state: network.initialState() }, text = ''; "
            f"const own = vocabulary.encode(vocabulary.treated({json.dumps(prime)})); "
            "for (const id of vocabulary.begun(vocabulary.start, own)) "
            "now = network.step(id, now.state); "
            f"for (let k = 0; k < {length}; k++) {{ "
            "const id = drawn(now.logits, vocabulary, { temperature: 0, topP: 1 }, 0); "
            "text += vocabulary.characters[id]; now = network.step(id, now.state); } return text; })()"
        )
    )


@pytest.mark.parametrize("prime", ["", "The river ", '"Who is there?" said '])
def test_greedy_text_is_that_of_the_command(engine: Engine, prime: str) -> None:
    model = load(DEMO, device="cpu")
    engine.open_model(model.checkpoint, precision="fp32")
    assert written(engine, prime, 500) == model.sample(prime, temperature=0, length=500, echo=False)


def test_half_precision_keeps_every_weight_to_its_eleven_bits(engine: Engine) -> None:
    checkpoint = from_file(DEMO / "step-00001683.safetensors")
    odd = checkpoint.model[HEAD_BIAS]
    odd[:8] = [0, -0.0, 65504, -65504, 2**-24, -(2**-14), 6e-8, 1 / 3]  # zeros, the largest, and those below 2^-14
    engine.open_model(checkpoint)
    for name, array in checkpoint.model.items():
        found = np.array(engine.value(f"network.arrays[{json.dumps(name)}]"), np.float32)
        expected = array.astype(np.float16).astype(np.float32).ravel()
        assert found.tobytes() == (expected + 0.0).tobytes() or np.array_equal(found, expected), name


@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.3])
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0])
def test_draws_are_those_of_the_filters(engine: Engine, temperature: float, top_p: float) -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), VOCABULARY)
    engine.open_model(checkpoint, precision="fp32")
    logits = np.random.default_rng(2).normal(0, 2, VOCABULARY.size)
    allowed = logits.copy()
    allowed[VOCABULARY.start :] = -np.inf  # in a model without documents the end never comes, either
    uniforms = [(k + 0.5) / 97 for k in range(97)]
    settings = json.dumps({"temperature": temperature, "topP": top_p})
    found = engine.value(
        f"{json.dumps(uniforms)}.map((u) => drawn(Float64Array.from({json.dumps(logits.tolist())}), vocabulary, "
        f"{settings}, u))"
    )
    shares = probabilities(allowed, SamplingConfig(temperature=temperature, top_p=top_p))
    assert found == [int(draw(shares, uniform)) for uniform in uniforms]


def test_the_likeliest_are_those_of_next(engine: Engine) -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), VOCABULARY)
    engine.open_model(checkpoint, precision="fp32")
    logits = np.array([1, 3, 3, -2, 0, 1, 9, 2, 8, 5, 7], np.float32)
    found = engine.value(f"likeliest(softmax(Float32Array.from({logits.tolist()})), vocabulary, 5)")
    expected = candidates(logits, VOCABULARY, 5)
    names = ["end" if each["id"] == VOCABULARY.end else VOCABULARY.characters[each["id"]] for each in found]
    assert names == [each.character or "end" for each in expected]
    np.testing.assert_allclose([each["probability"] for each in found], [each.probability for each in expected])


def test_random_numbers_are_even_and_belong_to_their_seed(engine: Engine) -> None:
    def numbers(seed: int, count: int) -> list[float]:
        own = f"new Random({seed})"
        found = engine.value(f"((r) => Array.from({{ length: {count} }}, () => r.uniform()))({own})")
        assert all(0 <= each < 1 for each in found)
        return list(found)

    assert numbers(7, 50) == numbers(7, 50)
    assert len({tuple(numbers(seed, 3)) for seed in (0, 1, 2, 2**32, 2**32 + 1, 2**53 - 1)}) == 6
    many = np.array(numbers(1, 20_000))
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(many[:-1], many[1:])[0, 1]) < 0.03
    counts = np.histogram(many, 20, (0, 1))[0]
    assert counts.min() > 850
    assert counts.max() < 1150


TREATMENTS = [
    TextConfig(),
    TextConfig(newlines="lf"),
    TextConfig(normalize="nfc"),
    TextConfig(normalize="nfd"),
    TextConfig(normalize="nfkc"),
    TextConfig(unit="byte"),
]
CHARACTERS = st.sampled_from("ab\né한글e\u0301\u1112\u1161\u11ab😀👩\u200dﬁⅣ\ufeffא") | st.characters(codec="utf-8")


@given(text=st.text(CHARACTERS), known=st.text(CHARACTERS, min_size=1), treatment=st.sampled_from(TREATMENTS))
def test_a_text_is_read_as_by_the_commands(engine: Engine, text: str, known: str, treatment: TextConfig) -> None:
    text = text.replace("\r", "\n")  # which a browser makes of it
    vocabulary = Vocabulary.of(known.replace("\r", ""), treatment.unit)
    about = {"characters": vocabulary.characters, "unit": vocabulary.unit, "labels": []}
    rules = {"normalize": treatment.normalize, "newlines": treatment.newlines, "documents": "none"}
    engine.value(f"globalThis.own = new Vocabulary({json.dumps(about)}, {json.dumps(rules)}), 0")
    found = engine.value(f"own.encode(own.treated({json.dumps(text)}))")
    assert found == vocabulary.encode(as_model_text(text, treatment, vocabulary, "the text")).tolist()


@pytest.mark.parametrize(("known", "end"), [("a\n", "\n"), ("a\r\n", "\r\n"), ("a\r", "\r")])
def test_a_line_ends_as_the_model_learned_it(engine: Engine, known: str, end: str) -> None:
    about = {"characters": "".join(sorted(known)), "unit": "character", "labels": []}
    rules = {"normalize": None, "newlines": "keep", "documents": "none"}
    engine.value(f"globalThis.own = new Vocabulary({json.dumps(about)}, {json.dumps(rules)}), 0")
    assert engine.value('own.treated("a\\na\\r\\na")') == f"a{end}a{end}a"


@given(st.text(st.sampled_from("ab \t\n"), max_size=20), st.sampled_from(["none", "line", "blank", "file"]))
def test_documents_are_those_of_a_corpus(engine: Engine, text: str, kind: str) -> None:
    model = replace(TextConfig(), documents=kind)  # type: ignore[arg-type]
    about = {"characters": "\t\n ab", "unit": "character", "labels": []}
    rules = {"normalize": None, "newlines": "keep", "documents": kind}
    engine.value(f"globalThis.own = new Vocabulary({json.dumps(about)}, {json.dumps(rules)}), 0")
    found = engine.value(f"own.documentsOf({json.dumps(text)})")
    if not found:
        return  # which is an error for a corpus
    tokens = (corpus := read_corpus(model, text=text)).tokens
    pairs = zip(tokens.offsets, tokens.offsets[1:], strict=False)
    assert found == [corpus.vocabulary.decode(tokens.ids[a + 1 : b - 1]) for a, b in pairs]


def test_special_tokens_have_the_ids_that_they_have(engine: Engine) -> None:
    vocabulary = Vocabulary.of("ab", "character", {"hill": 2, "sea": 1})
    model = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)
    random = random_checkpoint(model, vocabulary)
    engine.open_model(Checkpoint(RunConfig(text=TextConfig(documents="line"), model=model), vocabulary, random.model))
    own = "[vocabulary.startOf('hill'), vocabulary.startOf('sea'), vocabulary.end, vocabulary.unknown, vocabulary.size]"
    starts = [vocabulary.start_of("hill"), vocabulary.start_of("sea")]
    assert engine.value(own) == [*starts, vocabulary.end, vocabulary.unknown, vocabulary.size]
    drawable = engine.value("Array.from({ length: vocabulary.size }, (_, id) => vocabulary.canBeDrawn(id))")
    assert drawable == [True, True, False, False, True, False]
