"""Preparation of a training from a configuration: corpus, split, vocabulary, token ids, chosen sizes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from charrnn.checkpoint.format import Checkpoint
from charrnn.distributed import own_ranks
from charrnn.errors import UsageError
from charrnn.messages import counted, named
from charrnn.runtime import choose_device
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batches, Episodes, Tapes
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.lead_in import lead_in
from charrnn.text.likeness import about_held_out
from charrnn.text.places import TextCopy
from charrnn.text.spool import SMALL, Spool
from charrnn.text.tokens import Tokens
from charrnn.text.training_text import read_again
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import preset
from charrnn.training.clock import RecordedSteps
from charrnn.training.finetune import take_over
from charrnn.training.ngrams import choose_ngrams
from charrnn.training.pace import measured_pace

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """A configuration with nothing left open, and the texts it names; `start` is a model to be trained further.

    `own_vocabulary_fits` is false where a run goes on whose vocabulary is not that of its text. `copy` is a copy of the
    text, for the run to keep; `steps` are those at which a run that is repeated reported and validated.
    """

    config: RunConfig
    vocabulary: Vocabulary
    training: Tokens
    validation: Tokens | None
    device: torch.device
    notices: tuple[str, ...]
    start: Checkpoint | None = None
    own_vocabulary_fits: bool = True
    copy: TextCopy | None = None
    steps: RecordedSteps | None = None

    def batches(self) -> Batches:
        """The training text in batches, one for each step."""
        training = self.config.training
        if training.batch_size is None or training.sequence_length is None:
            raise ValueError("batch_size and sequence_length are not chosen yet")
        if self.config.text.documents == "none":
            return Tapes(self.training, training.batch_size, training.sequence_length)
        return Episodes(self.training, training.batch_size, training.sequence_length, training.seed)


def prepare(
    config: RunConfig,
    given: Collection[str] = (),
    own: Vocabulary | None = None,
    *,
    may_know_more: bool = False,
    home: Path | None = None,
    keep_text: bool = False,
) -> Setup:
    """Read the corpus and choose the open settings of `config`.

    A recorded plan is kept only while the corpus is the one it was recorded with.

    Args:
        given: settings that were asked for, even if they are the defaults; a model to train further must have them.
        own: the vocabulary of a run that goes on, which may have more than its text where it began with a model.
        home: the folder of a run that goes on, to look for its text from there, too.
        keep_text: copy the text, for the run to keep.

    Raises:
        CharrnnError: as `read_corpus`, `choose_device` and `take_over` do.
    """
    device = choose_device(config.training.device)
    ranks = own_ranks().count
    if ranks > 1 and "-" in config.text.corpus:
        raise UsageError(f"standard input cannot be read by {ranks} processes; save the text in a file and name that")
    notices: list[str] = []
    start = known = None
    if config.training.from_model is not None:
        config, start, notices = take_over(config, given)
        known = start.vocabulary
    corpus, copy, about_text = _read(config, home, own, known, keep_text=keep_text)
    notices += about_text
    if config.text.documents == "none" and corpus.validation is not None:
        notices += about_held_out(corpus.tokens.ids[1:-1], corpus.validation.ids[1:-1], config.text)
    if start and (new := len(corpus.vocabulary.characters) - len(start.vocabulary.characters)):
        notices.append(f"{counted(new, 'character')} {'is' if new == 1 else 'are'} new to the model")
    config, about_record = _recorded(config, corpus, own)
    notices += about_record
    if config.training.patience and corpus.validation is None:
        raise UsageError(f"{named('patience')} needs validation text, and there is none")
    pace = partial(measured_pace, vocabulary_size=corpus.vocabulary.size, device=device)
    config, chosen = preset.choose(config, corpus.tokens, device.type, gpus=ranks, pace=pace)
    config, about_ngrams = choose_ngrams(config, corpus.tokens, is_judged=corpus.validation is not None)
    rows = config.training.batch_size
    if rows is not None and rows < ranks:
        raise UsageError(f"a batch of {rows} cannot be divided among {ranks} processes; train with {rows} at most")
    fits = own is None or corpus.fits(own, may_have_more=may_know_more)
    told = (*notices, *chosen, *about_ngrams)
    return Setup(config, corpus.vocabulary, corpus.tokens, corpus.validation, device, told, start, fits, copy)


def _shares_characters(config: RunConfig, own: Vocabulary | None) -> bool | None:
    """True for a new run of files, which holds out a share of their characters; else as recorded."""
    is_new = config.text.documents == "file" and own is None and not config.record.plan
    return True if is_new else config.record.shares_characters


def _recorded(config: RunConfig, corpus: Corpus, own: Vocabulary | None) -> tuple[RunConfig, list[str]]:
    """The configuration with the record of its text, without a plan that was made for another, and notices."""
    leads_in = lead_in(corpus.tokens, corpus.vocabulary) if config.text.documents == "none" else None
    digests = corpus.sha256, corpus.validation_sha256
    is_as_recorded = digests == (config.record.corpus_sha256, config.record.validation_sha256)
    record = replace(
        config.record,
        corpus_sha256=digests[0],
        validation_sha256=digests[1],
        lead_in=leads_in,
        shares_characters=_shares_characters(config, own),
    )
    if not config.record.plan or is_as_recorded:
        return replace(config, record=record), []
    notice = "the text is not the one of the recorded run: this is a new run with the same settings"
    return replace(config, record=replace(record, plan=())), [notice]


def _read(
    config: RunConfig, home: Path | None, own: Vocabulary | None, known: Vocabulary | None, *, keep_text: bool
) -> tuple[Corpus, TextCopy | None, list[str]]:
    """The text of a new run, with a copy if that is to be kept, or of one that goes on, wherever it is; and notices."""
    if own is not None and home is not None:
        corpus = read_again(config, home, own)
        return corpus, None, [*corpus.notices]
    copy = TextCopy(Spool(SMALL)) if keep_text else None
    shares_characters = bool(_shares_characters(config, own))
    corpus = read_corpus(
        config.text,
        config.training.seed,
        vocabulary=own,
        known=known,
        shares_characters=shares_characters,
        copy=copy,
    )
    notices = [*corpus.notices]
    if "-" in config.text.corpus and own is None and not keep_text:
        alone = "the text came through standard input, and of it the run records only a digest"
        notices.append(f"{alone}; {named('keep_text', True)} keeps a copy in the run, for commands that need the text")
    return corpus, copy, notices
