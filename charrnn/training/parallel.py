"""One training by several processes: announcements of rank 0, and the division of batches and states.

Every rank works out the whole batch and reads its own rows. A rank's loss is summed over its targets and divided by
the number of all ranks' targets, so that the sum over ranks is the loss that one process would have.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import DIVERGED, Run
from charrnn.distributed import Ranks, own_ranks
from charrnn.errors import DataError
from charrnn.recurrent.stack import StackState
from charrnn.recurrent.states import map_state
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batch
from charrnn.training.resume import prepare_again
from charrnn.training.setup import Setup, prepare

__all__ = ["FollowedRun", "announce", "follow_announced", "own_batch", "own_state", "whole_state"]


class FollowedRun(Run):
    """A run as the ranks other than 0 have it; they leave all writing to rank 0."""

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def append_sample(self, record: Mapping[str, Any]) -> None:
        """Do nothing."""

    def write_divergence(self, record: Mapping[str, Any]) -> Path:  # noqa: ARG002
        """Do nothing; the path at which rank 0 writes it."""
        return self.path / DIVERGED


def announce(setup: Setup, run: Run, resumed: Path | None = None) -> None:
    """Tell the other ranks, as rank 0, the configuration, the run, and the checkpoint to go on from, if any."""
    own_ranks().broadcast([setup.config.to_mapping(), str(run.path.absolute()), resumed and str(resumed.absolute())])


def follow_announced() -> tuple[Setup, FollowedRun, Checkpoint | None]:
    """Wait for the announcement of rank 0, and prepare the same training.

    Raises:
        CharrnnError: this rank cannot read what rank 0 has read.
    """
    tables, run, resumed = own_ranks().broadcast(None)
    config = RunConfig.from_mapping(tables, "rank 0")
    if resumed is None:
        setup, checkpoint = prepare(config), None
    else:
        path = Path(resumed)
        checkpoint = from_file(path, training=True)
        given: dict[str, Any] = {"device": config.training.device}
        if config.text.corpus != checkpoint.config.text.corpus:
            given["corpus"] = config.text.corpus
        setup = prepare_again(path, checkpoint, given, accept_new_corpus=True)
    digests = [(each.record.corpus_sha256, each.record.validation_sha256) for each in (setup.config, config)]
    if digests[0] != digests[1]:
        raise DataError("the text has changed while it was read; start again")
    return replace(setup, config=config), FollowedRun(Path(run)), checkpoint


def own_batch(batch: Batch, ranks: Ranks) -> Batch:
    """A rank's rows of a batch. With fewer rows than ranks it may be a row that has nothing to predict."""
    own = ranks.part(len(batch.offsets))
    if own.start < own.stop:
        return batch._replace(offsets=batch.offsets[own], counts=batch.counts[own])
    return batch._replace(offsets=batch.offsets[:1], counts=np.zeros_like(batch.counts[:1]))


def own_state(state: StackState, ranks: Ranks) -> StackState:
    """A rank's rows of the state of all, as in `own_batch`."""

    def rows(part: Tensor) -> Tensor:
        """This rank's rows of one array; the first row if it has none."""
        own = ranks.part(len(part))
        return part[own] if own.start < own.stop else part[:1]

    found: StackState = map_state(rows, state)
    return found


def whole_state(state: StackState, rows: int, ranks: Ranks) -> StackState:
    """The state of all `rows` of a batch, gathered from the ranks."""
    found: StackState = map_state(lambda part: ranks.gather(part, rows), state)
    return found
