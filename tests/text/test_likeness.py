"""The notice about held-out text that is unlike the rest, or a copy of it."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.messages import for_python
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.likeness import about_held_out, likeness

ROOT = Path(__file__).parents[2]
TALES = (ROOT / "corpora" / "tales.txt").read_text()
LICENCE = (ROOT / "LICENSE").read_text()


def notices(text: str, hold_out: str = "tail") -> list[str]:
    config = TextConfig(hold_out=hold_out)  # type: ignore[arg-type]
    corpus = read_corpus(config, 1, text=text)
    assert corpus.validation is not None
    told = about_held_out(corpus.tokens.ids[1:-1], corpus.validation.ids[1:-1], config)
    return list(map(for_python, told))


@pytest.mark.parametrize("name", ["tales.txt", "korean.txt", "names.txt", "hello.txt"])
def test_ordinary_texts_are_not_spoken_of(name: str) -> None:
    text = (ROOT / "corpora" / name).read_text()
    assert notices(text) == []
    assert notices(text[len(text) // 2 :] + text[: len(text) // 2]) == []


@pytest.mark.parametrize(
    "end", [LICENCE, (ROOT / "charrnn" / "model.py").read_text()], ids=["licence", "another kind of text"]
)
def test_an_end_of_another_kind_is_told(end: str) -> None:
    (told,) = notices(TALES[: 15 * len(end)] + end)
    assert "is unlike the rest" in told
    assert "hold_out='blocks'" in told
    assert notices(TALES[: 15 * len(end)] + end, "blocks") == []


def test_a_copy_is_told() -> None:
    (told,) = notices(TALES + TALES[40_000:60_000])
    assert told.startswith("100% of the text that is held out stands word for word")


def test_bits_are_those_of_counts_by_hand() -> None:
    """For a text of one character in a circle all is known but for the share that backing off keeps."""
    ids = np.tile(np.arange(4, dtype=np.uint8), 5000)
    found = likeness(ids, ids)
    assert found is not None
    assert found.held_out < 0.01
    random = np.random.default_rng(0).integers(0, 4, 20_000).astype(np.uint8)
    fair = likeness(random, random[::-1])
    assert fair is not None
    assert fair.held_out == pytest.approx(2, abs=0.01)  # four characters, equally likely
    assert fair.repeated == 0
