"""Preparation of a training from a configuration: corpus, split, vocabulary, token ids, chosen sizes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial

import torch

from charrnn.checkpoint.format import Checkpoint
from charrnn.distributed import own_ranks
from charrnn.errors import UsageError
from charrnn.messages import counted, named
from charrnn.runtime import choose_device
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batches, Episodes, Tapes
from charrnn.text.corpus import read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import preset
from charrnn.training.finetune import take_over
from charrnn.training.pace import measured_pace

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """A configuration with nothing left open, and the texts it names; `start` is a model to be trained further.

    `own_vocabulary_fits` is false where a run goes on whose vocabulary is not that of its text.
    """

    config: RunConfig
    vocabulary: Vocabulary
    training: Tokens
    validation: Tokens | None
    device: torch.device
    notices: tuple[str, ...]
    start: Checkpoint | None = None
    own_vocabulary_fits: bool = True

    def batches(self) -> Batches:
        """The training text in batches, one for each step."""
        training = self.config.training
        if training.batch_size is None or training.sequence_length is None:
            raise ValueError("batch_size and sequence_length are not chosen yet")
        if self.config.text.documents == "none":
            return Tapes(self.training, training.batch_size, training.sequence_length)
        return Episodes(self.training, training.batch_size, training.sequence_length, training.seed)


def prepare(
    config: RunConfig, given: Collection[str] = (), own: Vocabulary | None = None, *, may_know_more: bool = False
) -> Setup:
    """Read the corpus and choose the open settings of `config`.

    A recorded plan is kept only while the corpus is the one it was recorded with.

    Args:
        given: settings that were asked for, even if they are the defaults; a model to train further must have them.
        own: the vocabulary of a run that goes on, which may have more than its text where it began with a model.

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
    corpus = read_corpus(config.text, config.training.seed, vocabulary=own, known=known)
    notices += corpus.notices
    if start and (new := len(corpus.vocabulary.characters) - len(start.vocabulary.characters)):
        notices.append(f"{counted(new, 'character')} {'is' if new == 1 else 'are'} new to the model")
    record = replace(config.record, corpus_sha256=corpus.sha256, validation_sha256=corpus.validation_sha256)
    if config.record.plan and record != config.record:
        notices.append("the text is not the one of the recorded run: this is a new run with the same settings")
        record = replace(record, plan=())
    config = replace(config, record=record)
    if config.training.patience and corpus.validation is None:
        raise UsageError(f"{named('patience')} needs validation text, and there is none")
    pace = partial(measured_pace, vocabulary_size=corpus.vocabulary.size, device=device)
    config, chosen = preset.choose(config, corpus.tokens, device.type, gpus=ranks, pace=pace)
    rows = config.training.batch_size
    if rows is not None and rows < ranks:
        raise UsageError(f"a batch of {rows} cannot be divided among {ranks} processes; train with {rows} at most")
    fits = own is None or corpus.fits(own, may_have_more=may_know_more)
    told = (*notices, *chosen)
    return Setup(config, corpus.vocabulary, corpus.tokens, corpus.validation, device, told, start, fits)
