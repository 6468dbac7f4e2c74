"""A network in torch whose logits are mixed with the n-grams of its training text."""

from typing import NamedTuple

import torch
from torch import Tensor

from charrnn.checkpoint.format import Checkpoint
from charrnn.model import CharacterModel, model_from_arrays
from charrnn.ngrams.table import NgramTable, Precedents

__all__ = ["ModelWithNgrams", "ScoredModel", "mixed", "model_of", "network_of", "table_of"]


class ModelWithNgrams(NamedTuple):
    """A network and the table of n-grams that it is mixed with."""

    network: CharacterModel
    table: NgramTable


ScoredModel = CharacterModel | ModelWithNgrams


def network_of(model: ScoredModel) -> CharacterModel:
    """The network alone."""
    return model.network if isinstance(model, ModelWithNgrams) else model


def table_of(model: ScoredModel) -> NgramTable | None:
    """The n-grams, if there are any."""
    return model.table if isinstance(model, ModelWithNgrams) else None


def model_of(checkpoint: Checkpoint, device: torch.device) -> ScoredModel:
    """The model of a checkpoint on a device, in evaluation mode, with its n-grams, if it has any."""
    network = model_from_arrays(checkpoint.config.model, checkpoint.vocabulary, checkpoint.model).to(device)
    return network if checkpoint.ngrams is None else ModelWithNgrams(network, checkpoint.ngrams)


def mixed(logits: Tensor, table: NgramTable, found: Precedents) -> Tensor:
    """The logits (B, T, V) of the mixture, of a network's logits (B, T, V) at B·T places.

    It is `NgramTable.mixed` with gradients.
    """
    weights, copied, more = (torch.from_numpy(part).to(logits.device) for part in table.weights_at(found))
    logs = torch.from_numpy(table.log_probabilities(found.contexts)).to(logits.device)
    mixture = weights[:, :1] * logits.flatten(0, 1).float() + weights[:, 1:] * logs
    return mixture.scatter_add(1, copied.clamp(min=0).long(), more).view_as(logits)
