"""What is held out: blocks spread over a running text, apart from what is learned; and files by their characters."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.store import load_model
from charrnn.errors import DataError, UsageError
from charrnn.evaluation.evaluate import open_reading
from charrnn.events import Validated
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.split import Split, split
from charrnn.training.loop import train

BLOCKS = TextConfig(hold_out="blocks")


def divided(characters: int, share: float, seed: int) -> Split:
    return split(np.array([characters]), TextConfig(hold_out="blocks", validation=share), seed)


@given(st.integers(2, 300_000), st.floats(0.001, 0.9), st.integers(0, 2**62))
def test_blocks_are_the_share_asked_for_with_gaps_around_them(characters: int, share: float, seed: int) -> None:
    try:
        parts = divided(characters, share, seed)
    except DataError:
        assert characters < 2 / (1 - share) + 2
        return
    assert parts.lengths.sum() == characters
    assert parts.lengths.min() > 0
    assert abs(parts.lengths[parts.held_out].sum() - characters * share) <= 1
    assert not np.any(parts.held_out & parts.left_out)
    if characters > 50_000 and 0.05 < share < 0.5:
        around = np.convolve(parts.held_out, [1, 0, 1], "same") > 0
        assert not np.any(around & parts.learned)  # nothing that is learned touches a block
        assert parts.lengths[parts.left_out].sum() < 0.26 * parts.lengths[parts.held_out].sum()


def test_blocks_are_spread_and_drawn_by_the_seed() -> None:
    parts = divided(160_000, 0.1, 1)
    middles = (np.cumsum(parts.lengths) - parts.lengths // 2)[parts.held_out]
    assert (middles // 10_000).tolist() == list(range(16))  # one in each sixteenth
    assert np.array_equal(parts.lengths, divided(160_000, 0.1, 1).lengths)
    assert not np.array_equal(parts.lengths, divided(160_000, 0.1, 2).lengths)


def text_of(corpus: Corpus, part: str) -> str:
    tokens = corpus.tokens if part == "training" else corpus.validation
    assert tokens is not None
    assert len(tokens.offsets) == 2  # each part is one running text
    assert tokens.ids[0] == corpus.vocabulary.start
    assert tokens.ids[-1] == corpus.vocabulary.end
    return corpus.vocabulary.decode(tokens.ids[1:-1])


@pytest.mark.parametrize("is_large", [False, True])
def test_both_parts_are_the_pieces_of_the_text_in_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    if is_large:
        monkeypatch.setattr(corpus_module, "SMALL", 0)
    random = np.random.default_rng(0)
    text = "".join(random.choice(list("abcdefgh \n"), 30_000))
    Path("text.txt").write_text(text)
    config = TextConfig(corpus=("text.txt",), hold_out="blocks")
    parts = split(np.array([len(text)]), config, 5)
    borders = np.concatenate([[0], np.cumsum(parts.lengths)])
    pieces = np.array([text[first:last] for first, last in pairwise(borders.tolist())])
    for _ in range(2):  # the second time from the cache
        corpus = read_corpus(config, 5)
        assert text_of(corpus, "training") == "".join(pieces[parts.learned])
        assert text_of(corpus, "validation") == "".join(pieces[parts.held_out])
    other = read_corpus(config, 6)
    assert text_of(other, "validation") != text_of(corpus, "validation")
    tail = read_corpus(TextConfig(corpus=("text.txt",)), 5)
    assert text_of(tail, "validation") == text[-3000:]


def test_characters_of_gaps_and_blocks_alone_are_not_learned(folder: Path) -> None:
    parts = divided(30_000, 0.1, 1)
    place = int(np.cumsum(parts.lengths)[np.flatnonzero(parts.left_out)[0]]) - 1
    held = int(np.cumsum(parts.lengths)[np.flatnonzero(parts.held_out)[0]]) - 1
    text = list("ab" * 15_000)
    text[place], text[held] = "X", "Y"
    Path("text.txt").write_text("".join(text))
    corpus = read_corpus(TextConfig(corpus=("text.txt",), hold_out="blocks"), 1)
    assert corpus.vocabulary.characters == "ab"


def test_documents_have_no_blocks() -> None:
    with pytest.raises(UsageError, match="of documents a random share is held out"):
        TextConfig(hold_out="blocks", documents="line")


FILES = TextConfig(documents="file")


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=2, max_size=40), share=st.floats(0.01, 0.9), seed=st.integers(0, 5)
)
def test_the_share_of_files_is_one_of_characters(sizes: list[int], share: float, seed: int) -> None:
    lengths, config = np.array(sizes), replace(FILES, validation=share)
    try:
        parts = split(lengths, config, seed, shares_characters=True)
    except DataError:
        assert sum(sizes) - min(sizes) < 2 or sum(sizes) * (1 - share) < 2
        return
    wanted, held_out = sum(sizes) * share, lengths[parts.held_out]
    assert len(held_out) > 0
    assert held_out.sum() <= wanted or held_out.tolist() == [min(sizes)]
    if held_out.sum() <= wanted:  # no other file would fit, too
        assert lengths[parts.learned].min() > wanted - held_out.sum()


def test_files_of_older_runs_are_held_out_by_their_number(folder: Path) -> None:
    for name, size in {"a": 9000, "b": 10, "c": 10, "d": 10}.items():
        Path(folder, f"{name}.txt").write_text(name * size)
    config = TextConfig(corpus=("a.txt", "b.txt", "c.txt", "d.txt"), documents="file", validation=0.25)

    def longest(seed: int, *, shares_characters: bool) -> int:
        held_out = read_corpus(config, seed, shares_characters=shares_characters).validation
        assert held_out is not None
        return int(held_out.lengths.max())

    assert max(longest(seed, shares_characters=False) for seed in range(9)) >= 9000
    assert max(longest(seed, shares_characters=True) for seed in range(9)) < 20


def test_a_run_of_files_reads_what_it_held_out(folder: Path) -> None:
    Path("books").mkdir()
    for number, size in enumerate((4000, 300, 200, 100, 90)):
        Path("books", f"{number}.txt").write_text("ab cd\n" * size)
    config = RunConfig(
        text=TextConfig(corpus=("books",), documents="file"),
        model=ModelConfig(cell="rnn", layers=1, hidden_size=4, dropout=0.0),
        training=TrainingConfig(steps=1, device="cpu"),
    )
    events = list(train(config, "run"))
    checkpoint = load_model("run")[1]
    assert checkpoint.config.record.shares_characters
    reading = open_reading(checkpoint)
    assert 0 < reading.tokens.targets < 0.11 * 4690 * 6
    (validated,) = (event for event in events if isinstance(event, Validated))
    assert reading.score().nats_per_character == pytest.approx(validated.loss, rel=1e-5)
    before = replace(checkpoint, config=checkpoint.config.override({"shares_characters": None}))
    assert open_reading(before).tokens.targets != reading.tokens.targets
