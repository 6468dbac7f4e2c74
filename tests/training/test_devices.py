"""What training on a GPU and on mps promises, as far as a CPU can tell: by stand-ins for what is not here."""

import contextlib
import math
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn import distributed, runtime
from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.distributed import Ranks
from charrnn.errors import CheckpointError, DivergedError, PeerGoneError
from charrnn.evaluation.memory import gradient_norms
from charrnn.evaluation.scoring import cost
from charrnn.events import Event, Finished, Sampled, Saved
from charrnn.model import CharacterModel
from charrnn.runtime import choose_device, compute_with, multiply_exactly, versions, without_cudnn
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.training import TrainingConfig
from charrnn.training import learner, loop, optimizer, resume, session
from charrnn.training.aside import Aside
from charrnn.training.learner import Learner, copied, loss_scale
from charrnn.training.optimizer import Optimizer
from charrnn.training.pace import measured_pace
from charrnn.training.resume import capture, restore
from charrnn.training.setup import prepare
from tests.conftest import InProcess, everything, tiny_run

MODEL = ModelConfig("lstm", 2, 4, "embedding", 3, 0.0)


def run_of(events: list[Event]) -> Path:
    assert isinstance(events[-1], Finished)
    return events[-1].run


@pytest.mark.parametrize(("single", "half", "pays"), [(1.0, 0.5, True), (1.0, 0.9, False), (1.0, 1.6, False)])
def test_a_cpu_multiplies_bf16_where_that_is_faster(
    single: float, half: float, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some have the instructions, and take longer with them."""
    waits = iter([5.0, 1.0, 1.0] * 100)  # now and then another program computes
    seconds = {torch.float32: single, torch.bfloat16: half}
    monkeypatch.setattr(runtime, "_product_seconds", lambda dtype: seconds[dtype] * next(waits))
    multiplies_bf16 = runtime.multiplies_bf16.__wrapped__
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert multiplies_bf16("cpu") == pays
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "avx2": True})
    assert not multiplies_bf16("cpu")


def test_products_are_timed_in_their_type() -> None:
    for dtype in (torch.float32, torch.bfloat16):
        assert 0 < runtime._product_seconds(dtype) < 60


# --- float64


@pytest.fixture
def no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tensors are of a device that has no float64, until they come to the CPU."""
    here: set[int] = set()
    cpu, double = Tensor.cpu, Tensor.double

    def fetched(self: Tensor) -> Tensor:
        copy = cpu(self).clone()
        here.add(id(copy))
        kept.append(copy)
        return copy

    def refused(self: Tensor) -> Tensor:
        if id(self) not in here:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return double(self)

    kept: list[Tensor] = []  # so that no other tensor gets the same id
    monkeypatch.setattr(Tensor, "cpu", fetched)
    monkeypatch.setattr(Tensor, "double", refused)


def test_nothing_is_float64_on_the_device(no_float64: None) -> None:
    with pytest.raises(TypeError):
        torch.zeros(1).double()
    nats, _ = cost(torch.zeros(3, 4), torch.tensor([0, 1, 2]))
    assert nats == pytest.approx(np.full(3, math.log(4)), abs=1e-6)
    assert nats.dtype == np.float64
    norms = gradient_norms(CharacterModel(MODEL, 8, 7), torch.zeros(2, 6, dtype=torch.int64), (1, 2))
    assert norms.dtype == np.float64


# --- steps that are not finite


def optimizer_of(model: CharacterModel) -> Optimizer:
    return Optimizer(model, TrainingConfig(optimizer="adamw"))


def all_numbers(model: CharacterModel, own: Optimizer) -> list[Tensor]:
    moments = [value for each in own.moments.values() for value in each.values()]
    return [tensor.detach().clone() for tensor in (*model.parameters(), *moments)]


def step(model: CharacterModel, own: Optimizer, *, bad: bool) -> list[Tensor]:
    torch.manual_seed(2)
    for p in model.parameters():
        p.grad = torch.full_like(p, math.nan) if bad else torch.randn_like(p)
    own.step(0, 0.1, torch.tensor(float(bad)))
    return all_numbers(model, own)


def test_a_kernel_that_takes_every_step_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of mps may: it knows nothing of an infinity that was found."""
    real = torch.optim.AdamW.step

    def careless(self: torch.optim.AdamW, *arguments: Any) -> object:
        self.found_inf = None
        return real(self, *arguments)

    torch.manual_seed(1)
    usual, other = CharacterModel(MODEL, 8, 7), CharacterModel(MODEL, 8, 7)
    other.load_state_dict(usual.state_dict())
    expected = step(usual, optimizer_of(usual), bad=False)
    monkeypatch.setattr(torch.optim.AdamW, "step", careless)
    own = optimizer_of(other)
    monkeypatch.setattr(optimizer, "SKIPPING_DEVICES", ())
    before = all_numbers(other, own)
    assert all(map(torch.equal, step(other, own, bad=True), before))
    assert all(map(torch.equal, step(other, own, bad=False), expected))
    monkeypatch.setattr(optimizer, "SKIPPING_DEVICES", ("cpu",))  # without it, this test would notice
    assert not all(tensor.isfinite().all() for tensor in step(other, own, bad=True))


# --- random states


class Generator:
    """The random state of a device that is not here."""

    def __init__(self) -> None:
        self.state = torch.arange(16, dtype=torch.uint8)

    def get_rng_state(self) -> Tensor:
        return self.state

    def set_rng_state(self, state: Tensor) -> None:
        self.state = state


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_the_random_state_of_the_device_that_computes_is_kept(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = CharacterModel(MODEL, 8, 7)
    own, generator = optimizer_of(model), Generator()
    monkeypatch.setitem(resume.GENERATORS, device, generator)
    arrays = capture(own, model.initial_state(2), device)
    assert {name for name in arrays if name.startswith("rng.")} == {"rng.cpu", f"rng.{device}"}
    assert {name for name in capture(own, model.initial_state(2), "cpu") if name.startswith("rng.")} == {"rng.cpu"}
    restore(arrays, model, own)  # on the CPU it is of no use, and no reason to refuse
    with pytest.raises(CheckpointError, match=r"rng\.other should be absent"):
        restore({**arrays, "rng.other": arrays["rng.cpu"]}, model, own)


def test_a_training_on_the_cpu_looks_at_no_gpu(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for module in ("torch.cuda", "torch.cuda.random"):
        monkeypatch.setattr(f"{module}._lazy_init", busy)
    with pytest.raises(RuntimeError, match="busy"):
        torch.cuda.get_rng_state()
    asked = iter(range(100))
    run = run_of(list(loop.train(tiny_run(small_text, device="cpu"), "busy", lambda: next(asked) >= 5)))
    list(loop.resume(find_resumable(str(run)), {}))
    assert from_file(Run(run).checkpoints()[-1], training=True).counters.step == 12


@pytest.mark.parametrize("began", ["cuda", "mps"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_run_of_another_device_goes_on_here(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, began: str, precision: str
) -> None:
    """What was recorded there names that device, and has its random state and its precision."""
    config = tiny_run(small_text, device="cpu", precision=precision)
    asked = iter(range(100))
    run = run_of(list(loop.train(config, "moved", lambda: next(asked) >= 5)))
    path = Run(run).checkpoints()[-1]
    saved = from_file(path, training=True)
    path.write_bytes(
        to_bytes(
            replace(
                saved,
                config=saved.config.override({"device": began}),
                training={**saved.training, f"rng.{began}": np.zeros(16, np.uint8)},
            )
        )
    )
    events = list(loop.resume(find_resumable(str(run)), {"device": "cpu"}))
    assert run_of(events) == run
    ended = from_file(Run(run).checkpoints()[-1], training=True)
    assert ended.counters.step == 12
    assert ended.config.training.device == "cpu"
    assert ended.config.training.precision != "fp16"  # which was chosen for the other device
    assert not any(name == f"rng.{began}" for name in ended.training)


def test_the_command_takes_a_device_to_go_on_with(small_text: Path, in_process: InProcess) -> None:
    tiny = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9")
    in_process("train", "small.txt", *tiny, "--steps", "2", "--name", "run")
    in_process("train", "--resume", "checkpoints/run", "--device", "cpu", "--steps", "4")
    ended = from_file(Run(Path("checkpoints/run")).checkpoints()[-1], training=True)
    assert (ended.counters.step, ended.config.training.device) == (4, "cpu")
    _, told = in_process("train", "--resume", "checkpoints/run", "--precision", "fp32", code=2)
    assert "only the budget and the device can change" in told


# --- precision


def gradients_in(small_text: Path, precision: str, cell: str) -> Tensor:
    """Those of the first step of a run, in one vector, before they are clipped."""
    config = tiny_run(small_text, cell=cell, precision=precision, dropout=0.0, gradient_clip=1e9, hidden_size=16)
    setup = prepare(config)
    torch.manual_seed(1)
    model = CharacterModel(setup.config.model, setup.vocabulary.size, setup.vocabulary.unknown).train()
    own = Learner(model, setup.config.training, setup.training.ids, Ranks())
    own.learn(setup.batches().batch(0), 0, 0.0)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("cell", ["lstm", "gru", "ln-lstm", "min-gru"])
def test_gradients_in_fp16_are_those_of_fp32_but_for_rounding(small_text: Path, cell: str) -> None:
    exact, low = (gradients_in(small_text, precision, cell) for precision in ("fp32", "fp16"))
    assert (low - exact).norm() < 0.02 * exact.norm()
    assert not torch.equal(low, exact)


@pytest.mark.parametrize("targets", [1, 7, 8, 100, 4096, 2**20])
def test_a_loss_is_scaled_by_a_power_of_two_below_its_targets(targets: int) -> None:
    scale = loss_scale(targets)
    assert scale.bit_count() == 1
    assert scale <= max(targets / 4, 1)
    assert scale > targets / 16


def test_the_scale_is_gone_before_gradients_are_clipped(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scaled twice as much, they are the same, but for what fp16 can hold of them."""
    usual = gradients_in(small_text, "fp16", "gru")
    monkeypatch.setattr(learner, "loss_scale", lambda targets: 2 * loss_scale(targets))
    assert (gradients_in(small_text, "fp16", "gru") - usual).norm() < 1e-4 * usual.norm()


def test_a_run_in_fp16_learns(small_text: Path) -> None:
    config = tiny_run(small_text, precision="fp16", cell="lstm", optimizer="muon", steps=60, report_every=20)
    events = list(loop.train(config, "half"))
    losses = [event.loss for event in events if hasattr(event, "gradient_norm")]
    assert losses[-1] < 0.9 * losses[0]


@pytest.fixture
def _precision_as_it_was() -> Iterator[None]:
    yield
    multiply_exactly("cuda", exactly=False)
    torch.set_float32_matmul_precision("highest")


def tf32() -> list[bool]:
    backends: Any = torch.backends
    rounded = [kernels.fp32_precision == "tf32" for kernels in (backends.cudnn.rnn, backends.cudnn.conv)]
    return [*rounded, backends.cuda.matmul.fp32_precision == "tf32"]


@pytest.mark.usefixtures("_precision_as_it_was")
def test_fp32_on_a_gpu_is_fp32_in_its_recurrent_networks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    multiply_exactly("cuda", exactly=False)
    assert all(tf32())
    assert choose_device("cuda").type == "cuda"  # as all do that open a model
    assert not any(tf32())
    for precision, rounds in (("fp16", True), ("fp32", False), ("bf16", True)):
        compute_with(torch.device("cuda"), precision, None)  # type: ignore[arg-type]
        assert tf32() == [rounds] * 3
    compute_with(torch.device("cuda"), "fp32", None)
    with without_cudnn():
        assert not torch.backends.cudnn.enabled
        assert not any(tf32())
    assert torch.backends.cudnn.enabled
    with torch.backends.cudnn.flags(enabled=False):  # torch refuses that where its switches differ
        pass


# --- memory, waits and what is done aside


def test_a_text_is_not_doubled_on_its_way_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner, "PIECE", 10_000)
    ids = np.random.default_rng(0).integers(0, 50_000, 1_000_003).astype(np.uint16)
    tracemalloc.start()
    copy = copied(ids, np.dtype(np.int32), torch.device("cpu"))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert copy.dtype == torch.int32
    assert np.array_equal(copy.numpy(), ids)
    assert most < ids.nbytes / 10


def failing(message: str) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    return fail


def test_lack_of_memory_is_told_as_such_among_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks(0, 2)
    monkeypatch.setattr(distributed.distributed, "all_reduce", failing("CUDA out of memory. Tried to allocate 2 GiB."))
    with pytest.raises(RuntimeError, match="out of memory"):
        ranks.any(True)
    monkeypatch.setattr(distributed.distributed, "all_reduce", failing("Connection closed by peer"))
    with pytest.raises(PeerGoneError):
        ranks.any(True)


def test_versions_have_what_a_repeat_on_a_gpu_depends_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A100")
    found = versions(torch.device("cuda"))
    assert found["gpu"] == "A100"
    assert {"cuda", "cudnn"} <= found.keys()
    assert not {"gpu", "cuda", "cudnn"} & versions(torch.device("cpu")).keys()


@pytest.mark.parametrize("documents", ["none", "line"])
def test_what_is_done_aside_is_what_would_have_been_done_at_once(
    small_text: Path, monkeypatch: pytest.MonkeyPatch, documents: str
) -> None:
    outcomes = []
    for beside in (False, True):
        monkeypatch.setattr(session, "Aside", lambda wanted=beside, **_: Aside(beside=wanted))
        events = list(loop.train(tiny_run(small_text, documents=documents, batch_size=4), f"aside-{beside}"))
        told = [event for event in events if isinstance(event, Sampled)]
        saved = [event.step for event in events if isinstance(event, Saved)]
        outcomes.append((everything(run_of(events)), told, saved, [type(e) for e in events[-2:]]))
    assert outcomes[0] == outcomes[1]


def test_steps_go_on_beside_what_is_done_aside() -> None:
    stepped = threading.Event()

    def work() -> Iterator[Event]:
        assert stepped.wait(10)
        yield Sampled(1, "text")

    with Aside(beside=True) as aside:
        assert list(aside.do(work())) == []
        assert list(aside.done()) == []
        stepped.set()
        assert list(aside.finish()) == [Sampled(1, "text")]
        assert list(aside.finish()) == []


def test_what_fails_aside_ends_the_training(small_text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflowing(*_: object) -> str:
        raise CheckpointError("its weights overflow")

    monkeypatch.setattr(session, "Aside", lambda **_: Aside(beside=True))
    monkeypatch.setattr(loop, "preview", overflowing)
    with pytest.raises(DivergedError, match="its weights are so large that they overflow"):
        list(loop.train(tiny_run(small_text), "aside"))
    with contextlib.suppress(FileNotFoundError):
        assert not Run(Path("checkpoints/aside")).checkpoints()


@pytest.mark.slow
def test_a_wider_network_has_a_slower_pace() -> None:
    def pace(width: int) -> float:
        settings = {"cell": "gru", "layers": 2, "hidden_size": width, "embedding_size": 8, "dropout": 0.0}
        shape = {"batch_size": 8, "sequence_length": 16, "precision": "fp32"}
        return measured_pace(RunConfig().override({**settings, **shape}), 20, torch.device("cpu"))

    assert pace(16) > 2 * pace(512)
