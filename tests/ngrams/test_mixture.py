"""A network mixed with n-grams, from the training to every command: one model, whoever asks it."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import Checkpoint, from_file, model_sha256, to_bytes
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import CheckpointError, UsageError
from charrnn.evaluation.dynamic import dynamic_score
from charrnn.evaluation.evaluate import evaluate, open_reading
from charrnn.evaluation.memory import memory
from charrnn.events import Event, Finished, Notice, Validated
from charrnn.ngrams.table import unfitted
from charrnn.sampling.batched import write_batched
from charrnn.sampling.beam import log_probabilities
from charrnn.sampling.engines import open_engine
from charrnn.sampling.prefill import after_prime, read_prime, started
from charrnn.sampling.prompt_cache import load_state, save_state
from charrnn.sampling.with_ngrams import EngineWithNgrams, numpy_engine
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.training.loop import resume, train
from charrnn.training.ngrams import choose_ngrams
from charrnn.training.setup import prepare
from tests.conftest import Command, everything, tiny_run

NONE = {"documents": "none"}
LINES = {"documents": "line", "batch_size": 4, "sequence_length": 9}
both_kinds_of_text = pytest.mark.parametrize("text", [NONE, LINES], ids=["tapes", "documents"])


def trained(config: RunConfig, name: str = "run") -> tuple[Checkpoint, list[Event]]:
    events = list(train(config, name))
    assert isinstance(events[-1], Finished)
    path = Run(events[-1].run).pointed("latest")
    assert path is not None
    return from_file(path, training=True), events


def nats_by_steps(checkpoint: Checkpoint, documents: list[str]) -> float:
    """The cost of documents by single steps of the numpy engine."""
    engine, vocabulary, nats = numpy_engine(checkpoint), checkpoint.vocabulary, 0.0
    for document in documents:
        state = engine.initial_state(1)
        ids = [vocabulary.start, *vocabulary.encode(document).tolist(), vocabulary.end]
        for token, target in itertools.pairwise(ids):
            logits, state = engine.step(np.array([token]), state)
            nats -= float(log_probabilities(logits.astype(np.float64))[0, target])
    return nats


@both_kinds_of_text
def test_the_network_is_mixed_in_the_training_in_scores_and_in_single_steps(
    small_text: Path, text: dict[str, object]
) -> None:
    checkpoint, events = trained(tiny_run(small_text, ngrams=4, **text))
    assert checkpoint.ngrams
    assert checkpoint.ngrams.longest == checkpoint.config.model.ngrams == 4
    assert np.abs(checkpoint.ngrams.weights - unfitted(4)["weights"]).max() > 0.01
    held_out = evaluate(checkpoint).score
    (*_, last) = (event.loss for event in events if isinstance(event, Validated))
    assert held_out.nats_per_character == pytest.approx(last, abs=1e-3)

    documents = small_text.read_text().splitlines()[:4] if text is LINES else [small_text.read_text()[:200]]
    (small_text.parent / "some").write_text("\n".join(documents))
    found = evaluate(checkpoint, ("some",)).score
    assert found.nats == pytest.approx(nats_by_steps(checkpoint, documents), rel=1e-5)
    alone = evaluate(replace(checkpoint, ngrams=None), ("some",)).score
    assert found.nats < alone.nats  # a network of twelve steps knows less than the n-grams of its text


def test_windows_know_nothing_from_before(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    text = small_text.read_text()
    (small_text.parent / "some").write_text(text[:60])
    found = evaluate(checkpoint, ("some",), protocol="windowed", window=10).score
    engine, vocabulary, nats = numpy_engine(checkpoint), checkpoint.vocabulary, 0.0
    ids = [vocabulary.start, *vocabulary.encode(text[:60]).tolist(), vocabulary.end]
    for place, (token, target) in enumerate(itertools.pairwise(ids)):
        state = engine.initial_state(1) if place % 10 == 0 else state  # noqa: F821
        logits, state = engine.step(np.array([token]), state)
        nats -= float(log_probabilities(logits.astype(np.float64))[0, target])
    assert found.nats == pytest.approx(nats, rel=1e-5)


@both_kinds_of_text
def test_learning_from_the_text_at_rate_0_costs_what_eval_says(small_text: Path, text: dict[str, object]) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **text))
    reading = open_reading(checkpoint, (str(small_text),), device="cpu")
    assert dynamic_score(reading, rate=0.0).nats == pytest.approx(reading.score().nats, rel=1e-6)
    assert dynamic_score(reading, rate=1e-3).nats != reading.score().nats


def test_memory_is_that_of_the_network_alone(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    with_ngrams, alone = (
        memory(open_reading(each, (str(small_text),), device="cpu"), 20)
        for each in (checkpoint, replace(checkpoint, ngrams=None))
    )
    assert with_ngrams == alone


@both_kinds_of_text
def test_a_stop_at_any_step_changes_nothing(small_text: Path, text: dict[str, object]) -> None:
    config = tiny_run(small_text, ngrams=3, **text)
    whole, _ = trained(config, "whole")
    for step in (1, 4, 6, 11):
        asked = iter(range(1, 100))
        *_, ended = train(config, f"stopped-{step}", lambda asked=asked, step=step: next(asked) >= step)
        assert isinstance(ended, Finished)
        list(resume(find_resumable(str(ended.run)), {}))
        assert everything(ended.run)[:4] == everything(Path("checkpoints/whole"))[:4]
        latest = Run(ended.run).pointed("latest")
        assert latest
        assert model_sha256(from_file(latest)) == model_sha256(whole)


def test_engines_agree_and_rows_do_not_show(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    config = SamplingConfig(seed=1, length=60, until_end=False, num_samples=12)
    texts = []
    for kind in ("numpy", "torch"):
        opened = open_engine(checkpoint, config, kind, "cpu")  # type: ignore[arg-type]
        assert isinstance(opened.engine, EngineWithNgrams)
        prime = checkpoint.vocabulary.encode("the cat sat on the mat\na dog")
        begun = read_prime(opened.engine, started(opened.engine, checkpoint.vocabulary.start), [prime])
        for count in (1, 12):
            begin = after_prime(opened.engine, checkpoint.vocabulary, config, prime, begun)
            found = [""] * count
            for index, text, _ in write_batched(opened.engine, checkpoint.vocabulary, config, begin, count):
                found[index] += text
            texts.append(found)
    assert texts[1] == texts[3]
    assert texts[0] == texts[1][:1] == texts[2]


def test_a_saved_state_is_as_good_as_the_prime(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    engine, vocabulary = numpy_engine(checkpoint), checkpoint.vocabulary
    ids = vocabulary.encode(small_text.read_text()[:150])
    whole = read_prime(engine, started(engine, vocabulary.start), [ids[:90], ids[90:]])
    save_state(Path("state"), read_prime(engine, started(engine, vocabulary.start), [ids[:90]]), engine, checkpoint)
    loaded = load_state(Path("state"), engine, checkpoint).after(engine, ids[90:].astype(np.int64))
    assert loaded.logits.tolist() == whole.logits.tolist()
    with pytest.raises(CheckpointError, match="another model"):
        load_state(Path("state"), engine, replace(checkpoint, ngrams=None))


@both_kinds_of_text
def test_a_file_is_compressed_to_what_eval_says_and_comes_back(
    small_text: Path, charrnn: Command, text: dict[str, object]
) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **text))
    packed = charrnn("compress", str(small_text), "-o", "-", "--model", "checkpoints/run", "-q")
    assert packed.returncode == 0, packed.stderr
    bits = evaluate(checkpoint, (str(small_text),)).score.nats / math.log(2)
    assert len(packed.stdout) * 8 == pytest.approx(bits, rel=0.02, abs=800)  # a header, and newlines between documents
    unpacked = charrnn("decompress", "-", "--model", "checkpoints/run", "-q", stdin=packed.stdout)
    assert (unpacked.returncode, unpacked.stdout) == (0, small_text.read_bytes())


def test_every_command_takes_such_a_model(small_text: Path, charrnn: Command) -> None:
    trained(tiny_run(small_text, ngrams=4, **NONE))
    model = ("--model", "checkpoints/run")
    for words in (
        ["sample", "the ", "-n", "20", "--seed", "1"],
        ["sample", "the ", "-n", "20", "--beam", "3"],
        ["sample", "the ", "-n", "20", "--novel", "8", "--seed", "1"],
        ["next", "the "],
        ["fill", "the c_t sat"],
        ["eval", str(small_text), "--per-character"],
        ["eval", str(small_text), "--html", "page.html"],
        ["memory", str(small_text)],
        ["inspect", "--neuron", "3"],
    ):
        done = charrnn(*words, *model)
        assert done.returncode == 0, (words, done.stderr)
    for words in (["info"], ["report", "-o", "report.html"], ["verify"]):
        done = charrnn(*words, "checkpoints/run")
        assert done.returncode == 0, (words, done.stderr)
    assert b"ngrams 4" in charrnn("info", "checkpoints/run").stdout
    assert charrnn("export", "checkpoints/run", "out").returncode == 0
    assert "have the text in them" in Path("out/README.md").read_text()
    assert json.loads(Path("out/config.json").read_text())["format_version"] == 4
    same = [charrnn("eval", str(small_text), "--model", each, "-q").stdout for each in ("checkpoints/run", "out")]
    assert same[0].partition(b"model")[0] == same[1].partition(b"model")[0]
    assert charrnn("export", "checkpoints/run", "alone", "--network-only").returncode == 0
    assert from_file(Path("alone/model.safetensors")).ngrams is None
    assert b"the cat sat" not in Path("alone/model.safetensors").read_bytes()
    assert "which are left out here" in Path("alone/README.md").read_text()
    assert json.loads(Path("alone/config.json").read_text())["format_version"] == 2
    assert charrnn("page", "-o", "model.html", *model).returncode == 0
    assert "which this page leaves out" in Path("model.html").read_text()


def test_a_model_is_trained_further_with_the_ngrams_of_the_new_text(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    Path("new.txt").write_text("another text, of other words, again and again. " * 12)
    start = RunConfig().override({"corpus": ("new.txt",), "from_model": "checkpoints/run", "steps": 3, "ngrams": 3})
    further, _ = trained(start, "further")
    assert checkpoint.ngrams
    assert further.ngrams
    assert further.ngrams.longest == 3
    plain, _ = trained(start.override({"ngrams": None}), "plain")  # a text so short has none by itself
    assert plain.ngrams is None
    assert plain.config.model.ngrams is None


def test_a_file_without_ngrams_is_of_version_2_and_one_with_them_of_version_3(small_text: Path) -> None:
    checkpoint, _ = trained(tiny_run(small_text, ngrams=4, **NONE))
    alone = replace(checkpoint, ngrams=None, config=checkpoint.config.override({"ngrams": None}))
    assert b'"version":"4"' in to_bytes(checkpoint)[:200_000]
    assert b'"version":"2"' in to_bytes(alone)[:200_000]
    assert b'"ngrams.' not in to_bytes(alone)
    assert b'\\"ngrams\\"' not in to_bytes(alone)
    for broken in (replace(checkpoint, ngrams=None), replace(alone, ngrams=checkpoint.ngrams)):
        Path("broken").write_bytes(to_bytes(broken))
        with pytest.raises(CheckpointError, match="n-grams do not hold together"):
            from_file(Path("broken"))


def long_text(folder: Path) -> Path:
    path = folder / "long.txt"
    words = np.random.default_rng(0).choice(["river", "stone", "and", "the", "of", "winter", "."], 6000)
    path.write_text(" ".join(words))
    return path


def test_a_longer_text_has_ngrams_unless_you_say_so(folder: Path) -> None:
    config = tiny_run(long_text(folder))
    setup = prepare(config)
    assert setup.config.model.ngrams == 6
    assert any("mixed with the n-grams" in notice for notice in setup.notices)
    assert prepare(config.override({"ngrams": 0})).config.model.ngrams is None
    assert prepare(config.override({"validation": 0.0})).config.model.ngrams is None
    recorded = setup.config.override({"plan": ((0, 12),), "ngrams": None})  # by a charrnn that knew none
    assert choose_ngrams(recorded, setup.training, is_judged=True)[0].model.ngrams is None
    again = prepare(setup.config.override({"plan": ((0, 12),)}))
    assert again.config.model.ngrams == 6


def test_ngrams_are_no_longer_than_the_longest_document(small_text: Path) -> None:
    Path("short.txt").write_text("abc\nabd\nbcd\n" * 9)
    config = tiny_run(Path("short.txt"), documents="line", ngrams=12)
    assert prepare(config).config.model.ngrams == 5


def test_ngrams_without_held_out_text_are_an_error(small_text: Path) -> None:
    with pytest.raises(UsageError, match="needs validation text"):
        prepare(tiny_run(small_text, ngrams=4, validation=0.0))
    with pytest.raises(UsageError, match="from 2 to 12, got 1"):
        tiny_run(small_text, ngrams=1)


def test_a_run_without_ngrams_goes_on_without_them(folder: Path) -> None:
    config = tiny_run(long_text(folder), ngrams=0)
    asked = iter(range(1, 100))
    *_, ended = train(config, "run", lambda: next(asked) >= 5)
    assert isinstance(ended, Finished)
    events = list(resume(find_resumable(str(ended.run)), {"ngrams": 0}))
    assert not any("n-grams" in event.message for event in events if isinstance(event, Notice))
    latest = Run(ended.run).pointed("latest")
    assert latest
    assert from_file(latest).ngrams is None
    with pytest.raises(UsageError, match="ngrams"):
        list(resume(find_resumable(str(ended.run)), {"ngrams": 5}))
