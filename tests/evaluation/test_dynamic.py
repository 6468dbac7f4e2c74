"""Dynamic evaluation learns from what it has scored, never before, and leaves the model as it was."""

from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DivergedError
from charrnn.evaluation.dynamic import SEGMENT, dynamic_score, dynamic_scored
from charrnn.evaluation.evaluate import Reading, open_reading
from charrnn.evaluation.scoring import carried, score
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

VOCABULARY = Vocabulary.of("abc\n", "character")
TEXT = "abcab\ncab" * 30


def reading(folder: Path, text: str, cell: str = "gru", documents: str = "none") -> Reading:
    config = ModelConfig(cell, 2, 6, "embedding", 5, 0.3)
    run = RunConfig(text=TextConfig(documents=documents), model=config)  # type: ignore[arg-type]
    (folder / "t.txt").write_text(text)
    return open_reading(
        Checkpoint(run, VOCABULARY, random_checkpoint(config, VOCABULARY).model), ("t.txt",), device="cpu"
    )


def nats(folder: Path, text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.concatenate([piece.nats for piece in dynamic_scored(reading(folder, text), rate=1e-2)])


@pytest.mark.parametrize("documents", ["none", "line"])
def test_who_learns_nothing_scores_as_without_it(folder: Path, documents: str) -> None:
    own = reading(folder, TEXT, documents=documents)
    found = dynamic_score(own, rate=0.0)
    segments, translation = carried(own.tokens), own.vocabulary.translation(VOCABULARY)
    assert found == score(own.model, own.tokens, segments, VOCABULARY, translation=translation, rows=1, chunk=SEGMENT)
    assert found.nats == pytest.approx(own.score().nats, rel=1e-6)
    assert found[1:] == own.score()[1:]


@pytest.mark.parametrize("place", [1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 200])
def test_a_target_is_never_seen_before_it_is_scored(folder: Path, place: int) -> None:
    changed = TEXT[:place] + TEXT[place:].translate(str.maketrans("abc", "bca"))
    before, after = nats(folder, TEXT), nats(folder, changed)
    assert np.array_equal(before[:place], after[:place])
    assert before[place] != after[place]
    assert not np.isclose(before[-1], after[-1])


def test_the_weights_are_restored_bit_for_bit(folder: Path) -> None:
    own = reading(folder, TEXT)
    own.model.train()
    before = [parameter.detach().clone() for parameter in own.model.parameters()]
    pieces = dynamic_scored(own, rate=1e-2, decay=1e-3)
    next(pieces)
    next(pieces)
    assert not any(torch.equal(a, b) for a, b in zip(before[-1:], own.model.parameters(), strict=False))
    pieces.close()  # a reader that stops early
    assert own.model.training
    dynamic_score(own, rate=1e-2)
    assert all(torch.equal(a, b) for a, b in zip(before, own.model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in own.model.parameters())


def test_whoever_reads_keeps_their_own_modes(folder: Path) -> None:
    with torch.no_grad():
        for _ in dynamic_scored(reading(folder, TEXT), rate=1e-2):
            assert not torch.is_grad_enabled()
            assert torch.backends.cudnn.enabled


def test_a_text_that_repeats_itself_is_learned(folder: Path) -> None:
    own = reading(folder, TEXT * 4)
    assert dynamic_score(own, rate=1e-2).nats < 0.85 * own.score().nats


def test_decay_goes_all_the_way_back(folder: Path) -> None:
    """With a decay of 1 only the last segment's step is left, whose size is at most rate · √segments an element."""
    own = reading(folder, TEXT)
    weights = next(own.model.parameters())
    trained = weights.detach().clone()
    for segment, _ in enumerate(dynamic_scored(own, rate=1e-3, decay=1.0)):
        assert float((weights.detach() - trained).abs().max()) <= 1e-3 * max(segment, 1) ** 0.5 * 1.001
    assert segment > 3


def test_unknown_characters_are_neither_scored_nor_learned(folder: Path) -> None:
    own = reading(folder, "X" * 150 + "abc")
    found = dynamic_score(own, rate=1e-2)
    assert (found.characters, found.unknown) == (4, 150)


def test_a_rate_that_is_too_high_is_told(folder: Path) -> None:
    with pytest.raises(DivergedError, match="lower dynamic_rate"):
        dynamic_score(reading(folder, TEXT, "rnn-relu"), rate=1e38)
