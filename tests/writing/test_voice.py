"""A model beside a text: what it suggests is what it samples, and what it says of the text is what it scores."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from charrnn.api import load
from charrnn.checkpoint.format import Checkpoint
from charrnn.checkpoint.store import load_model
from charrnn.errors import UsageError
from charrnn.evaluation.novelty import novelty
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from charrnn.writing.continuation import Continuation, Extent, whole_characters
from charrnn.writing.copied import K
from charrnn.writing.voice import Copied, Costs, Likeliest, Question, Suggested, Voice
from tests.conftest import random_checkpoint
from tests.doubles import labelled_unigram, learned, unigram

ROOT = Path(__file__).parents[2]
CONFIG = SamplingConfig(seed=5, temperature=0.9)
DEMO = load_model(str(ROOT / "checkpoints" / "demo"))[1]


def asked(
    voice: Voice, text: str, cursor: int | None = None, *, extent: Extent = "word", draw: int = 0,
    config: SamplingConfig = CONFIG,
) -> tuple[Likeliest, str, Costs, Copied | None]:  # fmt: skip
    """The last answer of each kind."""
    cursor = len(text) if cursor is None else cursor
    answers = [each for each in voice.answers(Question(text, cursor, config, draw, extent)) if each is not None]
    kinds = {type(each): each for each in answers}
    likeliest, suggested, costs, copied = (kinds.get(kind) for kind in (Likeliest, Suggested, Costs, Copied))
    assert isinstance(likeliest, Likeliest)
    assert isinstance(suggested, Suggested)
    assert isinstance(costs, Costs)
    return likeliest, suggested.text, costs, copied  # type: ignore[return-value]


def test_what_is_taken_word_by_word_is_the_sample_of_the_seed() -> None:
    voice, text = Voice("demo", DEMO, CONFIG), ""
    for _ in range(12):
        text += asked(voice, text)[1]
    engine = NumpyEngine(DEMO.config.model, DEMO.model)
    config = SamplingConfig(seed=5, temperature=0.9, length=len(text), until_end=False)
    assert text == "".join(generate(engine, DEMO.vocabulary, config, DEMO.vocabulary.encode("")))
    assert len(text.split()) >= 12


def test_a_draw_is_the_sample_of_its_number() -> None:
    voice = Voice("demo", DEMO, CONFIG)
    engine = NumpyEngine(DEMO.config.model, DEMO.model)
    for draw in (1, 2):
        suggested = asked(voice, "", extent="sentence", draw=draw)[1]
        config = SamplingConfig(seed=5, temperature=0.9, length=len(suggested), until_end=False)
        assert suggested == "".join(generate(engine, DEMO.vocabulary, config, DEMO.vocabulary.encode(""), draw))


def test_a_wider_suggestion_begins_with_the_narrower_and_taking_some_leaves_the_rest() -> None:
    voice, text = Voice("demo", DEMO, CONFIG), "The miller went to "
    word, line, sentence = (asked(voice, text, extent=extent)[1] for extent in ("word", "line", "sentence"))
    assert line.startswith(word)
    assert sentence.startswith(word)
    assert asked(voice, text + sentence[:3], extent="sentence")[1] == sentence[3:]
    assert asked(voice, text, extent="sentence")[1] == sentence
    assert asked(voice, text + sentence[:2] + "~", extent="sentence")[1] != sentence[3:]
    assert asked(Voice("demo", DEMO, CONFIG), text, extent="sentence")[1] == sentence


def test_settings_change_what_is_suggested() -> None:
    voice, text = Voice("demo", DEMO, CONFIG), "The miller went to "
    greedy = asked(voice, text, config=SamplingConfig(seed=5, temperature=0), extent="line")[1]
    narrow = asked(voice, text, config=SamplingConfig(seed=9, top_p=1e-6), extent="line")[1]
    assert greedy == narrow
    assert len({asked(voice, text, config=SamplingConfig(seed=seed), extent="line")[1] for seed in range(4)}) > 1


def test_the_cursor_may_be_anywhere() -> None:
    text = "The miller went to the river. " * 8
    voice, other = Voice("demo", DEMO, CONFIG), Voice("demo", DEMO, CONFIG)
    for cursor in (0, 40, 39, 200, len(text)):
        likeliest, suggested, costs, _ = asked(voice, text, cursor)
        anew = asked(other, text[:cursor])
        assert (likeliest, suggested) == anew[:2]
        assert len(costs.bits) == len(text)


def test_costs_are_those_of_the_distribution() -> None:
    text = "abba"
    voice = Voice("double", unigram({"a": 0.5, "b": 0.25, "c": 0.25}), CONFIG)
    _, _, costs, _ = asked(voice, text + "x")
    np.testing.assert_allclose(costs.bits, [1, 2, 2, 1, 0], atol=1e-5)
    assert costs.unknown.tolist() == [False] * 4 + [True]
    assert costs.per_character(0, 5) == pytest.approx(1.5)
    assert costs.per_character(1, 2) == pytest.approx(2)
    assert costs.per_character(4, 5) is None


def test_costs_are_those_that_eval_has() -> None:
    text = "The miller's wife went to the river, and said nothing.\n"
    *_, costs, _ = asked(Voice("demo", DEMO, CONFIG), text)
    scored = [each for each in load(str(ROOT / "checkpoints" / "demo")).score(text).by_character if each.character]
    np.testing.assert_allclose(costs.bits, [each.bits for each in scored], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("length", [1000, 100_000])
def test_a_letter_is_answered_in_few_steps_whatever_the_length_of_the_text(length: int) -> None:
    vocabulary = Vocabulary("\n abcdef")
    checkpoint = random_checkpoint(ModelConfig("rnn", 1, 3, "embedding", 2, 0.0), vocabulary)
    voice = Voice("double", checkpoint, CONFIG)
    text = ("abc fed bad\n" * length)[:length]
    asked(voice, text)
    for changed, cursor, most in ((text + "e", length + 1, 1), (text, length, 64), (text, length // 2, 64)):
        before = voice.steps
        next(answer for answer in voice.answers(Question(changed, cursor, CONFIG, 0, "word")) if answer)
        assert voice.steps - before <= most


def test_answers_can_be_given_up_at_any_moment() -> None:
    text = "The miller went to the river. " * 20
    voice = Voice("demo", DEMO, CONFIG)
    for stop in (1, 3, 8, 20):
        for number, _ in enumerate(voice.answers(Question(text[stop:], 30, CONFIG, stop, "line"))):
            if number == stop:
                break
    anew = Voice("demo", DEMO, CONFIG)
    assert asked(voice, text)[:2] == asked(anew, text)[:2]
    np.testing.assert_array_equal(asked(voice, text)[2].bits, asked(anew, text)[2].bits)


def test_the_share_that_is_copied_is_that_of_eval_novelty(folder: Path) -> None:
    checkpoint = learned(folder, b"abcdefghijklmnopqrstuvwxyz" * 3 + b"0123456789" * 5, TextConfig(validation=0))
    text = "abcdefghijklmnopqrst, and something else entirely, 0123456789012345 " * 300
    (folder / "own.txt").write_text(text)
    voice = Voice("double", checkpoint, CONFIG)
    assert asked(voice, text)[3] is None
    voice.learn()
    copied = asked(voice, text)[3]
    assert copied is not None
    (share,) = (each.share for each in novelty(checkpoint, ["own.txt"]).shares if each.k == K)
    assert copied.share == pytest.approx(share)
    short = asked(voice, "abc")[3]
    assert short is not None
    assert short.share is None


def test_a_training_text_that_is_gone_is_no_error(folder: Path) -> None:
    checkpoint = learned(folder, b"abcdefghijklmnopqrstuvwxyz" * 9)
    (folder / "corpus.txt").unlink()
    voice = Voice("double", checkpoint, CONFIG)
    voice.learn()
    assert asked(voice, "abc " * 20)[3] is None


def test_a_model_of_bytes_suggests_characters_and_completes_them() -> None:
    shares: Mapping[str | None, float] = {"\xed": 0.4, "\x95": 0.3, "\x9c": 0.2, "a": 0.1}
    voice = Voice("bytes", unigram(shares, TextConfig(unit="byte")), SamplingConfig(seed=1, top_k=1))
    likeliest, suggested, costs, _ = asked(voice, "한 a", config=SamplingConfig(seed=1, temperature=0))
    assert likeliest.candidates[0].character == "\xed"
    assert likeliest.texts[0] == "\ud555".encode("utf-8", "surrogatepass").decode() == "핕"  # ED 95 95
    assert likeliest.texts[3] == "a"
    assert suggested == ""  # ED ED is no character
    assert costs.bits[0] == pytest.approx(-math.log2(0.4 * 0.3 * 0.2), rel=1e-4)


def test_a_document_that_ends_is_a_new_line() -> None:
    voice = Voice("lines", unigram({"a": 0.01, None: 0.99}, TextConfig(documents="line")), CONFIG)
    likeliest, suggested, costs, _ = asked(voice, "a\na", config=SamplingConfig(seed=1, temperature=0))
    assert suggested == "\n"
    assert likeliest.texts[0] == "\n"
    assert costs.bits[1] == pytest.approx(-math.log2(0.99), abs=1e-4)


def test_what_a_model_takes_apart_is_suggested_whole() -> None:
    voice = Voice("jamo", unigram({"ᄒ": 1.0}, TextConfig(normalize="nfd")), CONFIG)
    assert set(asked(voice, "")[1]) == {"ᄒ"}
    *_, costs, _ = asked(voice, "하")
    assert costs.unknown.tolist() == [True]  # one of its parts is
    syllables = unigram({"ᄒ": 0.5, "\u1161": 0.5}, TextConfig(normalize="nfd"))
    assert "하" in asked(Voice("jamo", syllables, CONFIG), "")[1]


def test_a_model_of_labels_needs_one() -> None:
    checkpoint: Checkpoint = labelled_unigram({"x": {"a": 1.0}, "y": {"b": 1.0}}, {"x": 1, "y": 1})
    with pytest.raises(UsageError, match="several manners"):
        Voice("labels", checkpoint, CONFIG)
    config = SamplingConfig(seed=1, label="y", temperature=0)
    assert asked(Voice("labels", checkpoint, config), "", config=config)[0].texts[0] == "b"


@pytest.mark.parametrize(
    ("text", "extent", "expected"),
    [
        ("lo world", "word", "lo"),
        (" world again", "word", " world"),
        ("\n\nWorld again", "word", "\n\nWorld"),
        ("the end\nof it", "line", "the end\n"),
        ("\nnext\nof it", "line", "\nnext\n"),
        ("He went. She", "sentence", "He went."),
        ('He said "no." Then', "sentence", 'He said "no."'),
        ("3.14 is it? Yes", "sentence", "3.14 is it?"),
        ("a line\nand more! So", "sentence", "a line\nand more!"),
        ("行った。次", "sentence", "行った。"),
        ("never ends", "sentence", "never ends"),
    ],
)
def test_extents(text: str, extent: Extent, expected: str) -> None:
    continuation = Continuation(iter(text))
    while (found := continuation.extent(0, extent)) is None:
        continuation.take(1)
    assert found == expected


def test_bytes_that_are_no_characters_end_a_continuation() -> None:
    pieces = "a\xed\x95\x9cb\xffc"
    assert "".join(whole_characters(iter(pieces))) == "a한b"
