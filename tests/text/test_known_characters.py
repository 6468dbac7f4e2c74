"""A text that is encoded for a model that has learned another one: all characters of both, in memory and in a cache."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.settings.text import TextConfig
from charrnn.text import corpus
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary

KNOWN = Vocabulary("abcé")


@pytest.fixture(params=[corpus.SMALL, 0], ids=["in memory", "cached"])
def config(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> TextConfig:
    monkeypatch.setattr(corpus, "SMALL", request.param)
    monkeypatch.setenv("CHARRNN_CACHE", str(folder / "cache"))
    Path("text.txt").write_text("a text with é " * 30)
    return TextConfig(corpus=("text.txt",))


def test_the_vocabulary_has_the_characters_of_both(config: TextConfig) -> None:
    own = read_corpus(config, 1)
    for _ in range(2):  # built, and found again
        found = read_corpus(config, 1, known=KNOWN)
        assert set(found.vocabulary.characters) == set(own.vocabulary.characters) | set(KNOWN.characters)
        assert np.array_equal(found.tokens.ids, own.vocabulary.translation(found.vocabulary)[own.tokens.ids])
        assert found.vocabulary.unknown not in found.tokens.ids
    again = read_corpus(config, 1)  # which what was encoded for a model does not replace
    assert again.vocabulary == own.vocabulary


def test_what_was_encoded_to_be_scored_is_not_learned(config: TextConfig) -> None:
    scored = read_corpus(config, 1, vocabulary=KNOWN)
    assert KNOWN.unknown in scored.tokens.ids
    learned = read_corpus(config, 1, known=KNOWN)
    assert learned.vocabulary.unknown not in learned.tokens.ids
