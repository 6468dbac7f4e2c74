"""A step of learning does without waits for the device; and where batches are looked up makes no difference."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from charrnn.distributed import Ranks
from charrnn.errors import DivergedError
from charrnn.events import Finished, Skipped
from charrnn.model import CharacterModel
from charrnn.recurrent.registry import CORES
from charrnn.settings.run import RunConfig
from charrnn.text.batches import Batches, Episodes, Tapes
from charrnn.text.tokens import Tokens, offsets_of
from charrnn.training import learner, loop
from charrnn.training.learner import Learner, looked_up
from charrnn.training.loss_monitor import LossMonitor
from charrnn.training.setup import prepare
from tests.conftest import everything, tiny_run


class Waits(TorchDispatchMode):
    """Counts what a GPU could only answer after all that was asked of it before: values, and shapes made of them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: dict[str, Any] | None = None
    ) -> object:
        name = function.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique_dim", "_unique2"):
            self.found.append(name)
        return function(*arguments, **(options or {}))


def learner_of(config: RunConfig) -> tuple[Learner, Batches]:
    setup = prepare(config)
    model = CharacterModel(setup.config.model, setup.vocabulary.size, setup.vocabulary.unknown)
    return Learner(model.train(), setup.config.training, setup.training.ids, Ranks()), setup.batches()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cell", CORES)
def test_a_step_waits_for_nothing(small_text: Path, cell: str, precision: str) -> None:
    config = tiny_run(small_text, cell=cell, precision=precision, recurrent_dropout=0.1)
    ours, batches = learner_of(config)
    with Waits() as waits:
        numbers = [ours.learn(batches.batch(step), step, 0.01) for step in range(2)]
        assert not waits.found
        assert torch.stack(numbers).isfinite().all()  # which is one, so that they would be counted
        assert waits.found == ["_local_scalar_dense"]


texts = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(texts, st.integers(1, 9), st.integers(1, 20), st.sampled_from([np.uint8, np.int32]))
def test_batches_are_the_same_wherever_they_are_looked_up(
    lengths: list[int], rows: int, columns: int, dtype: type[np.integer[Any]]
) -> None:
    def of(lengths: Iterable[int]) -> Tokens:
        offsets = offsets_of(np.array(list(lengths)))
        return Tokens(np.random.default_rng(1).integers(0, 200, offsets[-1]).astype(dtype), offsets)

    documents, one = of(lengths), of([sum(lengths)])
    kinds: list[tuple[Tokens, Batches]] = [
        (documents, Episodes(documents, rows, columns, seed=1)),
        (one, Tapes(one, rows, columns)),
    ]
    for tokens, batches in kinds:
        copy = torch.from_numpy(tokens.ids.copy())
        for step in range(batches.steps_per_epoch):
            batch = batches.batch(step)
            inputs, targets = looked_up(copy, batch)
            assert inputs.dtype == targets.dtype == torch.int64
            assert np.array_equal(inputs.numpy(), batch.inputs)
            assert np.array_equal(targets.numpy(), batch.targets)


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The steps, counted from 1, whose loss is not to be a number."""
    steps: set[int] = set()
    real = Learner.learn

    def learn(self: Learner, batch: Any, step: int, rate: float) -> torch.Tensor:
        with monkeypatch.context() as context:
            if step + 1 in steps:
                entropy = torch.nn.functional.cross_entropy
                context.setattr(learner.F, "cross_entropy", lambda *a, **o: entropy(*a, **o) * float("nan"))
            return real(self, batch, step, rate)

    monkeypatch.setattr(Learner, "learn", learn)
    return steps


def test_numbers_read_late_are_those_read_at_once(
    small_text: Path, spoil: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a GPU's are: skips are told later, and all that is learned, counted and saved is the same."""
    spoil |= {2, 3, 7, 12}
    config = tiny_run(small_text, report_every=4)
    outcomes = []
    for name, late in (("at-once", False), ("late", True)):
        with monkeypatch.context() as context:
            if late:
                context.setattr(LossMonitor, "is_due", lambda *_: False)
            events = list(loop.train(config, name))
        skipped = [event for event in events if isinstance(event, Skipped)]
        assert [event.step for event in skipped] == sorted(spoil)
        assert isinstance(events[-1], Finished)
        *saved, lines = everything(events[-1].run)
        outcomes.append((saved, lines, [(event.skipped, event.skipped_in_a_row) for event in skipped]))
    assert outcomes[0] == outcomes[1]


def test_a_divergence_that_is_read_late_is_one(
    small_text: Path, spoil: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil |= {2, 3, 4, 5, 6}
    monkeypatch.setattr(LossMonitor, "is_due", lambda *_: False)
    with pytest.raises(DivergedError, match="diverged at step 6: 5 steps in a row"):
        list(loop.train(tiny_run(small_text, report_every=8, validate_every=12), "late"))
