"""Evaluation of a checkpoint on a text: its own validation text, or any other."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal, NamedTuple

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError, overflow
from charrnn.evaluation.characters import CharacterScore, character_scores
from charrnn.evaluation.scoring import ScoreSums, Segments, carried, score, scored, windowed
from charrnn.evaluation.with_ngrams import ScoredModel, model_of
from charrnn.messages import named
from charrnn.runtime import choose_device, keep_memory
from charrnn.settings.scoring import WINDOW
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Device
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.training_text import held_out_text
from charrnn.text.vocabulary import Ids, Vocabulary, check_label, known_form

__all__ = ["Evaluation", "Reading", "evaluate", "open_reading"]

_LARGE_SHARE = 0.01
_HEAD = 2**16  # tokens by which the form of a text is told

_HINT = "name the text to score"


class Evaluation(NamedTuple):
    """A score, the protocol, and the name of the text that was scored."""

    score: ScoreSums
    protocol: str
    text: str
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A text, in a vocabulary that has all of its characters, and a model that is to read it.

    `score` and `characters` raise `CheckpointError` if a cost is no finite number, as huge weights can make it.
    """

    model: ScoredModel
    model_vocabulary: Vocabulary
    tokens: Tokens
    vocabulary: Vocabulary
    segments: Segments
    protocol: str
    text: str
    notices: tuple[str, ...]
    bytes_before: Fraction = Fraction(1)
    label: str | None = None

    @cached_property
    def translation(self) -> Ids:
        """The model's id of each id of the text, (V,). Every document starts with the `label`, if there is one."""
        found = self.vocabulary.translation(self.model_vocabulary)
        if self.label is not None:
            found[list(self.vocabulary.starts)] = self.model_vocabulary.start_of(self.label)
        return found

    def score(self) -> ScoreSums:
        """The sums over all targets. Bytes are those of the text before it was treated, in UTF-8."""
        found = score(self.model, self.tokens, self.segments, self.model_vocabulary, translation=self.translation)
        _check(found.nats)
        ends = len(self.tokens.lengths)  # a byte each, however the text is treated
        return found._replace(bytes=ends + round((found.bytes - ends) * self.bytes_before))

    def about_unknown(self, score: ScoreSums) -> tuple[str, ...]:
        """A notice where a large share of the text is unknown to the model, so that its score says little."""
        share = score.unknown / max(score.unknown + score.characters, 1)
        if share < _LARGE_SHARE:
            return ()
        unknown = "".join(sorted(set(self.vocabulary.characters) - set(self.model_vocabulary.characters)))
        hint = f"is {named('encoding')} that of the text?"
        head = self.tokens.ids[:_HEAD]  # whole, as characters are known in another form only beside others
        if form := known_form(self.vocabulary.decode(head[head < self.vocabulary.start]), self.model_vocabulary):
            hint = f"the model knows them in {form.upper()}: normalise the text"
        shown = ", ".join(f"{ascii(each) if not each.isprintable() else each!r}" for each in unknown[:10])
        return (f"{share:.1%} of {self.text} is unknown to the model and not scored ({shown}); {hint}",)

    def characters(self, alternatives: int = 0) -> Iterator[CharacterScore]:
        """The score of each target, in the order of the text, with so many of the likeliest characters in its place.

        Their nats sum exactly to those of `score`.
        """
        known = self.model_vocabulary
        pieces = scored(
            self.model, self.tokens, self.segments, known, translation=self.translation, alternatives=alternatives
        )
        for each in character_scores(pieces, self.tokens, self.vocabulary, known):
            _check(each.nats or 0.0)
            yield each


def evaluate(
    checkpoint: Checkpoint,
    sources: tuple[str, ...] = (),
    *,
    encoding: str | None = None,
    protocol: Literal["carried", "windowed"] = "carried",
    window: int = WINDOW,
    device: Device = "auto",
) -> Evaluation:
    """The score of a text; the arguments are those of `open_reading`."""
    reading = open_reading(checkpoint, sources, encoding=encoding, protocol=protocol, window=window, device=device)
    return Evaluation(reading.score(), reading.protocol, reading.text, reading.notices)


def open_reading(
    checkpoint: Checkpoint,
    sources: tuple[str, ...] = (),
    *,
    encoding: str | None = None,
    protocol: Literal["carried", "windowed"] = "carried",
    window: int = WINDOW,
    device: Device = "auto",
    may_lack_label: bool = False,
    label: str | None = None,
    text: str | None = None,
    model: ScoredModel | None = None,
    hint: str = _HINT,
) -> Reading:
    """The model, and the `text`, or that of `sources`, or else the validation text of the model's own run.

    The text is in UTF-8 unless another `encoding` is named, whatever the training text was in, and it is divided into
    units and documents as that was. `carried` reads each document
    in one go; `windowed` reads windows of `window` targets, each from a zero state.
    Where the training text had labels, each document must have one that the model knows, unless it `may_lack_label`.
    With a `label`, every document is read as one of that label, whether it has one or not. A `model` that has been
    opened for another text is used again.
    `hint` tells the user what to do where the run's own text cannot be read.

    Raises:
        DataError: the text has nothing to score, or the run's own has changed or holds out nothing; a document has no
            label, or an unknown label.
        UsageError: the model does not know the `label`.
        CharrnnError: as `read_corpus` and `choose_device` do.
    """
    run, vocabulary = checkpoint.config, checkpoint.vocabulary
    label = check_label(label, vocabulary)
    if text is not None or sources:
        named_text = replace(run.text, corpus=sources, encoding=encoding or TextConfig.encoding)
        may_lack_label = may_lack_label or label is not None
        corpus, tokens, name = _given_text(named_text, text, vocabulary, may_lack_label=may_lack_label)
    else:
        corpus, held_out = held_out_text(run, vocabulary, checkpoint.folder, hint)
        if held_out is None:
            raise DataError(f"the model was trained without a validation text; {hint}")
        tokens, name = held_out, run.text.held_out_name
    if model is None:
        keep_memory()
        model = model_of(checkpoint, choose_device(device))
    segments = carried(tokens) if protocol == "carried" else windowed(tokens, window)
    told = protocol if protocol == "carried" else f"windowed {window}"
    notices, before = corpus.notices, corpus.bytes_before
    return Reading(model, vocabulary, tokens, corpus.vocabulary, segments, told, name, notices, before, label)


def _given_text(
    config: TextConfig, text: str | None, vocabulary: Vocabulary, *, may_lack_label: bool
) -> tuple[Corpus, Tokens, str]:
    """A text that was given, its tokens and its name. DataError as `open_reading`."""
    corpus = read_corpus(config, labels=vocabulary.labels if may_lack_label else None, text=text)
    name = config.corpus_name or "the text"
    if unknown := set(corpus.vocabulary.labels) - {*vocabulary.labels, ""}:
        raise DataError(f"{name} has the label {min(unknown)!r}; the model knows {vocabulary.listed_labels}")
    if not corpus.tokens.targets:
        raise DataError(f"{name} has nothing to score")
    return corpus, corpus.tokens, name


def _check(nats: float) -> None:
    if not math.isfinite(nats):
        raise overflow(f"the text costs the model {nats} nats")
