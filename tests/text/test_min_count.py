"""Characters that are met too seldom are unknown to the model that learns the text."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import DataError, UsageError
from charrnn.evaluation.evaluate import open_reading
from charrnn.evaluation.novelty import novelty
from charrnn.settings.text import TextConfig
from charrnn.text import corpus as corpus_module
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import resume, train
from tests.conftest import InProcess, everything, tiny_run
from tests.text.reading import read, texts_of

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_a_folder
@given(
    lines=st.lists(st.text("aab한é\u0301", min_size=2), min_size=3, max_size=9),
    least=st.integers(1, 5),
    documents=st.sampled_from(["none", "line"]),
    small=st.sampled_from([0, 2**24]),
)
def test_the_vocabulary_is_of_what_is_learned_often(
    folder: Path, lines: list[str], least: int, documents: str, small: int
) -> None:
    Path("a.txt").write_text("\n".join(lines))
    options = {"documents": documents, "validation": 0.3}
    whole = Vocabulary.of("".join(lines) + "\n", "character")
    learned = read_corpus(TextConfig(corpus=("a.txt",), **options), 1, whole)  # type: ignore[arg-type]
    counts = Counter("".join(texts_of(learned.tokens, whole)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "SMALL", small)
        patch.setenv("CHARRNN_CACHE", "cache")
        if max(counts.values()) < least:
            with pytest.raises(DataError, match="leaves no character to learn"):
                read("a.txt", seed=1, min_count=least, **options)
            return
        corpus = read("a.txt", seed=1, min_count=least, **options)
    assert set(corpus.vocabulary.characters) == {each for each, count in counts.items() if count >= least}
    unknown = int(np.count_nonzero(corpus.tokens.ids == corpus.vocabulary.unknown))
    rare = {each: count for each, count in counts.items() if count < least}
    assert unknown == sum(rare.values())
    told = [notice for notice in corpus.notices if "learned as unknown" in notice]
    assert len(told) == bool(rare)
    assert all(f"{len(rare)} character" in notice and f", {unknown} in all" in notice for notice in told)


def test_the_rarest_are_told_and_escaped(folder: Path) -> None:
    Path("a.txt").write_text("a" * 99 + "\x1b" + "한한" + "".join(map(chr, range(0x400, 0x40F))))
    (notice,) = read("a.txt", seed=1, min_count=3, validation=0).notices
    assert notice.startswith("17 characters are met less than 3 times, 18 in all, and learned as unknown: '\\x1b', ")
    assert notice.endswith(", …")
    with pytest.raises(DataError, match="leaves no character to learn: the commonest, 'a', is met 99 times"):
        read("a.txt", seed=1, min_count=100, validation=0)
    assert len(read("a.txt", min_count=3).vocabulary.characters) == 18  # of a text to be scored


def test_what_a_model_knows_it_goes_on_knowing(folder: Path) -> None:
    Path("a.txt").write_text("a" * 99 + "bcc")
    config = TextConfig(corpus=("a.txt",), min_count=2, validation=0)
    corpus = read_corpus(config, 1, known=Vocabulary.of("bx", "character"))
    assert corpus.vocabulary.characters == "abcx"


def test_bytes_are_all_known() -> None:
    with pytest.raises(UsageError, match="cannot go with min_count"):
        TextConfig(unit="byte", min_count=2)


@pytest.mark.slow
def test_a_run_goes_on_and_is_scored_with_them_unknown(folder: Path) -> None:
    Path("a.txt").write_text("the cat sat. " * 30 + "Ω" + "the cat sat. " * 30 + "xΩ the cat sat")
    config = tiny_run(Path("a.txt").absolute(), validation=0.1, min_count=3)
    list(train(config, "run"))
    list(train(config, "halved", iter([False] * 7 + [True]).__next__))
    list(resume(find_resumable("checkpoints/halved"), {}))
    assert everything(Path("checkpoints/halved")) == everything(Path("checkpoints/run"))
    latest = Run(Path("checkpoints/run")).pointed("latest")
    assert latest is not None
    checkpoint = from_file(latest)
    assert checkpoint.vocabulary.characters == "".join(sorted(set("the cat sat. ")))
    assert open_reading(checkpoint).score().unknown == 2
    assert open_reading(checkpoint, ("a.txt",)).score().unknown == 3
    assert all(each.share is None or each.share <= 1 for each in novelty(checkpoint).shares)


def test_a_dry_run_tells_of_them(folder: Path, in_process: InProcess) -> None:
    Path("a.txt").write_text("the cat sat. " * 90 + "Ω")
    small = ("--hidden-size", "8", "--layers", "1", "--steps", "9", "--validation", "0")
    out, told = in_process("train", "a.txt", "--min-count", "2", "--dry-run", *small)
    assert "1 character is met less than 2 times, 1 in all, and learned as unknown: 'Ω'" in told
    assert f"vocabulary_size {len(set('the cat sat. ')) + 3}\n" in out
