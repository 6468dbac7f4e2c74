"""Training on a GPU: repeated and resumed exactly, learning by default, and gone on with on a CPU."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Event, Finished, Reported, Validated
from charrnn.settings.run import RunConfig
from charrnn.training.loop import resume, train
from tests.conftest import everything, tiny_run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

# With which cuDNN's recurrent networks are repeatable, as torch's documentation of nn.LSTM says; read by cuBLAS later.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:2")

CORPORA = Path(__file__).parents[2] / "corpora"
STEPS = 40
NOISE = {"dropout": 0.3, "input_dropout": 0.1, "recurrent_dropout": 0.2, "zoneout": 0.1}
KINDS: dict[str, dict[str, object]] = {
    "lstm": {"cell": "lstm"},
    "lstm in fp32": {"cell": "lstm", "precision": "fp32"},
    "lstm in bf16": {"cell": "lstm", "precision": "bf16"},
    "lstm by Muon": {"cell": "lstm", "optimizer": "muon"},
    "gru with noise": {"cell": "gru", **NOISE},
    "ln-lstm": {"cell": "ln-lstm"},
    "min-gru": {"cell": "min-gru"},
    "documents": {"cell": "lstm", "documents": "line", "batch_size": 4, "sequence_length": 9},
}


def end(events: list[Event]) -> Path:
    assert isinstance(events[-1], Finished)
    return events[-1].run


def stops_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= steps


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_run_is_repeated_and_resumed_exactly(small_text: Path, kind: dict[str, object]) -> None:
    shape = {"hidden_size": 128, "steps": STEPS, "validate_every": STEPS // 2, "report_every": STEPS // 4}
    config = tiny_run(small_text, device="cuda", precision="auto", **{**shape, **kind})
    whole = everything(end(list(train(config, "whole"))))[:4]
    assert everything(end(list(train(config, "again"))))[:4] == whole
    for step in (3, STEPS // 2, STEPS // 2 + 3):
        run = end(list(train(config, f"stopped-{step}", stops_after(step))))
        torch.rand(7, device="cuda")
        list(resume(find_resumable(str(run)), {}))
        assert everything(run)[:4] == whole


def test_default_training_learns_and_wastes_no_time(folder: Path) -> None:
    """What `charrnn train TEXT --time 20s` does."""
    config = RunConfig().override({"corpus": (str(CORPORA / "tales.txt"),), "time": 20.0, "device": "cuda"})
    events = list(train(config))
    losses = [event.loss for event in events if isinstance(event, Validated)]
    assert min(losses) < 1.6
    reports = [event for event in events if isinstance(event, Reported)]
    assert reports[-1].step == reports[-1].total_steps
    assert reports[-1].seconds < 25
    path = Run(end(events)).pointed("best")
    assert path is not None
    on_cpu, on_gpu = (evaluate(from_file(path), device=device).score for device in ("cpu", "cuda"))  # type: ignore[arg-type]
    assert on_gpu.nats_per_character == pytest.approx(on_cpu.nats_per_character, abs=1e-4)


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_on_another_device(small_text: Path, first: str, then: str) -> None:
    config = tiny_run(small_text, device=first, cell="lstm")
    run = end(list(train(config, "moved", stops_after(5))))
    assert end(list(resume(find_resumable(str(run)), {"device": then}))) == run
    assert from_file(Run(run).checkpoints()[-1], training=True).config.training.device == then
