"""Samples without a prime: of a running text they begin as after a paragraph's end, which is not written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.sampling.batched import PrimePiece
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.session import Prime, Session
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import EngineConfig, PrimeConfig, SamplingConfig
from charrnn.settings.training import Record
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.setup import prepare
from tests.conftest import random_checkpoint, tiny_run

VOCABULARY = Vocabulary.of("the cat\n.", "character")
LEAD_IN = "the cat.\n\n"
SAMPLING = SamplingConfig(length=40, seed=3)


def model(lead_in: str | None = LEAD_IN, vocabulary: Vocabulary = VOCABULARY, **text: Any) -> Checkpoint:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 8, "embedding", 4, 0.0), vocabulary)
    config = checkpoint.config.override(text)
    return replace(checkpoint, config=replace(config, record=Record(lead_in=lead_in)))


def written(
    checkpoint: Checkpoint, prime: Prime = "", config: SamplingConfig = SAMPLING, engine: str = "numpy", **reading: Any
) -> list[str]:
    """The texts of the samples without their primes."""
    session = Session(checkpoint, config, prime, PrimeConfig(**reading), EngineConfig(engine=engine))  # type: ignore[arg-type]
    texts: dict[int, str] = {}
    for piece in session.pieces():
        shown = "" if isinstance(piece, PrimePiece) else piece.text
        texts[piece.sample] = texts.get(piece.sample, "") + shown
    return list(texts.values())


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize(
    "config", [SAMPLING, replace(SAMPLING, num_samples=3), replace(SAMPLING, beam=2)], ids=["one", "three", "beam"]
)
def test_a_sample_without_a_prime_is_one_after_the_lead_in(config: SamplingConfig, engine: str) -> None:
    assert written(model(), "", config, engine) == written(model(), LEAD_IN, config, engine)


def test_without_a_lead_in_a_sample_begins_at_the_start_token() -> None:
    many = replace(SAMPLING, num_samples=50)
    assert written(model(""), "", many) != written(model(), "", many)
    nothing = np.empty(0, np.int64)
    engine = NumpyEngine(model().config.model, model().model)
    assert written(model("")) == ["".join(generate(engine, VOCABULARY, replace(SAMPLING, until_end=False), nothing))]


def test_an_empty_pipe_and_an_empty_line_are_no_prime() -> None:
    assert written(model(), iter([])) == written(model())
    lines = [("line 1", ""), ("line 2", "the")]
    assert written(model(), lines) == [written(model())[0], written(model(), [("", "a"), ("", "the")])[1]]


def test_what_was_read_to_get_there_is_no_recent_text() -> None:
    config = replace(SAMPLING, repetition_penalty=100.0, length=1, temperature=0)
    allowed = replace(config, allow="the cat")  # all of which stand in the lead-in
    assert written(model(), "", allowed) == written(model(), LEAD_IN, replace(allowed, repetition_penalty=1.0))


def test_with_a_prime_the_lead_in_is_not_read() -> None:
    assert written(model(), "the") == written(model(None), "the") == written(model(""), "the")


def test_a_saved_state_is_gone_on_from_as_it_is(folder: Path) -> None:
    first = written(model(), save_state="state")
    assert written(model(), load_state="state") == first


def test_documents_begin_at_their_start_token() -> None:
    assert written(model(None, documents="blank")) == written(model("", documents="blank"))


def test_an_older_model_of_a_running_text_begins_a_line() -> None:
    assert written(model(None)) == written(model(), "\n")
    letters = Vocabulary.of("the cat", "character")
    assert written(model(None, letters)) == written(model("", letters))
    in_bytes = Vocabulary.of("", "byte")  # which has a newline even if the text had none
    assert written(model(None, in_bytes, unit="byte")) == written(model("", in_bytes, unit="byte"))


def test_training_records_it(folder: Path) -> None:
    (folder / "text.txt").write_text("It was so.\n\n" * 50)
    recorded = prepare(tiny_run(folder / "text.txt")).config.record.lead_in
    assert recorded
    assert recorded.endswith("It was so.\n\n")
    assert prepare(tiny_run(folder / "text.txt", documents="blank")).config.record.lead_in is None


def test_the_demo_begins_with_words_of_its_text() -> None:
    root = Path(__file__).parents[2]
    words = set((root / "corpora" / "tales.txt").read_text().split())
    demo = from_file(next((root / "checkpoints" / "demo").glob("*.safetensors")))
    many = replace(SAMPLING, num_samples=65)

    def share(checkpoint: Checkpoint) -> float:
        first = [text.split()[0] for text in written(checkpoint, "", many)]
        return sum(word in words for word in first) / len(first)

    assert share(demo) > 0.8
    bare = replace(demo.config, record=replace(demo.config.record, lead_in=""))
    assert share(replace(demo, config=bare)) < 0.5
