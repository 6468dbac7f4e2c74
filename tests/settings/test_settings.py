"""Configuration: checked when made, the same after a trip through TOML, and helpful about typos."""

import json
import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import UsageError
from charrnn.recurrent.registry import CORES
from charrnn.settings.fields import check_range
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.tables import checked_keywords
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record, TrainingConfig, parse_duration

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
sizes = st.none() | st.integers(1, 1000)
runs = st.builds(
    RunConfig,
    text=st.builds(
        TextConfig,
        corpus=st.lists(words).map(tuple),
        normalize=st.sampled_from([None, "nfc", "nfd", "nfkc"]),
        documents=st.sampled_from(["none", "line", "blank", "file"]),
        validation=st.floats(0, 0.9),
    ),
    model=st.builds(
        ModelConfig,
        cell=st.sampled_from(list(CORES)),
        layers=st.none() | st.integers(2, 64),
        hidden_size=sizes,
        embedding_size=sizes,
        dropout=st.none() | st.floats(0, 0.99),
        input_dropout=st.floats(0, 0.99),
        recurrent_dropout=st.floats(0, 0.99),
        zoneout=st.floats(0, 0.99),
        residual=st.booleans(),
    ),
    training=st.builds(
        TrainingConfig,
        time=st.none() | st.floats(1e-3, 1e9),
        epochs=st.none() | st.floats(1e-3, 1e9),
        steps=sizes,
        learning_rate=st.floats(1e-9, 10),
        seed=st.integers(0, 2**63 - 1),
    ),
    record=st.builds(
        Record,
        corpus_sha256=st.none() | words,
        plan=st.lists(st.integers(1, 10**6), unique=True).map(
            lambda steps: tuple((step, 10**6) for step in ([0, *sorted(steps)] if steps else []))
        ),
    ),
)


@given(runs)
def test_a_run_is_the_same_after_toml_and_json(run: RunConfig) -> None:
    assert RunConfig.from_mapping(tomllib.loads(run.to_toml()), "test") == run
    assert RunConfig.from_mapping(json.loads(json.dumps(run.to_mapping())), "test") == run


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("3m", 180), ("1.5h", 5400), ("1h30m", 5400), ("2d", 172800), ("1m30s", 90)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "3 m", "m", "-3m", "0", "3x", "3m!", "1..5h", "٣m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="time must be a duration"):
        parse_duration(text)


def test_times_in_a_file_may_be_written_like_on_the_command_line() -> None:
    assert RunConfig.from_mapping({"training": {"time": "3m"}}, "f").training.time == 180
    assert RunConfig.from_mapping({"training": {"time": 180}}, "f").training.time == 180


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"model": {"cel": "gru"}}, r"f \[model\]: unknown key 'cel'; did you mean cell\?"),
        ({"modell": {}}, "unknown key 'modell'; did you mean model"),
        ({"model": 3}, r"f \[model\]: expected a table"),
        ({"model": {"layers": "2"}}, "layers must be a int, got '2'"),
        ({"model": {"layers": True}}, "layers must be a int, got True"),
        ({"model": {"layers": 2.0}}, "layers must be a int, got 2.0"),
        ({"model": {"dropout": False}}, "dropout must be a float"),
        ({"model": {"encoder": "binary"}}, "encoder must be one of embedding, one-hot, got 'binary'"),
        ({"model": {"encoder": ["one-hot"]}}, "encoder must be one of"),
        ({"text": {"corpus": "a.txt"}}, "corpus must be a list"),
        ({"text": {"corpus": [1]}}, "corpus must be a str"),
        ({"record": {"plan": [[0, 5], [0, 6]]}}, "growing steps"),
        ({"record": {"plan": [[1, 5]]}}, "begin at step 0"),
        ({"record": {"plan": [[0]]}}, "plan must be a list"),
    ],
)
def test_what_a_file_cannot_say(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RunConfig.from_mapping(tables, "f")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelConfig(cell="gur"), "got 'gur'; did you mean gru"),
        (lambda: ModelConfig(layers=0), "layers must be at least 1 and at most 64, got 0"),
        (lambda: ModelConfig(dropout=1.0), "dropout must be at least 0 and less than 1, got 1.0"),
        (lambda: ModelConfig(input_dropout=-0.1), "input_dropout must be at least 0"),
        (lambda: ModelConfig(recurrent_dropout=math.nan), "recurrent_dropout must be"),
        (lambda: ModelConfig(zoneout=1.0), "zoneout must be at least 0 and less than 1"),
        (lambda: ModelConfig(layers=1, residual=True), "residual .* needs layers=2"),
        (lambda: ModelConfig("bi-lstm"), "cell='bi-lstm': a bidirectional core .* not generate"),
        (lambda: ModelConfig("bidirectionalgru"), "cell='bidirectionalgru': a bidirectional core"),
        (lambda: ModelConfig("bigram"), "cell must be one of auto, rnn, .*, got 'bigram'"),
        (lambda: ModelConfig(encoder="one-hot", embedding_size=3), "embedding_size goes with"),
        (lambda: TextConfig(validation=0.95), "validation must be at least 0 and at most 0.9"),
        (lambda: TextConfig(encoding="rot13"), "encoding must be a text encoding"),
        (lambda: TextConfig(encoding="a\0b"), "encoding must be a text encoding"),
        (lambda: TrainingConfig(learning_rate=float("nan")), "learning_rate must be"),
        (lambda: TrainingConfig(seed=2**63), "seed must be"),
        (lambda: SamplingConfig(top_p=1.5), "top_p must be greater than 0 and at most 1"),
        (lambda: SamplingConfig(num_samples=0), "num_samples must be at least 1"),
        (lambda: SamplingConfig(temperature=float("inf")), "temperature must be"),
    ],
)
def test_what_cannot_be_is_said_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_ranges_take_numbers_of_any_size() -> None:
    check_range("x", None, least=1)
    check_range("x", 10**400, least=1)
    with pytest.raises(UsageError, match="x must be less than 5"):
        check_range("x", 10**400, below=5)


def test_overriding_changes_the_section_that_has_the_field() -> None:
    run = RunConfig().override({"cell": "gru", "steps": 5, "corpus": ("a",)})
    assert (run.model.cell, run.training.steps, run.text.corpus) == ("gru", 5, ("a",))
    assert RunConfig().override({}) == RunConfig()


def test_an_unknown_setting_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="a run has no setting 'hidden_sise'; did you mean hidden_size"):
        RunConfig().override({"hidden_sise": 5})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temprature": 1.0}, "sample has no setting 'temprature'; did you mean temperature"),
        ({"top_k": "5"}, "top_k must be a int, got '5'"),
        ({"top_k": True}, "top_k must be a int, got True"),
        ({"stop": 5}, "stop must be a list, got 5"),
    ],
)
def test_what_keywords_cannot_say(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_keywords(values, [SamplingConfig], "sample")


def test_keywords_are_lenient_where_nothing_is_lost() -> None:
    given = {"temperature": 1, "stop": "x", "top_k": None}
    assert checked_keywords(given, [SamplingConfig], "sample") == {"temperature": 1.0, "stop": ("x",)}
    assert checked_keywords({"time": "3m"}, [TrainingConfig], "train") == {"time": 180.0}
    assert checked_keywords({"time": 5}, [TrainingConfig], "train") == {"time": 5.0}
