"""How well a checkpoint predicts a text: its own validation text, or any other."""

from dataclasses import replace
from typing import Literal, NamedTuple

from charrnn.checkpoint.format import Checkpoint
from charrnn.config import Device, RunConfig
from charrnn.errors import DataError
from charrnn.evaluation.scoring import Score, carried, score, windowed
from charrnn.model import model_from_arrays
from charrnn.runtime import choose_device
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """A score, and what was scored how."""

    score: Score
    protocol: str
    text: str
    notices: tuple[str, ...]


def evaluate(
    checkpoint: Checkpoint,
    sources: tuple[str, ...] = (),
    *,
    encoding: str | None = None,
    protocol: Literal["carried", "windowed"] = "carried",
    window: int = 256,
    device: Device = "auto",
) -> Evaluation:
    """Score `sources`, or without any the validation text of the model's own run.

    The text is taken apart into units and documents as the model's training text was. `carried` reads each document
    in one go; `windowed` reads windows of `window` targets, each from a zero state.

    Raises:
        DataError: the text has nothing to score, or the run's own has changed or holds out nothing.
        CharrnnError: as `read_corpus` and `choose_device` do.
    """
    run, vocabulary = checkpoint.config, checkpoint.vocabulary
    tokens: Tokens | None
    if sources:
        named = replace(run.text, corpus=sources, encoding=encoding or run.text.encoding)
        corpus = read_corpus(named, vocabulary=vocabulary)
        tokens, text = corpus.tokens, ", ".join(sources)
    else:
        corpus = _own_corpus(run, vocabulary)
        tokens, text = corpus.validation, f"the validation text of {', '.join(run.text.corpus)}"
    if tokens is None or not tokens.targets:
        raise DataError(f"{text} has nothing to score" if sources else f"the model was trained without {_ASK}")
    model = model_from_arrays(run.model, vocabulary, checkpoint.model).to(choose_device(device))
    segments = carried(tokens) if protocol == "carried" else windowed(tokens, window)
    name = protocol if protocol == "carried" else f"windowed {window}"
    return Evaluation(score(model, tokens, segments, vocabulary), name, text, corpus.notices)


_ASK = "validation text of its own; name the text to score: charrnn eval TEXT"


def _own_corpus(run: RunConfig, vocabulary: Vocabulary) -> Corpus:
    if "-" in run.text.corpus:
        raise DataError(f"the model was trained on standard input and has no {_ASK}")
    try:
        corpus = read_corpus(run.text, run.training.seed, vocabulary)
    except DataError as error:
        raise DataError(f"{error}\nwithout it the model has no {_ASK}") from error
    if corpus.sha256 != run.record.corpus_sha256:
        raise DataError(
            f"{', '.join(run.text.corpus)} has changed since the model was trained on it, so the model has no {_ASK}"
        )
    return corpus
