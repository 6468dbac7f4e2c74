"""Bits per byte compare models: their bytes are those of the text as it was given, whatever a model makes of it."""

import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.evaluation.evaluate import open_reading
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import Newlines, Normalization, TextConfig
from charrnn.text.vocabulary import Vocabulary, normalized
from tests.conftest import random_checkpoint

MODEL = ModelConfig("rnn", 1, 4, "one-hot", None, 0.0)
LETTERS = "ab\r\n 가각e\u0301é\ufb01\uff8a\uff9f\U0001d4b3"

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
ways = st.one_of(
    st.just(TextConfig(unit="byte")),
    st.builds(
        TextConfig,
        normalize=st.sampled_from([None, *get_args(Normalization)]),
        newlines=st.sampled_from(get_args(Newlines)),
    ),
)


def bytes_of(text: str, config: TextConfig, characters: str) -> int:
    """How many bytes of a text are scored by a model that knows some characters."""
    checkpoint = random_checkpoint(MODEL, Vocabulary.of(characters, config.unit))
    Path("text.txt").write_bytes(text.encode())
    score = open_reading(replace(checkpoint, config=RunConfig(config, MODEL)), ("text.txt",)).score()
    assert score.bits_per_byte * score.bytes == pytest.approx(score.bits_per_character * score.characters)
    return score.bytes


@in_a_folder
@given(text=st.text(LETTERS, min_size=1, max_size=60), config=ways)
def test_bytes_are_those_of_the_file_whatever_unit_and_treatment(folder: Path, text: str, config: TextConfig) -> None:
    known = normalized(text, config.normalize, config.newlines)
    assert bytes_of(text, config, known) == len(text.encode()) + 1


@in_a_folder
@given(lines=st.lists(st.text("ab가e\u0301é", min_size=1, max_size=20), min_size=1, max_size=6), config=ways)
def test_an_end_token_is_a_byte_however_lines_end(folder: Path, lines: list[str], config: TextConfig) -> None:
    config = replace(config, documents="line")
    known = "".join(normalized(line, config.normalize) for line in lines)
    counts = [bytes_of("".join(line + end for line in lines), config, known) for end in ("\n", "\r\n")]
    assert counts == [sum(len(line.encode()) + 1 for line in lines)] * 2


def test_the_bytes_of_unknown_characters_do_not_count(folder: Path) -> None:
    """Neither do their nats. Where a treatment changes the text, they are a share of the bytes before."""
    text = "한국 가나 z" * 50
    assert bytes_of(text, TextConfig(), "한국가 z") == len(text.replace("나", "").encode()) + 1
    jamo = unicodedata.normalize("NFD", text)
    known = jamo.replace("\u1102", "")
    found = bytes_of(text, TextConfig(normalize="nfd"), known)
    assert found == round(len(text.encode()) * len(known.encode()) / len(jamo.encode())) + 1
