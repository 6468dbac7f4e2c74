"""Breaks one promise of the package on purpose, in a test run of its own:

    SABOTAGE="no digest" python -m pytest -p tests.sabotage tests/checkpoint/test_damage.py

`tests/test_safety_net.py` does so for each, and demands that a test turns red.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from charrnn import files
from charrnn.checkpoint import format, header, store
from charrnn.checkpoint.format import Checkpoint, Counters
from charrnn.checkpoint.store import Run
from charrnn.cli.process import terminal
from charrnn.events import Skipped
from charrnn.recurrent.stack import StackState
from charrnn.sampling import prime
from charrnn.settings.text import TextConfig
from charrnn.text import spooled
from charrnn.training import learner, resume, session
from charrnn.training import loss_monitor as divergence
from charrnn.training.loss_monitor import LossMonitor
from charrnn.training.optimizer import Optimizer


class Break(NamedTuple):
    """How to break a promise, and the tests that hold it."""

    apply: Callable[[], None]
    tests: str


def _unsynced_files() -> None:
    source = Path(files.__file__).read_text("utf-8")
    careless = source.replace("os.fsync(descriptor)  #", "pass  #")
    assert careless != source
    exec(compile(careless, files.__file__, "exec"), vars(files))
    vars(store)["write_file"] = files.write_file


def _unsynced_folders() -> None:
    vars(files)["_sync_folder"] = lambda *_: None


def _written_in_place() -> None:
    def write_file(path: Path, data: bytes) -> None:
        path.write_bytes(data)

    vars(files)["write_file"] = vars(store)["write_file"] = write_file


def _failed_sync_taken_for_success() -> None:
    original = files.write_file

    def write_file(path: Path, data: bytes) -> None:
        with contextlib.suppress(files.ResourceError):  # type: ignore[attr-defined]
            original(path, data)

    vars(files)["write_file"] = vars(store)["write_file"] = write_file


def _followed_links() -> None:
    vars(files)["_OWN"] = os.O_CREAT


def _pointed_before_written() -> None:
    original = Run.save

    def save(self: Run, checkpoint: bytes, step: int, *, best: bool) -> Path:
        store.write_file(self.path / "latest", f"step-{step:08d}.safetensors\n".encode())
        return original(self, checkpoint, step, best=best)

    Run.save = save  # type: ignore[method-assign]


def _no_lock() -> None:
    @contextlib.contextmanager
    def locked(self: Run) -> Iterator[None]:
        yield

    Run.locked = locked  # type: ignore[method-assign]


def _no_digest() -> None:
    vars(format)["_digest"] = lambda *_: "0" * 64


def _any_numbers() -> None:
    numpy = vars(format)["np"]
    vars(format)["np"] = SimpleNamespace(**{**vars(numpy), "isfinite": lambda array: numpy.ones_like(array, bool)})


def _header_believed() -> None:
    vars(header)["MAX_BYTES"] = 2**62
    vars(header)["_is_sizes"] = lambda *_: True


def _whatever_can_be_read() -> None:
    original = format.from_file

    def from_file(path: Path, *, training: bool = False) -> Checkpoint:
        try:
            return original(path, training=training)
        except Exception:
            return original(Path(__file__).parent / "fixtures" / "version-1.safetensors", training=training)

    vars(format)["from_file"] = vars(resume)["from_file"] = from_file


def _random_state_dropped() -> None:
    original = session.restore

    def restore(*arguments: Any) -> StackState:
        state = original(*arguments)
        torch.manual_seed(0)
        return state

    vars(session)["restore"] = restore


def _carried_state_dropped() -> None:
    original = session.restore

    def restore(*arguments: Any) -> StackState:
        return tuple(type(layer)(*map(torch.zeros_like, layer)) for layer in original(*arguments))

    vars(session)["restore"] = restore


def _divergence_learned_from() -> None:
    vars(divergence)["math"] = SimpleNamespace(**{**vars(math), "isfinite": lambda _: True})
    vars(learner)["_is_bad"] = lambda _: torch.tensor(0.0)


def _skips_that_touch_the_moments() -> None:
    optimizers: list[Optimizer] = []
    judge = LossMonitor.judge

    def remembered(*arguments: Any) -> Optimizer:
        optimizers.append(Optimizer(*arguments))
        return optimizers[-1]

    def decaying(self: LossMonitor, *numbers: Any) -> Skipped | None:
        if skipped := judge(self, *numbers):
            for moments in optimizers[-1].moments.values():
                moments["exp_avg"] *= 0.9
        return skipped

    vars(learner)["Optimizer"] = remembered
    LossMonitor.judge = decaying  # type: ignore[method-assign]


def _skips_that_are_forgotten() -> None:
    original = LossMonitor.__init__

    def forgetful(self: LossMonitor, run: Run, counters: Counters, steps_per_epoch: int) -> None:
        original(self, run, replace(counters, skipped_in_a_row=0), steps_per_epoch)

    LossMonitor.__init__ = forgetful  # type: ignore[method-assign]


def _spoiled_state_carried_on() -> None:
    vars(learner)["begin_anew_where_not_finite"] = lambda state: state


def _bad_bytes_replaced() -> None:
    original = spooled.decoded

    def decoded(source: Any, config: TextConfig, chunks: Iterable[bytes], replaced: Any = None) -> Iterator[str]:
        return original(source, config, [b"".join(chunks).decode("utf-8", "replace").encode()], replaced)

    vars(spooled)["decoded"] = decoded


def _unknown_characters_dropped() -> None:
    original = prime.encode_prime
    vars(prime)["encode_prime"] = lambda text, config, vocabulary, *_: original(text, config, vocabulary, "skip")


def _terminal_trusted() -> None:
    vars(terminal)["safe"] = lambda text: text


_HOSTILE = "tests/checkpoint/test_hostile.py::test_a_hostile_file_is_refused_at_little_cost"
_EXACT_RESUME = "tests/training/test_loop.py::test_a_run_that_is_stopped_anywhere_and_resumed_is_the_uninterrupted_one"
_SKIPPED_WHOLE = "tests/training/test_numbers.py::test_a_step_that_is_not_finite_is_skipped_whole"
BREAKS = {
    "unsynced files": Break(_unsynced_files, "tests/checkpoint/test_power_cut.py"),
    "unsynced folders": Break(_unsynced_folders, "tests/checkpoint/test_power_cut.py"),
    "files written in place": Break(_written_in_place, "tests/checkpoint/test_faults.py"),
    "a failed sync taken for success": Break(_failed_sync_taken_for_success, "tests/checkpoint/test_faults.py"),
    "links followed": Break(
        _followed_links, "tests/checkpoint/test_faults.py::test_no_link_leads_a_log_or_a_lock_to_another_file"
    ),
    "pointed before written": Break(_pointed_before_written, "tests/checkpoint/test_power_cut.py"),
    "no lock": Break(_no_lock, "tests/checkpoint/test_store.py"),
    "no digest": Break(_no_digest, "tests/checkpoint/test_damage.py"),
    "any numbers": Break(_any_numbers, _HOSTILE + "[a weight that is nan]"),
    "header believed": Break(_header_believed, "tests/checkpoint/test_hostile.py"),
    "whatever can be read": Break(_whatever_can_be_read, "tests/training/test_resume_choice.py"),
    "random state dropped": Break(_random_state_dropped, _EXACT_RESUME),
    "carried state dropped": Break(_carried_state_dropped, _EXACT_RESUME),
    "divergence learned from": Break(_divergence_learned_from, _SKIPPED_WHOLE),
    "skips that touch the moments": Break(_skips_that_touch_the_moments, _SKIPPED_WHOLE),
    "skips that are forgotten": Break(
        _skips_that_are_forgotten, "tests/training/test_numbers.py::test_a_divergence_can_be_replayed"
    ),
    "spoiled state carried on": Break(_spoiled_state_carried_on, _SKIPPED_WHOLE),
    "bad bytes replaced": Break(
        _bad_bytes_replaced, "tests/text/test_properties.py::test_a_file_is_text_exactly_where_it_is_utf8"
    ),
    "unknown characters dropped": Break(_unknown_characters_dropped, "tests/sampling/test_prime.py"),
    "terminal trusted": Break(_terminal_trusted, "tests/cli/test_terminal.py"),
}


def pytest_configure() -> None:
    BREAKS[os.environ["SABOTAGE"]].apply()
