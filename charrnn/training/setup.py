"""From a configuration to everything that a training reads: corpus, split, vocabulary, token ids, chosen sizes."""

from dataclasses import dataclass, replace

import torch

from charrnn.config import RunConfig
from charrnn.errors import UsageError
from charrnn.runtime import choose_device
from charrnn.text.batches import Batches, Episodes, Tapes
from charrnn.text.corpus import read_corpus
from charrnn.text.tokens import Tokens
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import preset

__all__ = ["Setup", "prepare"]


@dataclass(frozen=True)
class Setup:
    """A configuration with nothing left open, and what it refers to."""

    config: RunConfig
    vocabulary: Vocabulary
    training: Tokens
    validation: Tokens | None
    device: torch.device
    notices: tuple[str, ...]

    def batches(self) -> Batches:
        """The training text by steps."""
        training = self.config.training
        if training.batch_size is None or training.sequence_length is None:
            raise ValueError("batch_size and sequence_length are not chosen yet")
        if self.config.text.documents == "none":
            return Tapes(self.training, training.batch_size, training.sequence_length)
        return Episodes(self.training, training.batch_size, training.sequence_length, training.seed)


def prepare(config: RunConfig) -> Setup:
    """Read the corpus and choose what `config` leaves open.

    A recorded plan is kept only while the corpus is the one it was recorded with.

    Raises:
        DataError, UsageError, ResourceError: as `read_corpus` and `choose_device` do.
    """
    device = choose_device(config.training.device)
    corpus = read_corpus(config.text, config.training.seed)
    notices = list(corpus.notices)
    record = replace(config.record, corpus_sha256=corpus.sha256)
    if config.record.plan and config.record.corpus_sha256 != corpus.sha256:
        notices.append("the text is not the one of the recorded run: this is a new run with the same settings")
        record = replace(record, plan=())
    config = replace(config, record=record)
    if config.training.patience and corpus.validation is None:
        raise UsageError("--patience needs validation text, and there is none")
    config, chosen = preset.choose(config, corpus.tokens, device.type)
    return Setup(config, corpus.vocabulary, corpus.tokens, corpus.validation, device, (*notices, *chosen))
