"""Dynamic evaluation: a network that goes on learning from the text while it is scored.

After Krause, Kahembwe, Murray & Renals 2018, "Dynamic evaluation of neural sequence models", arXiv 1709.07432.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.errors import DivergedError
from charrnn.evaluation.evaluate import Reading
from charrnn.evaluation.scoring import MixedLogits, Scored, ScoreSums, carried, cost, no_alternatives
from charrnn.evaluation.with_ngrams import network_of
from charrnn.messages import named
from charrnn.recurrent.states import map_state
from charrnn.runtime import without_cudnn
from charrnn.text.batches import IGNORED

__all__ = ["DECAY", "RATE", "dynamic_score", "dynamic_scored"]

# Lower and higher rates cost the demo model more bits; the trials are in tests/benchmarks/README.md.
RATE = 3e-4
DECAY = 1e-3
SEGMENT = 64  # targets between two updates
_EPSILON = 1e-5


def dynamic_score(reading: Reading, *, rate: float = RATE, decay: float = DECAY) -> ScoreSums:
    """The sums over all targets of `dynamic_scored`.

    Raises:
        DivergedError: the weights diverged, so that costs are no longer finite.
    """
    total = ScoreSums()
    for piece in dynamic_scored(reading, rate=rate, decay=decay):
        total = total.plus(piece, reading.model_vocabulary)
        if not math.isfinite(total.nats):
            raise DivergedError(f"learning from the text at a rate of {rate:g} diverged; lower {named('dynamic_rate')}")
    return total


def dynamic_scored(reading: Reading, *, rate: float = RATE, decay: float = DECAY) -> Iterator[Scored]:
    """All targets in the order of the text, a segment at a time; each is scored before anything is learned from it.

    The state is carried through each document, the weights through all of them. After a segment with gradient g

        M += g²,  θ += -rate · g / (√(M / s) + ε) + decay · (θ_0 - θ)

    where M is summed over the s segments so far and θ_0 are the trained weights. This is the paper's rule with
    RMS-normalised gradients (equation 6), with two differences: M is gathered while the text is read, as M of the
    training text is not available, and the decay is the same for all weights. At the end the model has θ_0 again, bit
    for bit.
    """
    model, tokens, vocabulary = network_of(reading.model), reading.tokens, reading.model_vocabulary
    with_table = MixedLogits.of(reading.model, tokens, carried(tokens), reading.translation)
    parameters = list(model.parameters())
    device = parameters[0].device
    trained = [parameter.detach().clone() for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    segments = 0
    was_training = model.training
    model.eval()
    try:
        for first, end in zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True):
            state = model.initial_state(1)
            for start in range(first, end - 1, SEGMENT):
                places = np.arange(start + 1, min(start + 1 + SEGMENT, end))
                ids = reading.translation[tokens.ids[start : places[-1] + 1]].astype(np.int64)
                targets = torch.from_numpy(np.where(ids[1:] == vocabulary.unknown, IGNORED, ids[1:])).to(device)
                gradients = None
                with torch.enable_grad(), without_cudnn():  # cuDNN: backward in training mode only
                    logits, state = model(torch.from_numpy(ids[None, :-1]).to(device), state)
                    if with_table:
                        logits = with_table.at(places[None] - 1, logits)
                    costs = cost(logits[0].detach(), targets)
                    found = Scored(places, ids[1:], *costs, *no_alternatives(len(places)))
                    if rate and found.ranks.any():
                        loss = F.cross_entropy(logits[0].float(), targets, ignore_index=IGNORED)
                        gradients = torch.autograd.grad(loss, parameters)
                yield found
                if gradients is not None:
                    segments += 1
                    _learn(parameters, gradients, trained, squares, segments, rate, decay)
                state = map_state(Tensor.detach, state)
                tokens.release()
    finally:
        with torch.no_grad():
            for parameter, weights in zip(parameters, trained, strict=True):
                parameter.copy_(weights)
        model.train(was_training)


@torch.no_grad()
def _learn(
    parameters: list[torch.nn.Parameter],
    gradients: tuple[Tensor, ...],
    trained: list[Tensor],
    squares: list[Tensor],
    segments: int,
    rate: float,
    decay: float,
) -> None:
    """Update the parameters and the sums of squared gradients in place."""
    for parameter, g, weights, M in zip(parameters, gradients, trained, squares, strict=True):
        M.addcmul_(g, g)
        parameter.lerp_(weights, decay)
        parameter.addcdiv_(g, (M / segments).sqrt_().add_(_EPSILON), value=-rate)
