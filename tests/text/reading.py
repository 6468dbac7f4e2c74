"""What the tests of texts share: documents as they were encoded, in letters again."""

from pathlib import Path

from charrnn.settings.text import TextConfig
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["documents_of", "read", "texts_of"]


def read(*sources: str | Path, seed: int | None = None, **options: object) -> Corpus:
    return read_corpus(TextConfig(corpus=tuple(map(str, sources)), **options), seed)  # type: ignore[arg-type]


def texts_of(tokens: Tokens | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    """The documents, which are between a start and an end token each."""
    if tokens is None:
        return ()
    pieces = [tokens.ids[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]
    assert all((piece[0], piece[-1]) == (vocabulary.start, vocabulary.end) for piece in pieces)
    assert len(tokens.ids) == tokens.offsets[-1]
    return tuple(vocabulary.decode(piece[1:-1]) for piece in pieces)


def documents_of(corpus: Corpus) -> tuple[str, ...]:
    """Those that are not held out."""
    return texts_of(corpus.tokens, corpus.vocabulary)
