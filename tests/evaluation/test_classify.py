"""Labels by Bayes' rule, against arithmetic on a model whose probabilities are known."""

import math
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import CheckpointError, DataError
from charrnn.evaluation import classify as classify_module
from charrnn.evaluation.classify import Classified, classify
from charrnn.evaluation.evaluate import evaluate, open_reading
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint
from tests.doubles import labelled_unigram

KNOWN: dict[str, dict[str | None, float]] = {
    "hill": {"a": 0.125, "b": 0.625, None: 0.25},
    "sea": {"a": 0.75, "b": 0.125, None: 0.125},
    "sky": {"a": 0.25, "b": 0.25, None: 0.5},
}
COUNTS = {"hill": 1, "sea": 4, "sky": 3}

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def classified(checkpoint: Checkpoint, text: str) -> list[Classified]:
    Path("a.tsv").write_text(text)
    return list(classify(open_reading(checkpoint, ("a.tsv",), may_lack_label=True)))


def by_hand(text: str) -> list[float]:
    """p(label | text): what the model knows of a text is the product of what it knows of its characters."""
    joint = [
        COUNTS[label] * math.prod(own.get(character, 1) for character in text) * own[None]
        for label, own in KNOWN.items()
    ]
    return [each / sum(joint) for each in joint]


@in_a_folder
@given(texts=st.lists(st.text("abx", min_size=1, max_size=12), min_size=1, max_size=9))
def test_probabilities_are_those_of_bayes(folder: Path, texts: list[str]) -> None:
    found = classified(labelled_unigram(KNOWN, COUNTS), "\n".join(texts))
    assert [each.text for each in found] == texts  # with the x that the model never saw
    for each in found:
        assert each.probabilities == pytest.approx(by_hand(each.text), rel=1e-5)
        assert each.label == list(KNOWN)[int(np.argmax(each.probabilities))]
        assert each.own_label is None


@pytest.mark.usefixtures("folder")
def test_a_document_s_own_label_has_no_part_in_it() -> None:
    found = classified(labelled_unigram(KNOWN, COUNTS), "sea\tab\nab\nhill\tab\nlake\tab\n")
    assert [(each.text, each.own_label) for each in found] == [
        ("ab", "sea"),
        ("ab", None),
        ("ab", "hill"),
        ("lake\tab", None),
    ]
    assert len({each.probabilities for each in found[:3]}) == 1


@pytest.mark.usefixtures("folder")
def test_what_says_nothing_leaves_the_shares() -> None:
    checkpoint = labelled_unigram(dict.fromkeys(KNOWN, KNOWN["sea"]), COUNTS)
    (found,) = classified(checkpoint, "abba")
    assert found.probabilities == pytest.approx([1 / 8, 4 / 8, 3 / 8])
    assert found.label == "sea"


@pytest.mark.usefixtures("folder")
def test_a_document_too_unlikely_for_a_float_is_classified() -> None:
    (found,) = classified(labelled_unigram(KNOWN, COUNTS), "b" * 5000)
    assert found.label == "hill"
    assert found.probabilities == (1.0, 0.0, 0.0)


@pytest.mark.usefixtures("folder")
def test_it_does_not_matter_how_many_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = Vocabulary.of("abc", "character", COUNTS)
    random = random_checkpoint(ModelConfig("gru", 2, 6, "embedding", 4, 0.0), vocabulary)
    checkpoint = Checkpoint(RunConfig(TextConfig(labels=True), random.config.model), vocabulary, random.model)
    text = "".join(f"{'abcx'[k % 4] * (1 + 7 * k % 11)}{'cab'[k % 3]}\n" for k in range(40))
    whole = classified(checkpoint, text)
    assert len(whole) == 40
    for block in (1, 60, 300):
        monkeypatch.setattr(classify_module, "_BLOCK", block)
        found = classified(checkpoint, text)
        assert [each.text for each in found] == [each.text for each in whole]
        for one, other in zip(found, whole, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, rel=1e-5)


@pytest.mark.usefixtures("folder")
def test_a_text_with_labels_is_scored_after_its_own() -> None:
    checkpoint = labelled_unigram(KNOWN, COUNTS)
    Path("a.tsv").write_text("sea\tab\nsky\tb\nsea\taa\n")
    found = evaluate(checkpoint, ("a.tsv",)).score
    likelihood = (0.75 * 0.125 * 0.125) * (0.25 * 0.5) * (0.75 * 0.75 * 0.125)
    assert found.nats == pytest.approx(-math.log(likelihood), rel=1e-6)
    assert (found.characters, found.unknown) == (8, 0)


@pytest.mark.usefixtures("folder")
def test_a_label_that_the_model_does_not_know_is_refused() -> None:
    Path("a.tsv").write_text("sea\tab\nlake\tb\n")
    with pytest.raises(DataError, match=r"a\.tsv has the label 'lake'; the model knows hill, sea, sky"):
        evaluate(labelled_unigram(KNOWN, COUNTS), ("a.tsv",))


@pytest.mark.usefixtures("folder")
def test_weights_that_overflow_are_refused() -> None:
    checkpoint = labelled_unigram(KNOWN, COUNTS)
    checkpoint.model["head.weight"][0] = 3e38
    checkpoint.model["stack.layers.0.W"] *= 1e3
    with pytest.raises(CheckpointError, match="no finite number"):
        classified(checkpoint, "ab\n")
