"""Everything that a training needs to go on as if nothing had happened, as named arrays, and back."""

import numpy as np
import torch
from torch import Tensor

from charrnn.checkpoint.format import Arrays
from charrnn.errors import CheckpointError
from charrnn.model import CharacterModel
from charrnn.recurrent.stack import StackState

__all__ = ["capture", "restore"]


def capture(model: CharacterModel, optimizer: torch.optim.Optimizer, state: StackState) -> Arrays:
    """Optimiser, random state and carried hidden state as arrays `optimizer.*`, `rng.*` and `state.*`."""
    tensors: dict[str, Tensor] = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = value
    for index, layer in enumerate(state):
        for key, value in layer._asdict().items():
            tensors[f"state.{index}.{key}"] = value
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def restore(arrays: Arrays, model: CharacterModel, optimizer: torch.optim.Optimizer) -> StackState:
    """Put captured optimiser and random state back, for a model that has its parameters; the carried hidden state.

    Raises:
        CheckpointError: an array is missing or has a shape that does not belong to the model.
    """
    device = next(model.parameters()).device
    try:
        for name, parameter in model.named_parameters():
            prefix = f"optimizer.{name}."
            own = {key: value for key, value in arrays.items() if key.startswith(prefix)}
            for key, value in own.items():
                if value.shape not in ((), tuple(parameter.shape)):
                    raise CheckpointError(f"{key} has the shape {value.shape}, not {tuple(parameter.shape)}")
                optimizer.state[parameter][key.removeprefix(prefix)] = torch.from_numpy(value.copy()).to(device)
            if not own:
                raise CheckpointError(f"the checkpoint has no optimiser state for {name}")
        torch.set_rng_state(torch.from_numpy(arrays["rng.cpu"].copy()))
        if device.type == "cuda" and "rng.cuda" in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(arrays["rng.cuda"].copy()))
        layers = []
        for index, layer in enumerate(model.initial_state(1)):
            values = [torch.from_numpy(np.array(arrays[f"state.{index}.{key}"])) for key in layer._fields]
            layers.append(type(layer)(*(value.to(device) for value in values)))
    except (KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"the checkpoint's training state does not fit its model: {error}") from error
    return tuple(layers)
