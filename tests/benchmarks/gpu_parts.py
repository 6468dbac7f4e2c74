"""The parts of bench_gpu.py, each of which is run by this in a process of its own and prints its rows as JSON."""

import argparse
import contextlib
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from charrnn.checkpoint.format import Checkpoint, from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.distributed import Ranks
from charrnn.errors import is_out_of_memory
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Began, Event, Finished, Notice, Reported, Validated
from charrnn.layout import model_shapes
from charrnn.model import CharacterModel
from charrnn.recurrent.registry import CORES
from charrnn.runtime import compute_with, describe_device, versions
from charrnn.sampling.engines import open_engine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.batches import Batches
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.learner import Learner
from charrnn.training.loop import resume, train
from charrnn.training.setup import prepare

ROOT = Path(__file__).parents[2]
NOISE = {"dropout": 0.3, "input_dropout": 0.1, "recurrent_dropout": 0.2, "zoneout": 0.1}


@dataclass(frozen=True)
class Bench:
    """What a part is measured on, and for how many seconds."""

    device: torch.device
    text: str
    seconds: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Hidden size, rows and columns; tiny where there is no GPU."""
        return (512, 64, 64) if self.device.type == "cuda" else (32, 8, 16)

    def put(self, name: str, value: object) -> None:
        """A row of the table."""
        print(json.dumps([name, str(value)]), flush=True)

    def tried(self, name: str, measure: Callable[[], object]) -> None:
        """A row with what is measured, or with why it cannot be."""
        try:
            self.put(name, measure())
        except Exception as error:
            self.put(name, f"{type(error).__name__}: {str(error).splitlines()[0][:100]}")

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def config(self, **values: object) -> RunConfig:
        """The defaults, but for some values."""
        return RunConfig().override({"corpus": (self.text,), "device": self.device.type} | values)

    def learner(self, **values: object) -> tuple[Learner, CharacterModel, Batches]:
        """A network of two layers in training, its model and its batches."""
        hidden_size, rows, columns = self.shape
        usual = {
            "layers": 2,
            "hidden_size": hidden_size,
            "dropout": 0.3,
            "batch_size": rows,
            "sequence_length": columns,
        }
        setup = prepare(self.config(**{**usual, **values}))
        settings = setup.config.training
        compute_with(setup.device, settings.precision, settings.threads)
        torch.manual_seed(1)
        model = CharacterModel(setup.config.model, setup.vocabulary.size, setup.vocabulary.unknown)
        model = model.to(setup.device).train()
        return Learner(model, settings, setup.training.ids, Ranks()), model, setup.batches()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--text", required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    bench = Bench(torch.device(arguments.device), arguments.text, arguments.seconds)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        PARTS[arguments.part](bench)


def machine(bench: Bench) -> None:
    """What this is, and what torch does on it."""
    bench.put("device", describe_device(bench.device))
    bench.put("versions", ", ".join(f"{name} {value}" for name, value in versions(bench.device).items()))
    for precision in ("fp32", "bf16", "fp16"):
        for cell in ("lstm", "min-gru"):
            bench.tried(
                f"gradients' error, {precision}, {cell}",
                lambda precision=precision, cell=cell: gradient_error(bench, precision, cell),
            )
    bench.tried("lack of memory is told as such", lambda: out_of_memory(bench.device))
    if bench.device.type == "cuda":
        for words, noise in (("plain", {}), ("with noise", NOISE)):
            waiting = [cell for cell in CORES if waits(bench, cell, noise)]
            bench.put(f"cores whose step waits for the GPU, {words}", ", ".join(waiting) or "none")


def gradient_error(bench: Bench, precision: str, cell: str) -> str:
    """Of a step's gradients, as a training has them, against double precision on the CPU."""
    learner, model, batches = bench.learner(cell=cell, precision=precision, dropout=0.0, gradient_clip=1e9)
    batch = batches.batch(0)
    before = {name: p.detach().cpu().double().clone() for name, p in model.named_parameters()}
    learner.learn(batch, 0, 0.0)
    found = {name: p.grad.cpu().double() for name, p in model.named_parameters() if p.grad is not None}
    twin = model.cpu().double()
    twin.load_state_dict(before)
    logits, _ = twin(torch.from_numpy(batch.inputs), twin.initial_state(len(batch.offsets)))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten())
    wanted = dict(zip(before, torch.autograd.grad(loss, list(twin.parameters())), strict=True))
    errors = {name: float((found[name] - wanted[name]).norm() / wanted[name].norm()) for name in found}
    worst = max(errors, key=errors.__getitem__)
    total = sum(float((found[name] - wanted[name]).square().sum()) for name in found) ** 0.5
    size = sum(float(each.square().sum()) for each in wanted.values()) ** 0.5
    return f"{total / size:.1e} in all, {errors[worst]:.1e} in {worst.removeprefix('stack.layers.')}"


def out_of_memory(device: torch.device) -> str:
    try:
        torch.empty(2**46, dtype=torch.uint8, device=device)
    except Exception as error:
        return f"{is_out_of_memory(error)} ({type(error).__name__})"
    return "there was enough"


def waits(bench: Bench, cell: str, noise: dict[str, float]) -> bool:
    """Whether a step of learning asks the GPU for something."""
    learner, _, batches = bench.learner(cell=cell, sequence_length=8, **noise)
    for step in range(7):  # every turn of Muon, and what is allocated once
        learner.learn(batches.batch(step), step, 0.001)
    torch.cuda.set_sync_debug_mode("error")
    try:
        learner.learn(batches.batch(7), 7, 0.001)
    except RuntimeError:
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False


def learn(bench: Bench) -> None:
    """Train as a user does, for all the time but that of scoring."""
    time_budget = max(min(bench.seconds - 15, 180.0), 2.0)
    laps: list[Reported] = []
    losses: list[tuple[float, int]] = []
    for event in train(bench.config(time=time_budget)):
        match event:
            case Notice():
                bench.put("notice", event.text)
            case Began():
                bench.put("model", f"{event.model}; {event.parameters:,} parameters; {event.device}")
                characters = event.training_characters
            case Reported():
                laps.append(event)
            case Validated():
                losses.append((event.loss, event.step))
            case Finished():
                finished = event
    read = [
        (lap.epoch - before) * characters
        for before, lap in zip([0.0, *(lap.epoch for lap in laps[:-1])], laps, strict=True)
    ]
    learning = sum(count / lap.characters_per_second for count, lap in zip(read, laps, strict=True))
    pace = statistics.median(lap.characters_per_second for lap in laps)
    bench.put("characters/s while learning, median", f"{pace:,.0f}")
    bench.put("ended", f"{finished.step:,} steps, {laps[-1].epoch:.1f} epochs, {finished.seconds:.1f} s")
    bench.put("not learning", f"{max(1 - learning / finished.seconds, 0):.1%} of the time, {len(losses)} validations")
    if losses:
        bench.put("validation, nats/character", f"best {min(losses)[0]:.4f}, last {losses[-1][0]:.4f}")
    for which in ("best", "latest"):
        if path := Run(finished.run).pointed(which):
            score = evaluate(from_file(path), device=bench.device.type).score  # type: ignore[arg-type]
            bench.put(f"eval of {which}, carried, nats/character", f"{score.nats_per_character:.4f}")


def cores(bench: Bench) -> None:
    """How fast each core learns, and whether the GPU has enough to do."""
    seconds = bench.seconds / len(CORES) / 4
    hidden_size, rows, columns = bench.shape
    for cell in sorted(CORES, key=["lstm", "gru", *CORES].index):
        bench.tried(f"{cell} 2x{hidden_size}, {rows}x{columns}", lambda cell=cell: one_core(bench, cell, seconds))


def one_core(bench: Bench, cell: str, seconds: float) -> str:
    _, rows, columns = bench.shape
    learner, _, batches = bench.learner(cell=cell)
    pace = steps_a_second(bench, learner, batches, seconds)
    words = [f"{pace * rows * columns:,.0f} characters/s"]
    if bench.device.type == "cuda":
        kernels, busy = launched(bench, lambda: learner.learn(batches.batch(0), 0, 0.001))
        words.append(f"{kernels:,} kernels a step, GPU busy {busy * pace:.0%}")
    larger, _, batches = bench.learner(cell=cell, batch_size=4 * rows)
    pace = steps_a_second(bench, larger, batches, seconds)
    return "; ".join([*words, f"{4 * rows}x{columns} {pace * 4 * rows * columns:,.0f}"])


def steps_a_second(bench: Bench, learner: Learner, batches: Batches, seconds: float) -> float:
    steps = itertools.count()

    def some() -> None:
        for step in itertools.islice(steps, 4):
            learner.learn(batches.batch(step), step, 0.001)
        bench.wait()

    some()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or not done:
        some()
        done += 4
    return done / (time.perf_counter() - start)


def launched(bench: Bench, run: Callable[[], object]) -> tuple[int, float]:
    """How many kernels something starts, and for how many seconds they compute."""
    from torch.profiler import ProfilerActivity, profile

    bench.wait()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        run()
        bench.wait()
    kernels = [event for event in found.events() or [] if str(event.device_type).endswith("CUDA")]
    return len(kernels), sum(event.time_range.elapsed_us() for event in kernels) / 1e6


def sampling(bench: Bench) -> None:
    """Steps of an engine, without the draw."""
    vocabulary, hidden_size = Vocabulary("".join(map(chr, range(33, 98)))), bench.shape[0]
    kinds = [(cell, size) for cell in ("lstm", "gru", "min-gru") for size in (hidden_size, 128)]
    for cell, size in kinds:
        shape, random = ModelConfig(cell, 2, size, "embedding", 64, 0.0), np.random.default_rng(0)
        arrays = {
            name: (size**-0.5 * random.standard_normal(each)).astype(np.float32)
            for name, each in model_shapes(shape, vocabulary.size).items()
        }
        checkpoint = Checkpoint(RunConfig(model=shape), vocabulary, arrays)
        for kind, device in (("numpy", "cpu"), ("torch", bench.device.type)):
            for streams in (1, 64):
                name = f"{cell} 2x{size}, {streams} streams, {kind} on {device}, characters/s"
                measure = sampled(checkpoint, kind, device, streams, bench.seconds / len(kinds) / 5)
                bench.tried(name, measure)


def sampled(checkpoint: Checkpoint, kind: str, device: str, streams: int, seconds: float) -> Callable[[], str]:
    def measure() -> str:
        engine = open_engine(checkpoint, SamplingConfig(), kind, device).engine  # type: ignore[arg-type]
        ids, state = np.arange(streams) % 60, engine.initial_state(streams)
        for _ in range(3):
            _, state = engine.step(ids, state)
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            _, state = engine.step(ids, state)
            steps += 1
        return f"{steps * streams / (time.perf_counter() - start):,.0f}"

    return measure


def exact_resume(bench: Bench) -> None:
    """Whether the same run twice, and one that was stopped, come to the same weights."""
    kinds: dict[str, dict[str, object]] = {
        **{cell: {"cell": cell} for cell in ("lstm", "gru", "ln-lstm", "min-gru")},
        "lstm in fp32": {"cell": "lstm", "precision": "fp32"},
        "lstm with noise": {"cell": "lstm", **NOISE},
    }
    words = "set" if os.environ.get("CUBLAS_WORKSPACE_CONFIG") else "not set"
    bench.put("CUBLAS_WORKSPACE_CONFIG", words)
    for name, values in kinds.items():
        bench.tried(name, lambda name=name, values=values: repeated(bench, name.replace(" ", "-"), values))


def repeated(bench: Bench, name: str, values: dict[str, object]) -> str:
    hidden_size, rows, columns = bench.shape
    steps = 40 if bench.device.type == "cuda" else 4
    shape = {"layers": 2, "hidden_size": hidden_size, "batch_size": rows, "sequence_length": columns, "steps": steps}
    config = bench.config(**{**shape, "validate_every": steps // 2, "report_every": steps // 4, **values})
    whole, again = (weights(list(train(config, f"{name}-{which}"))) for which in ("whole", "again"))
    asked = itertools.count(1)
    stopped = list(train(config, f"{name}-stopped", lambda: next(asked) >= steps // 2 + 1))
    torch.rand(7, device=bench.device)
    resumed = weights(list(resume(find_resumable(str(run_of(stopped))), {})))
    return f"again {same(again, whole)}, resumed {same(resumed, whole)}"


def run_of(events: list[Event]) -> Path:
    assert isinstance(events[-1], Finished)
    return events[-1].run


def weights(events: list[Event]) -> dict[str, object]:
    path = Run(run_of(events)).pointed("latest")
    assert path is not None
    return {name: array.tobytes() for name, array in from_file(path).model.items()}


def same(one: dict[str, object], other: dict[str, object]) -> str:
    return "the same" if one == other else "DIFFERS"


def laws(bench: Bench) -> None:
    """The tests that are marked for a GPU, if what they need is installed."""
    needed = ("pytest", "xdist", "pytest_timeout", "hypothesis", "typer", "rich")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        bench.put("pytest -m gpu", f"needs {', '.join(missing)}")
        return
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-q",
        "-n",
        "4",
        "--no-header",
        "--tb=line",
        str(ROOT / "tests"),
    ]
    options = {"cwd": ROOT, "capture_output": True, "text": True}
    done = subprocess.run([*command, "-p", "no:cacheprovider"], **options, timeout=bench.seconds)  # type: ignore[call-overload]
    lines = done.stdout.splitlines()
    bench.put("pytest -m gpu", lines[-1] if lines else done.stderr[-100:])
    for line in sorted({line.split(" - ")[0].split("[")[0] for line in lines if line.startswith(("FAILED", "ERROR"))}):
        bench.put("failing", line)


PARTS = {
    "machine": machine,
    "learn": learn,
    "cores": cores,
    "sampling": sampling,
    "resume": exact_resume,
    "exact": exact_resume,
    "laws": laws,
}

if __name__ == "__main__":
    main()
