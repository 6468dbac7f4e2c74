"""The tutorials' experiment: a small network learns one sentence and recites it, from the start token alone."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from charrnn.events import Finished
from charrnn.recurrent.equations import Cell
from charrnn.recurrent.registry import CORES
from charrnn.recurrent.unroll import unroll
from charrnn.sampling.generate import generate
from charrnn.sampling.numpy_engine import NumpyEngine
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.loop import train
from tests.conftest import HELLO

pytestmark = pytest.mark.slow


# Rectified units, which begin by adding up all that they read, tell one-hot characters apart too slowly for a test.
RECITALS = [(cell, "embedding") for cell in CORES] + [(cell, "one-hot") for cell in ("rnn", "lstm", "gru")]


@pytest.mark.parametrize(("cell", "encoder"), RECITALS)
def test_a_small_network_recites_the_sentence_from_the_start_token_alone(folder: Path, cell: str, encoder: str) -> None:
    Path("hello.txt").write_text(HELLO)
    config = RunConfig(
        text=TextConfig(corpus=("hello.txt",), validation=0),
        model=ModelConfig(cell=cell, layers=1, hidden_size=35, encoder=encoder, dropout=0.0),  # type: ignore[arg-type]
        training=TrainingConfig(steps=250),
    )
    *_, finished = train(config)
    assert isinstance(finished, Finished)
    checkpoint = from_file(Run(finished.run).pointed("latest"))  # type: ignore[arg-type]
    engine = NumpyEngine(checkpoint.config.model, checkpoint.model)
    greedy = SamplingConfig(temperature=0, length=500, until_end=True, seed=0)
    nothing = np.array([], dtype=np.int64)
    assert "".join(generate(engine, checkpoint.vocabulary, greedy, nothing)) == HELLO


class Fed(NamedTuple):
    """State of a network that is fed its own raw output: hidden state h (B, H) and that output x (B, V)."""

    h: Tensor
    x: Tensor


def test_the_tutorials_own_recipe_to_the_letter() -> None:
    """A cell whose hidden and output layers both read input and previous hidden state side by side, mean squared error
    against one-hot targets, and the raw output, not a character, fed back as the next input."""
    torch.manual_seed(0)
    vocabulary = Vocabulary.of(HELLO, "character")
    hidden_size, width = 35, vocabulary.size
    to_hidden, to_output = nn.Linear(width + hidden_size, hidden_size), nn.Linear(width + hidden_size, width)

    def step(_: object, __: Tensor, state: Fed, *___: object) -> tuple[Tensor, Fed]:
        side_by_side = torch.cat([state.x, state.h], dim=-1)
        output = to_output(side_by_side)
        return output, Fed(torch.tanh(to_hidden(side_by_side)), output)

    cell = Cell(Fed, lambda x, _: x, step, lambda *_: {})
    ids = torch.from_numpy(tokenize([HELLO], vocabulary).ids.astype(np.int64))
    one_hot = F.one_hot(ids, width).float()
    begin = Fed(torch.zeros(1, hidden_size), one_hot[:1])
    nothing = torch.empty(1, len(ids) - 1, 0)  # all that it reads is the start token, and then itself
    parameters = [*to_hidden.parameters(), *to_output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01)
    steps = 1500
    for number in range(steps):
        outputs, _ = unroll(cell, {}, nothing, begin)
        loss = F.mse_loss(outputs[0], one_hot[1:], reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - number / steps)
        optimizer.step()

    with torch.no_grad():
        outputs, _ = unroll(cell, {}, nothing, begin)
    *recited, end = outputs[0].argmax(dim=-1).tolist()
    assert vocabulary.decode(np.array(recited)) == HELLO
    assert end == vocabulary.end
