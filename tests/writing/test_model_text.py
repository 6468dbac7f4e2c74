"""A text as a model reads it: the ids of its training, whatever was edited, and each character's share of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.settings.text import TextConfig
from charrnn.text.units import as_units
from charrnn.text.vocabulary import Vocabulary, normalized
from charrnn.writing.model_text import ModelText, common_start

TEXTS = st.text("ab\n\r \té\u0301\u0327한ᄒ\u1161ﬁ👍\ufeff", max_size=24)
CONFIGS = {
    "plain": TextConfig(),
    "bytes": TextConfig(unit="byte"),
    "nfd": TextConfig(normalize="nfd"),
    "nfc": TextConfig(normalize="nfc"),
    "nfkc": TextConfig(normalize="nfkc", newlines="lf"),
    "line feeds": TextConfig(newlines="lf"),
    "lines": TextConfig(documents="line"),
    "blank lines": TextConfig(documents="blank"),
}


def made(config: TextConfig) -> ModelText:
    known = "\n ab\u0301\u0327éᄒ\u1161한" if config.normalize else "\nabé한"
    vocabulary = Vocabulary.of(known, config.unit)
    return ModelText(config, vocabulary, vocabulary.start)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@given(data=st.data())
def test_after_an_edit_it_is_what_it_would_be_anew(config: TextConfig, data: st.DataObject) -> None:
    text = data.draw(TEXTS)
    followed = made(config)
    followed.follow(text)
    for _ in range(3):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        text = text[:start] + data.draw(TEXTS) + text[end:]
        followed.follow(text)
        anew = made(config)
        anew.follow(text)
        assert followed.ids.tolist() == anew.ids.tolist()
        assert followed.ends.tolist() == anew.ends.tolist()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@given(text=TEXTS)
def test_every_id_belongs_to_a_character(config: TextConfig, text: str) -> None:
    model_text = made(config)
    model_text.follow(text)
    assert len(model_text.ends) == len(text) + 1
    assert model_text.ends[0] == 1
    assert model_text.ends[-1] == len(model_text.ids)
    assert np.all(np.diff(model_text.ends) >= 0)


@pytest.mark.parametrize("name", ["plain", "bytes", "nfd", "nfc", "nfkc", "line feeds"])
@given(text=TEXTS)
def test_the_ids_are_those_of_a_text_that_is_learned(name: str, text: str) -> None:
    config = CONFIGS[name]
    model_text = made(config)
    model_text.follow(text)
    vocabulary = model_text._vocabulary
    learned = text.removeprefix("\ufeff") if config.unit == "character" else as_units(text, "byte")
    expected = vocabulary.encode(normalized(learned, config.normalize, config.newlines))
    assert model_text.ids.tolist() == [vocabulary.start, *expected.tolist()]


def test_documents_have_an_end_and_a_start_between_them() -> None:
    model_text = made(TextConfig(documents="line"))
    model_text.follow("a\nb")
    start, end = model_text._vocabulary.start, model_text._vocabulary.end
    assert model_text.ids.tolist() == [start, 1, end, start, 2]
    assert model_text.ends.tolist() == [1, 2, 4, 5]
    blank = made(TextConfig(documents="blank"))
    blank.follow("a\n \n\nb\nb")
    assert blank.ids.tolist() == [start, 1, end, start, 2, 0, 2]
    assert blank.ends.tolist() == [1, 2, 4, 4, 4, 4, 5, 6, 7]


def test_a_character_has_as_many_ids_as_the_model_reads_of_it() -> None:
    nfd = made(TextConfig(normalize="nfd"))
    nfd.follow("a한é")
    assert np.diff(nfd.ends).tolist() == [1, 3, 2]
    nfc = made(TextConfig(normalize="nfc"))
    nfc.follow("ae\u0301b")
    assert np.diff(nfc.ends).tolist() == [1, 1, 0, 1]
    in_bytes = made(TextConfig(unit="byte"))
    in_bytes.follow("aé한👍")
    assert np.diff(in_bytes.ends).tolist() == [1, 2, 3, 4]


@given(st.text("ab", max_size=30), st.text("ab", max_size=30))
def test_the_common_start_is_the_longest(one: str, other: str) -> None:
    size = common_start(one, other)
    assert one[:size] == other[:size]
    assert one[size : size + 1] != other[size : size + 1] or size in (len(one), len(other))
