"""The network in numpy takes the same steps, whether it samples or shows what goes on inside."""

import numpy as np
import pytest

from charrnn.network import NumpyNetwork
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

VOCABULARY = Vocabulary("abcdefgh")


@pytest.mark.parametrize("cell", CORES)
@pytest.mark.parametrize("encoder", ["one-hot", "embedding"])
@pytest.mark.parametrize("residual", [False, True])
def test_a_trace_has_the_states_of_single_steps(cell: str, encoder: str, residual: bool) -> None:
    size = 5 if encoder == "embedding" else None
    config = ModelConfig(cell, 3, 6, encoder, size, 0.3, zoneout=0.2 * residual, residual=residual)  # type: ignore[arg-type]
    network = NumpyNetwork(config, random_checkpoint(config, VOCABULARY).model)
    ids = np.random.default_rng(0).integers(VOCABULARY.size, size=12)
    traces, state = network.trace(ids), network.initial_state(1)
    for t, token in enumerate(ids):
        outputs, state = network.step(np.array([token]), state)
        for trace, layer in zip(traces, state, strict=True):
            for part, now in zip(trace.state, layer, strict=True):
                np.testing.assert_allclose(part[t], now[0], atol=2e-5)
    read = sum(trace.outputs[-1] for trace in traces) if residual else traces[-1].outputs[-1]
    np.testing.assert_allclose(read, outputs[0], atol=2e-5)
