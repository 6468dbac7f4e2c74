"""The text that a model was trained on, read again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from charrnn.errors import DataError
from charrnn.messages import named
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.places import is_kept, places
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["held_out_text", "own_text", "read_again", "training_text"]

_HINT = f"name a text to compare with: {named('corpus', 'PATH')}"


def training_text(
    run: RunConfig,
    vocabulary: Vocabulary,
    home: Path | None,
    sources: Sequence[str] = (),
    encoding: str | None = None,
) -> Corpus:
    """The text of `sources`, or without any the text of the run, with the same part held out.

    `sources` are in UTF-8 unless another `encoding` is named. Their documents need no labels, even if those of the run
    have some. `home` is the folder that has the run's checkpoint.

    Raises:
        DataError: the run's text is gone, has changed, or came from standard input and was not kept.
        CharrnnError: as `read_corpus` does.
    """
    if sources:
        return read_corpus(
            replace(run.text, corpus=tuple(sources), encoding=encoding or TextConfig.encoding),
            labels=vocabulary.labels or None,
        )
    return own_text(run, vocabulary, home, _HINT)


def own_text(run: RunConfig, vocabulary: Vocabulary, home: Path | None, hint: str) -> Corpus:
    """The text of the run; `hint` tells the user what to do if it cannot be read.

    Its vocabulary is the model's, but where what is held out has characters that the model does not: then more.
    `home` is the folder that has the run's checkpoint.

    Raises:
        DataError: the text is gone, has changed, or came from standard input and was not kept.
    """
    if not run.text.corpus:
        raise DataError(f"the model does not know on which text it was trained; {hint}")
    if "-" in run.text.corpus and not is_kept(home):
        raise DataError(f"the model was trained on standard input, which cannot be read again; {hint}")
    try:
        corpus = read_again(run, home, vocabulary)
        is_the_same = _is_as_recorded(corpus, run)
        more = set(corpus.characters) - set(vocabulary.characters)
        if is_the_same and run.text.unit == "character" and more:
            labels = dict(zip(vocabulary.labels, vocabulary.label_counts, strict=True))
            whole = Vocabulary.of(vocabulary.characters + "".join(more), run.text.unit, labels)
            corpus = read_again(run, home, whole)
    except DataError as error:
        raise DataError(f"the text of the model's own run cannot be read again: {error.message}\n{hint}") from error
    if not is_the_same:
        name = run.text.corpus if corpus.sha256 != run.record.corpus_sha256 else (run.text.validation_file or "",)
        raise DataError(f"{', '.join(name)} has changed since the model was trained on it; {hint}")
    return corpus


def read_again(run: RunConfig, home: Path | None, vocabulary: Vocabulary) -> Corpus:
    """Read the text of a run at the first place that has the bytes which it learned, or else at the first that has any
    text of that name: the digest tells which. Standard input is read if that was the text and no copy was kept.

    Raises:
        DataError: there is none.
    """
    names = [*run.text.corpus, *([run.text.validation_file] if run.text.validation_file else [])]
    tried = list(places(names, home))
    other: Corpus | None = None
    failed: list[DataError] = []
    for place in tried:
        try:
            shares_characters = bool(run.record.shares_characters)
            corpus = read_corpus(
                run.text, run.training.seed, vocabulary, shares_characters=shares_characters, place=place
            )
        except DataError as error:
            failed.append(error)
            continue
        if _is_as_recorded(corpus, run):
            return corpus
        other = other or corpus
    if other:
        return other
    where = f"\nlooked for in {', '.join(str(place.folder.absolute()) for place in tried)}" if len(tried) > 1 else ""
    raise DataError(f"{failed[0].message}{where}")


def _is_as_recorded(corpus: Corpus, run: RunConfig) -> bool:
    record = run.record
    return (corpus.sha256, corpus.validation_sha256) == (record.corpus_sha256, record.validation_sha256)


def held_out_text(run: RunConfig, vocabulary: Vocabulary, home: Path | None, hint: str) -> tuple[Corpus, Tokens | None]:
    """The text that was held out from the run, as token ids of the vocabulary of the first; None if nothing was.

    Of a run with a file for validation, this is all that is read.

    Raises:
        DataError: as `own_text`.
    """
    if run.text.validation_file is None:
        corpus = own_text(run, vocabulary, home, hint)
        return corpus, corpus.validation
    text = replace(run.text, corpus=(run.text.validation_file,), validation_file=None, validation=0.0)
    record = replace(run.record, corpus_sha256=run.record.validation_sha256, validation_sha256=None)
    corpus = own_text(replace(run, text=text, record=record), vocabulary, home, hint)
    return corpus, corpus.tokens
