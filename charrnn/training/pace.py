"""The pace at which a network learns on a device, measured for half a second or for some steps."""

import time

import torch
from torch.nn import functional as F

from charrnn.model import CharacterModel
from charrnn.runtime import compute_with, low_type, rounding_products
from charrnn.settings.run import RunConfig

__all__ = ["measured_pace"]

_SECONDS, _STEPS = 0.5, 5  # at least
_STEPS_BEFORE = 3  # in which a GPU loads its libraries


def measured_pace(config: RunConfig, vocabulary_size: int, device: torch.device) -> float:
    """Characters/s of forward and backward passes over random tokens, for a configuration with nothing left open.

    The fastest step counts: another program that computes for a moment may hold up a step many times as long.
    """
    settings = config.training
    if settings.batch_size is None or settings.sequence_length is None:
        raise ValueError("batch_size and sequence_length are not chosen yet")
    compute_with(device, settings.precision, settings.threads)
    model = CharacterModel(config.model, vocabulary_size, vocabulary_size - 1).to(device).train()
    low = low_type(settings.precision)
    ids = torch.randint(vocabulary_size, (settings.batch_size, settings.sequence_length), device=device)
    state = model.initial_state(len(ids))
    seconds: list[float] = []  # of each step
    while len(seconds) < _STEPS_BEFORE + _STEPS or sum(seconds[_STEPS_BEFORE:]) < _SECONDS:
        start = time.monotonic()
        with rounding_products(device, low):
            logits, _ = model(ids, state)
            loss = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
        model.zero_grad()
        loss.backward()
        loss.item()  # waits until nearly all of the step is done
        seconds.append(time.monotonic() - start)
    return ids.numel() / min(seconds[_STEPS_BEFORE:])
