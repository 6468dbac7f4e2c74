"""Both engines take the same steps, for every core and encoder; and which of them is opened."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from charrnn.checkpoint.format import to_bytes
from charrnn.config import ModelConfig, SamplingConfig
from charrnn.errors import UsageError
from charrnn.model import model_from_arrays
from charrnn.recurrent.registry import CORES
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.sampling.torch_engine import TorchEngine
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
    with pytest.raises(UsageError, match="--engine numpy"):
        open_engine(checkpoint, config, "numpy", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match=r"--device cuda is not available .* --device cpu"):
            open_engine(checkpoint, config, "auto", "cuda")


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
