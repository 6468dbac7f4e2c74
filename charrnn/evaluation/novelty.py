"""Novelty of a text: the share of its K-grams that are also in the text that a model has learned."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError
from charrnn.text.corpus import Corpus
from charrnn.text.grams import Grams, count_shared
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.training_text import own_text, training_text
from charrnn.text.vocabulary import Vocabulary

__all__ = ["SIZES", "Novelty", "Share", "novelty", "written_novelty"]

SIZES = (5, 10, 15, 20, 30, 40, 50)


class Share(NamedTuple):
    """Number of K-grams of a text, repeated ones counted each time, and of those that are also in the other text."""

    k: int
    grams: int
    copied: int

    @property
    def share(self) -> float | None:
        """Share of K-grams that are copied, 0 to 1; None where the text has no K-gram."""
        return self.copied / self.grams if self.grams else None


class Novelty(NamedTuple):
    """Names of the two texts compared, and the share for each of `SIZES`, which is counted when it is asked for."""

    text: str
    corpus: str
    shares: Iterator[Share]
    notices: tuple[str, ...]


def novelty(
    checkpoint: Checkpoint, sources: Sequence[str] = (), corpus: Sequence[str] = (), *, encoding: str | None = None
) -> Novelty:
    """Compare the text of `sources`, or the model's validation text, with that of `corpus`, or the training text.

    Texts that are named are in UTF-8 unless another `encoding` is. Both are divided into units and documents as the
    training text was; labels are optional. A K-gram lies within one document.

    Raises:
        DataError: the text is empty; the run's own is needed and is gone, has changed, or holds out nothing.
        CharrnnError: as `read_corpus` does.
    """
    run, own_name = checkpoint.config, ", ".join(checkpoint.config.text.corpus)
    own_run = run, checkpoint.vocabulary, checkpoint.folder
    learned = training_text(*own_run, corpus, encoding)
    if sources:
        read = training_text(*own_run, sources, encoding)
        tokens, vocabulary, notices = read.tokens, read.vocabulary, read.notices
    else:
        own = training_text(*own_run) if corpus else learned
        tokens, vocabulary, notices = _held_out(own), own.vocabulary, ()
    if not tokens.targets:
        raise DataError(f"{', '.join(sources)} has no text to compare")
    return Novelty(
        ", ".join(sources) or run.text.held_out_name,
        ", ".join(corpus) or f"the training text of {own_name}",
        _shares(tokens, vocabulary, learned),
        (*notices, *learned.notices),
    )


def written_novelty(checkpoint: Checkpoint, documents: Sequence[str], hint: str) -> list[tuple[Share, Share | None]]:
    """Compare documents that a model has written, in its units, with the text that it has learned.

    Beside each share is that of the validation text, which is what people share with each other; None without one.

    Raises:
        DataError: the run's text is gone or has changed; `hint` tells the user what to do.
    """
    learned = own_text(checkpoint.config, checkpoint.vocabulary, checkpoint.folder, hint)
    tokens = tokenize([each for each in documents if each], checkpoint.vocabulary)
    written = _shares(tokens, checkpoint.vocabulary, learned)
    if learned.validation is None:
        return [(share, None) for share in written]
    return list(zip(written, _shares(learned.validation, learned.vocabulary, learned), strict=True))


def _held_out(corpus: Corpus) -> Tokens:
    if corpus.validation is None:
        raise DataError("the model was trained without validation text; name the text to compare")
    return corpus.validation


def _shares(tokens: Tokens, vocabulary: Vocabulary, learned: Corpus) -> Iterator[Share]:
    for k in SIZES:
        own = Grams(tokens, vocabulary, k)
        yield Share(k, own.count, count_shared(own, Grams(learned.tokens, learned.vocabulary, k)))
