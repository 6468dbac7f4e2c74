"""What the tests share: a small text, a small trained model, and the command in a real process."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from charrnn.checkpoint.format import Arrays, Checkpoint, from_file
from charrnn.checkpoint.store import Run
from charrnn.cli.app import main
from charrnn.layout import model_shapes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.vocabulary import Vocabulary
from tests.browser import Browser
from tests.prepared import prepared

hypothesis.settings.register_profile("charrnn", max_examples=50, deadline=None)
hypothesis.settings.load_profile("charrnn")

# What a user sees is tried as most have it, whatever these tests run in; commands say themselves what they need else.
for name in ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ["TERM"] = "xterm-256color"

# The tests' tensors are tiny: threads that wait for each other take longer than one alone. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

HELLO = "hello pytorch. how long can a rnn cell remember? show me your limit!"

Command = Callable[..., subprocess.CompletedProcess[bytes]]
InProcess = Callable[..., tuple[str, str]]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the nightly tests and those for a GPU out unless they are asked for."""
    for mark in ("nightly", "gpu"):
        if mark not in str(config.getoption("markexpr")):
            left_out = [item for item in items if item.get_closest_marker(mark)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker(mark)]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("CHARRNN_")]:
        monkeypatch.delenv(variable)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut every Python process that a test starts off from the network."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "offline"), prepend=os.pathsep)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def charrnn(folder: Path) -> Command:
    """The command, as a process of its own in an empty folder, forked from one that has imported everything."""

    def run(*arguments: str | bytes, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return prepared().run(arguments, folder, stdin=stdin, environment=environment)

    return run


@pytest.fixture
def new_charrnn(folder: Path) -> Command:
    """The command as `charrnn` has it, in a Python of its own: for what depends on how that starts."""

    def run(*arguments: str | bytes, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str | bytes] = [sys.executable, "-m", "charrnn", *arguments]
        surroundings = {**os.environ, "COLUMNS": "100", **environment}
        return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, env=surroundings, timeout=300)

    return run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """The command in this process, which must end with a code: its stdout and stderr."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        seen = capsys.readouterr()
        assert ended.value.code == code, seen.err
        return seen.out, seen.err

    return run


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests that open a page in one."""
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def random_checkpoint(model: ModelConfig, vocabulary: Vocabulary, seed: int = 0) -> Checkpoint:
    """A model for sampling with random weights."""
    random = np.random.default_rng(seed)
    arrays = {
        name: random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in model_shapes(model, vocabulary.size).items()
    }
    return Checkpoint(RunConfig(model=model), vocabulary, arrays)


def tiny_run(corpus: Path, **changes: object) -> RunConfig:
    """A run that takes a second or two."""
    config = RunConfig(
        text=TextConfig(corpus=(str(corpus),)),
        model=ModelConfig(cell="gru", layers=2, hidden_size=8, embedding_size=5, dropout=0.2),
        training=TrainingConfig(steps=12, batch_size=3, sequence_length=7, validate_every=4, report_every=2),
    )
    return replace(config).override(changes)


def digest(arrays: Arrays) -> str:
    """The sha256 over arrays and their names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(name.encode() + arrays[name].tobytes())
    return total.hexdigest()


def everything(run: Path) -> tuple[object, ...]:
    """All that is equal in two runs that are the same: weights, optimiser, state, random state, counters, losses, and
    what was written on the way."""
    latest = Run(run).pointed("latest")
    assert latest is not None
    checkpoint = from_file(latest, training=True)
    timed = ("seconds", "time", "characters_per_second")
    samples, metrics = (
        [
            {key: value for key, value in json.loads(line).items() if key not in timed}
            for line in (file.read_text().splitlines() if file.exists() else ())
        ]
        for file in (run / "samples.jsonl", run / "metrics.jsonl")
    )
    weights, moments, counters = digest(checkpoint.model), digest(checkpoint.training), checkpoint.counters
    return weights, moments, counters.best_step, counters.best_loss, samples, metrics


@pytest.fixture
def small_text(folder: Path) -> Path:
    """A few hundred characters in lines."""
    path = folder / "small.txt"
    lines = ["the cat sat on the mat", "a dog ran", "the bird flew over the house and the hill", "no", "한국어 문장"]
    path.write_bytes(("\n".join(lines * 6) + "\n").encode())
    return path
