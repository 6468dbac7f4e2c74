"""The door for Python: the same models, texts and figures as the command line's, and errors that name keywords."""

import inspect
import json
import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import charrnn
from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.checkpoint.store import Run
from charrnn.events import Began, Finished, Notice, Reported
from charrnn.settings.lookup import FillConfig, NextConfig
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import PrimeConfig, SamplingConfig
from charrnn.settings.scoring import ScoringConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import InProcess, random_checkpoint
from tests.doubles import labelled_unigram, unigram

TINY: dict[str, Any] = {"cell": "gru", "layers": 1, "hidden_size": 8, "embedding_size": 4, "batch_size": 3}
TINY |= {"sequence_length": 7, "steps": 6, "validate_every": 3, "report_every": 2, "device": "cpu", "precision": "fp32"}


@pytest.fixture
def letters(folder: Path) -> Path:
    """A model with random weights, in a run's folder."""
    run = Run.create("letters")
    (run.path / "step-00000001.safetensors").write_bytes(
        to_bytes(random_checkpoint(ModelConfig("gru", 1, 8, "embedding", 4, 0.0), Vocabulary("\n abcdefgh한")))
    )
    for pointer in ("latest", "best"):
        (run.path / pointer).write_text("step-00000001.safetensors\n")
    return run.path


def steps_of(model: charrnn.Model) -> int:
    return from_file(model.path, training=True).counters.step


def test_importing_it_loads_nothing_heavy_and_offers_what_it_lists(folder: Path) -> None:
    program = (
        "import sys, charrnn\n"
        "assert not {'torch', 'numpy', 'typer', 'rich', 'charrnn.api'} & set(sys.modules), 'import'\n"
        "assert all(getattr(charrnn, name) for name in charrnn.__all__)\n"
        "assert set(charrnn.__all__) <= set(dir(charrnn))\n"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'names'\n"
        "model = charrnn.load()\n"
        "assert len(model.sample('The ', length=20, seed=1)) == 24\n"
        "assert 'torch' not in sys.modules, 'sampling'\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        _ = charrnn.generate
    assert charrnn.errors  # a module of the package is still found


def test_a_model_is_found_as_the_command_line_finds_it(letters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = letters / "step-00000001.safetensors"
    for path in (file, str(file), letters, "letters", None):
        assert charrnn.load(path).path == file
    monkeypatch.setenv("CHARRNN_MODEL", str(file))
    assert charrnn.load().why == "as asked"
    with pytest.raises(charrnn.CheckpointError, match="nowhere"):
        charrnn.load("nowhere")
    with pytest.raises(charrnn.UsageError, match="device must be one of auto, cpu, cuda, mps, got 'gpu'"):
        charrnn.load(letters, device="gpu")


CONTROLS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"temperature": 0}, ["--temperature", "0"]),
    ({"top_k": 3, "repetition_penalty": 1.5}, ["-k", "3", "--repetition-penalty", "1.5"]),
    ({"num_samples": 3}, ["--num-samples", "3"]),
    ({"echo": False, "stop": "a"}, ["--no-echo", "--stop", "a"]),
    ({"stop": ["ab", "c"], "ban": "h"}, ["--stop", "ab", "--stop", "c", "--ban", "h"]),
    ({"beam": 3, "until_end": True}, ["--beam", "3", "--until-end"]),
]


@pytest.mark.parametrize(("keywords", "options"), CONTROLS, ids=str)
def test_it_writes_the_text_that_the_command_writes(
    letters: Path, in_process: InProcess, keywords: dict[str, Any], options: list[str]
) -> None:
    written = in_process("sample", "abc", "-l", "40", "--seed", "5", *options)[0]
    model = charrnn.load()
    assert model.sample("abc", length=40, seed=5, **keywords) == written
    assert "".join(model.stream("abc", length=40, seed=5, **keywords)) == written


def test_every_control_of_the_command_is_a_keyword() -> None:
    for method, groups in (
        (charrnn.Model.sample, (SamplingConfig, PrimeConfig)),
        (charrnn.Model.stream, (SamplingConfig, PrimeConfig)),
        (charrnn.Model.next, (NextConfig,)),
        (charrnn.Model.fill, (FillConfig,)),
        (charrnn.Model.score, (ScoringConfig,)),
    ):
        parameters = inspect.signature(method).parameters
        for group in groups:
            for field in fields(group):
                assert parameters[field.name].default == field.default
                assert f"    {field.name}: " in (method.__doc__ or "")


def test_labels_are_a_keyword(folder: Path) -> None:
    probabilities = {"sea": {"s": 0.9, None: 0.1}, "hill": {"h": 0.9, None: 0.1}}
    (folder / "labels").write_bytes(to_bytes(labelled_unigram(probabilities, {"sea": 1, "hill": 1})))
    model = charrnn.load("labels")
    assert set(model.sample(label="sea", length=50, seed=1, until_end=False)) == {"s"}
    assert model.next(label="hill", top=1)[0].character == "h"
    with pytest.raises(charrnn.UsageError, match="say which by label: "):
        model.next()


def test_what_comes_next_and_what_fills_a_gap_are_those_of_the_commands(letters: Path, in_process: InProcess) -> None:
    model = charrnn.load()
    rows = [json.loads(line) for line in in_process("next", "ab", "--json", "--top", "4")[0].splitlines()]
    for row, found in zip(rows, model.next("ab", top=4), strict=True):
        assert (row["character"], row["probability"], row["bits"]) == (found.character, found.probability, found.bits)
    rows = [json.loads(line) for line in in_process("fill", "ab_d", "--json", "--top", "3")[0].splitlines()]
    for row, filled in zip(rows, model.fill("ab_d", top=3), strict=True):
        assert (row["text"], row["filling"], row["log_probability"]) == filled


def test_a_score_is_that_of_the_command(letters: Path, in_process: InProcess) -> None:
    text = "abc abc\nhé 한\n"
    (letters.parents[1] / "t.txt").write_bytes(text.encode())
    row = json.loads(in_process("eval", "t.txt", "--json")[0])
    score = charrnn.load().score(text)
    for name in ("nats", "nats_per_character", "bits_per_character", "bits_per_byte", "accuracy", "characters"):
        assert row[name] == getattr(score, name)
    assert (row["unknown"], row["perplexity"]) == (score.unknown, score.perplexity)
    assert "".join(each.character or "" for each in score.by_character) == text
    assert sum(each.nats or 0.0 for each in score.by_character) == score.nats
    windowed = json.loads(in_process("eval", "t.txt", "--json", "--protocol", "windowed", "--window", "2")[0])
    assert charrnn.load().score(text, protocol="windowed", window=2).nats == windowed["nats"]


MISTAKES = [
    (lambda model: model.sample(top_k=0), charrnn.UsageError, "top_k must be at least 1, got 0"),
    (lambda model: model.sample(temprature=1), charrnn.UsageError, "no setting 'temprature'; did you mean temperature"),
    (lambda model: model.sample(beam=2, top_k=3), charrnn.UsageError, "beam finds .* it cannot go with top_k"),
    (lambda model: model.sample("Ω"), charrnn.DataError, "U\\+03A9(?s:.*)unknown='skip'"),
    (lambda model: model.next(top=0), charrnn.UsageError, "top must be at least 1"),
    (lambda model: model.fill("abc"), charrnn.UsageError, "must have one gap(?s:.*)another mark with blank"),
    (lambda model: model.score("\ud800"), charrnn.DataError, "lone surrogate"),
    (lambda model: model.score(""), charrnn.DataError, "the text"),
    (lambda model: model.score("abc", window=0), charrnn.UsageError, "window must be at least 1"),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES)
def test_a_mistake_names_the_keyword(letters: Path, mistake: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        mistake(charrnn.load())
    assert "--" not in str(raised.value)
    assert str(raised.value).isprintable() or "\n" in str(raised.value)


def test_a_training_yields_its_events_and_has_the_model(small_text: Path) -> None:
    training = charrnn.train(small_text, name="small", **TINY)
    assert repr(training) == "<charrnn.Training without a run: not begun>"
    with pytest.raises(charrnn.CheckpointError, match="has not begun"):
        _ = training.model
    events = list(training)
    assert any(isinstance(event, Began) for event in events)
    assert isinstance(events[-1], Finished)
    assert training.run_path == Path("checkpoints/small")
    assert training.model.path == charrnn.load("small").path
    assert repr(training).startswith("<charrnn.Training checkpoints/small: step 6, loss ")
    again = charrnn.train(small_text, name="again", **TINY).run()
    assert again.sample(seed=1) == training.model.sample(seed=1)


def test_a_text_is_kept_in_the_run_and_learned_as_a_file_is(small_text: Path) -> None:
    model = charrnn.train(text=small_text.read_text("utf-8"), **TINY).run()
    assert model.path.parent == Path("checkpoints/text-gru")
    assert (model.path.parent / "text.txt").read_bytes() == small_text.read_bytes()
    assert model.sample(seed=1) == charrnn.train(small_text, **TINY).run().sample(seed=1)
    assert model.score().characters > 0  # what was held out
    resumed = charrnn.train(resume="text-gru", steps=9).run()
    assert steps_of(resumed) == 9


def test_a_training_can_be_stopped_and_goes_on_as_if_it_was_not(small_text: Path) -> None:
    training = charrnn.train(small_text, name="stopped", **TINY)
    for event in training:
        if isinstance(event, Reported):
            training.stop()
    assert steps_of(training.model) < 6
    whole = charrnn.train(small_text, name="whole", **TINY).run()
    assert charrnn.train(resume="stopped").run().sample(seed=1) == whole.sample(seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "train needs a corpus or a text, got neither"),
        ({"text": "a", "corpus": ("b",)}, "got a corpus and a text"),
        ({"text": "abc", "hiden_size": 3}, "train has no setting 'hiden_size'; did you mean hidden_size"),
        ({"text": "abc", "cell": "gur"}, "cell must be one of .* did you mean gru"),
        ({"text": "abc", "time": "soon"}, "time must be a duration"),
        ({"resume": "x", "name": "y"}, "leave text and name out"),
    ],
)
def test_what_cannot_be_trained_is_told_at_once(folder: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(charrnn.UsageError, match=message):
        charrnn.train(**arguments)
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_notices_name_keywords(small_text: Path) -> None:
    events = list(charrnn.train(small_text, **{**TINY, "steps": None, "epochs": None, "time": None, "patience": 1}))
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("change it with time, epochs or steps" in text for text in told)


def test_representations_are_one_line(letters: Path) -> None:
    model = charrnn.load()
    assert repr(model) == f"<charrnn.Model {model.path}: gru 1×8, 518 parameters>"
    assert repr(model.score("abc")).startswith("<charrnn.Score of the text: ")
    assert "\n" not in repr(model.score("abc"))


def test_a_hostile_text_does_nothing_in_a_notebook(folder: Path) -> None:
    text = "<script>alert(1)</script>\x1b[31m\u202eabc"
    (folder / "hostile").write_bytes(
        to_bytes(unigram(dict.fromkeys(set(text), 1 / len(set(text))), TextConfig((text,))))
    )
    model = charrnn.load("hostile")
    for shown in (model._repr_html_(), model.score(text)._repr_html_()):
        assert "<script" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_a_text_without_labels_is_scored_with_one(folder: Path) -> None:
    known: dict[str, dict[str | None, float]] = {"hill": {"b": 0.75, None: 0.25}, "sea": {"b": 0.5, None: 0.5}}
    (folder / "model.safetensors").write_bytes(to_bytes(labelled_unigram(known, {"hill": 2, "sea": 1})))
    model = charrnn.load("model.safetensors")
    assert model.score("bb", label="hill").nats == pytest.approx(-math.log(0.75**2 * 0.25))
    assert model.score("bb", label="sea").nats == pytest.approx(-math.log(0.5**3))
    with pytest.raises(charrnn.UsageError, match="label 'see': the model knows hill, sea; did you mean sea"):
        model.score("bb", label="see")


def test_a_corpus_is_kept_if_asked(folder: Path, small_text: Path) -> None:
    training = charrnn.train("small.txt", keep_text=True, steps=2, hidden_size=8, name="kept", device="cpu")
    training.run()
    assert Path("checkpoints/kept/text.txt").read_bytes() == small_text.read_bytes()
    before = training.model.score().nats
    small_text.unlink()
    assert charrnn.load("kept").score().nats == before
    with pytest.raises(
        charrnn.UsageError, match="keep_text keeps a copy of a corpus that is named; a text is always kept"
    ):
        charrnn.train(text="abc", keep_text=True)
