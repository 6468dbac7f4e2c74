"""Both engines take the same steps, for every core and encoder; and which of them is opened."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn import runtime
from charrnn.checkpoint.format import Arrays, to_bytes
from charrnn.errors import UsageError
from charrnn.layout import EMBEDDING, HEAD_BIAS, HEAD_WEIGHT, layer_prefix
from charrnn.model import model_from_arrays
from charrnn.recurrent.equations import Array, Noise
from charrnn.recurrent.registry import CORES, core_equations
from charrnn.sampling import engines as engines_module
from charrnn.sampling.batched import BLOCKS, ONE_BLOCK
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.session import Session
from charrnn.sampling.torch_engine import TorchEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

VOCABULARY = Vocabulary("abcdefgh")
every_model = pytest.mark.parametrize(
    "model",
    [ModelConfig(cell, 2, 6, "embedding", 5, 0.3) for cell in CORES]
    + [ModelConfig(cell, 2, 6, "one-hot", None, 0.3) for cell in CORES]
    + [ModelConfig(cell, 3, 6, "embedding", 5, 0.3, 0.3, 0.3, 0.3, residual=True) for cell in CORES],
    ids=lambda model: f"{model.cell}-{model.encoder}{'-regularised' if model.zoneout else ''}",
)


def engines(model: ModelConfig) -> tuple[NumpyEngine, TorchEngine]:
    checkpoint = random_checkpoint(model, VOCABULARY)
    torch_model = model_from_arrays(model, VOCABULARY, checkpoint.model)
    return NumpyEngine(model, checkpoint.model), TorchEngine(torch_model)


@every_model
def test_engines_give_the_same_logits(model: ModelConfig) -> None:
    ids = np.random.default_rng(0).integers(VOCABULARY.size, size=(3, 20))
    numpy_engine, torch_engine = engines(model)
    numpy_state, torch_state = numpy_engine.initial_state(3), torch_engine.initial_state(3)
    for column in ids.T:
        a, numpy_state = numpy_engine.step(column, numpy_state)
        b, torch_state = torch_engine.step(column, torch_state)
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=2e-5)
    whole, _ = torch_engine.read(ids, torch_engine.initial_state(3))
    np.testing.assert_allclose(numpy_engine.read(ids, numpy_engine.initial_state(3))[0], whole, atol=2e-5)
    np.testing.assert_allclose(a, whole, atol=2e-5)


def by_the_equations(model: ModelConfig, arrays: Arrays, ids: Array) -> Array:
    """Logits (T, B, V) of token ids (B, T), straight from the page of equations, in float64."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}
    cell, noise = core_equations(model.cell), Noise(k_h=model.zoneout, k_c=model.zoneout)
    zero = np.zeros((len(ids), model.hidden_size or 0))
    states = [cell.state(*[zero] * len(cell.state._fields)) for _ in range(model.layers or 0)]  # type: ignore[attr-defined]
    logits = []
    for column in ids.T:
        x = weights[EMBEDDING][column] if model.encoder == "embedding" else column
        for index, state in enumerate(states):
            prefix = layer_prefix(index)
            own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
            output, states[index] = cell.step(np, cell.project(x, own), state, own, noise)
            x = x + output if index and model.residual else output
        logits.append(x @ weights[HEAD_WEIGHT].T + weights[HEAD_BIAS])
    return np.array(logits)


@every_model
@pytest.mark.parametrize("batch_size", [1, 7])
def test_numpy_steps_are_the_equations(model: ModelConfig, batch_size: int) -> None:
    arrays = random_checkpoint(model, VOCABULARY).model
    ids = np.random.default_rng(0).integers(VOCABULARY.size, size=(batch_size, 30))
    engine = NumpyEngine(model, arrays)
    state, met = engine.initial_state(batch_size), []
    for column in ids.T:
        logits, state = engine.step(column, state)
        met.append(logits)
    np.testing.assert_allclose(met, by_the_equations(model, arrays, ids), atol=2e-5)


@every_model
def test_state_is_a_value(model: ModelConfig) -> None:
    """A step changes neither the state that it was given nor any logits or state that it gave before."""
    engine = NumpyEngine(model, random_checkpoint(model, VOCABULARY).model)
    ids = np.array([1, 4, 2])
    logits, state = engine.step(ids, engine.initial_state(3))
    kept = logits.copy(), [[part.copy() for part in layer] for layer in state]
    first, _ = engine.step(ids, state)
    again, _ = engine.step(ids, state)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(logits, kept[0])
    for layer, copies in zip(state, kept[1], strict=True):
        np.testing.assert_array_equal(layer, copies)


@pytest.mark.parametrize("cell", CORES)
def test_weights_that_overflow_are_stepped_without_a_warning(cell: str) -> None:
    checkpoint = random_checkpoint(ModelConfig(cell, 2, 6, "embedding", 5, 0.0), VOCABULARY)
    huge = {name: np.full_like(array, 3e38) for name, array in checkpoint.model.items()}
    engine = NumpyEngine(checkpoint.config.model, huge)
    logits, _ = engine.read(np.array([[1, 2, 3]]), engine.initial_state(1))  # a warning would be an error here
    assert logits.shape == (1, VOCABULARY.size)


@every_model
def test_logits_met_while_sampling_are_those_of_one_pass_over_the_result(model: ModelConfig) -> None:
    checkpoint = random_checkpoint(model, VOCABULARY)
    engine = NumpyEngine(model, checkpoint.model)
    config = SamplingConfig(length=40, temperature=0, until_end=False, seed=1)
    written = "".join(generate(engine, VOCABULARY, config, VOCABULARY.encode("abba")))
    ids = torch.tensor([[VOCABULARY.start, *VOCABULARY.encode("abba" + written)]])
    network = model_from_arrays(model, VOCABULARY, checkpoint.model)
    logits, _ = network(ids, network.initial_state(1))
    best = logits[0, 4:-1, : len(VOCABULARY.characters)].argmax(-1)
    assert VOCABULARY.decode(best.numpy()) == written


def test_the_model_is_sampled_without_dropout() -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 2, 6, "embedding", 5, 0.9), VOCABULARY)
    engine = TorchEngine(model_from_arrays(checkpoint.config.model, VOCABULARY, checkpoint.model).train())
    ids = np.array([[1, 2, 3]])
    first, _ = engine.read(ids, engine.initial_state(1))
    again, _ = engine.read(ids, engine.initial_state(1))
    np.testing.assert_array_equal(first, again)


def test_numpy_is_for_a_cpu_and_torch_for_the_rest() -> None:
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 6, "embedding", 5, 0.0), VOCABULARY)
    config = SamplingConfig(length=10)
    assert isinstance(open_engine(checkpoint, config, "auto", "auto").engine, NumpyEngine)
    assert isinstance(open_engine(checkpoint, config, "auto", "cpu").engine, NumpyEngine)
    assert isinstance(open_engine(checkpoint, config, "torch", "auto").engine, TorchEngine)
    with pytest.raises(UsageError, match="engine='numpy'"):
        open_engine(checkpoint, config, "numpy", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match=r"device='cuda' is not available .* device='cpu'"):
            open_engine(checkpoint, config, "auto", "cuda")


@pytest.mark.parametrize("torch_knows", [True, False])
@pytest.mark.parametrize(
    ("hidden_size", "streams", "length", "pays"),
    [
        (6, 1, 0, False),  # an endless text does not make a step larger
        (6, 10**6, 0, False),  # as no more than 65 streams are stepped at once
        (300, 1, 0, False),
        (300, 64, 0, True),
        (300, 64, 10**6, True),
        (300, 64, 10, False),  # done before torch is there
    ],
)
def test_a_gpu_is_for_large_steps_if_torch_knows_it(
    monkeypatch: pytest.MonkeyPatch, hidden_size: int, streams: int, length: int, pays: bool, torch_knows: bool
) -> None:
    """The device that torch would have is a stand-in; which engine is opened is all that is asked."""
    checkpoint = random_checkpoint(ModelConfig("lstm", 2, hidden_size, "embedding", 5, 0.0), VOCABULARY)
    monkeypatch.setattr(engines_module, "has_cuda_device", lambda: True)
    monkeypatch.setattr(runtime, "choose_device", lambda _: torch.device("meta" if torch_knows else "cpu"))
    config = SamplingConfig(num_samples=streams, length=length)
    opened = open_engine(checkpoint, config, "auto", "auto")
    assert isinstance(opened.engine, TorchEngine if pays and torch_knows else NumpyEngine)
    assert opened.blocks == (ONE_BLOCK if pays and torch_knows else BLOCKS)


@pytest.mark.parametrize("lines", [1, 64])
def test_a_line_that_is_gone_on_from_is_a_stream(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    checkpoint = random_checkpoint(ModelConfig("lstm", 2, 300, "embedding", 5, 0.0), VOCABULARY)
    monkeypatch.setattr(engines_module, "has_cuda_device", lambda: True)
    monkeypatch.setattr(runtime, "choose_device", lambda _: torch.device("meta"))
    primes = [(f"line {number}", VOCABULARY.characters[0]) for number in range(lines)]
    assert ("torch" in Session(checkpoint, SamplingConfig(length=0), primes).device) == (lines == 64)
    assert ("torch" in Session(checkpoint, SamplingConfig(length=10**6, beam=lines)).device) == (lines == 64)


def test_without_a_device_file_torch_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = random_checkpoint(ModelConfig("lstm", 2, 300, "embedding", 5, 0.0), VOCABULARY)
    monkeypatch.setattr(engines_module, "has_cuda_device", lambda: False)
    monkeypatch.setattr(runtime, "choose_device", None)
    opened = open_engine(checkpoint, SamplingConfig(num_samples=64, length=0), "auto", "auto")
    assert isinstance(opened.engine, NumpyEngine)


def test_a_large_model_is_stepped_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_module, "core_count", lambda: 7)
    for hidden_size, threads in ((6, 1), (700, 7)):
        checkpoint = random_checkpoint(ModelConfig("gru", 1, hidden_size, "embedding", 5, 0.0), VOCABULARY)
        assert open_engine(checkpoint, SamplingConfig(), "numpy", "cpu").threads == threads


def test_sampling_on_a_cpu_imports_no_torch(folder: Path) -> None:
    checkpoint = random_checkpoint(ModelConfig("lstm", 2, 6, "one-hot", None, 0.0), VOCABULARY)
    (folder / "model.safetensors").write_bytes(to_bytes(checkpoint))
    program = (
        "import sys; sys.argv = ['charrnn', 'sample', '--model', 'model.safetensors', '-p', 'ab', '-n', '50']\n"
        "from charrnn.cli.app import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules, 'rich' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=folder)
    assert len(done.stdout) == 52
    assert done.stderr.splitlines()[-1] == b"False False True"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_model
def test_a_gpu_gives_the_same_logits(model: ModelConfig) -> None:
    checkpoint = random_checkpoint(model, VOCABULARY)
    opened = open_engine(checkpoint, SamplingConfig(), "torch", "cuda")
    ids = np.random.default_rng(0).integers(VOCABULARY.size, size=(3, 20))
    on_gpu, _ = opened.engine.read(ids, opened.engine.initial_state(3))
    on_cpu, _ = engines(model)[0].read(ids, engines(model)[0].initial_state(3))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=2e-3)
