"""Training a model further on a new text, with more rows where the vocabulary grows.

The network is the model's, except for its regularisation; known characters keep their weights, and new ones get rows of
their own; optimiser, carried state and schedule begin anew.
"""

from collections.abc import Collection
from dataclasses import fields, replace

import numpy as np

from charrnn.checkpoint.format import Checkpoint, model_sha256
from charrnn.checkpoint.store import load_model
from charrnn.errors import CheckpointError, UsageError
from charrnn.layout import model_shapes
from charrnn.messages import named
from charrnn.model import CharacterModel, model_arrays, put_arrays
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.text.vocabulary import Vocabulary

__all__ = ["begin_from", "take_over"]

# Of a new model's peak. Half of it learns the new text nearly as well and forgets less of the old one than all of it;
# the trials stand in tests/benchmarks/README.md.
_LEARNING_RATE_SHARE = 0.5

# These may differ from the model's; n-grams are those of the new text.
_FREE = ("dropout", "input_dropout", "recurrent_dropout", "zoneout", "ngrams")


def take_over(config: RunConfig, given: Collection[str]) -> tuple[RunConfig, Checkpoint, list[str]]:
    """`config` with the network and the recorded digest of the model that it names; that model; notices.

    Args:
        given: settings that were asked for, even if they are the defaults; all others are the model's.

    Raises:
        UsageError: another network, unit or normalisation was asked for than the model has.
        CheckpointError: there is no such model, or it is not the one of the recorded run.
    """
    found, start = load_model(config.training.from_model)
    own, text = start.config, config.text
    chosen = {}
    for field in fields(ModelConfig):
        asked, there = getattr(config.model, field.name), getattr(own.model, field.name)
        is_asked = field.name in given or asked != field.default
        if is_asked and asked != there and field.name not in _FREE:
            raise _other(found.path, field.name, asked, there)
        chosen[field.name] = asked if is_asked or field.name == "ngrams" else there
    if text.unit != start.vocabulary.unit:
        raise UsageError(
            f"{found.path} reads {start.vocabulary.unit}s; train it further with {named('unit', own.text.unit)}"
        )
    if text.normalize is None:
        text = replace(text, normalize=own.text.normalize)
    elif text.normalize != own.text.normalize:
        raise _other(found.path, "normalize", text.normalize, own.text.normalize or "none")

    digest = model_sha256(start)
    if config.record.from_sha256 not in (None, digest):
        raise CheckpointError(
            f"{found.path} is not the model from which the recorded run began: its sha256 is {digest}, "
            f"was {config.record.from_sha256}\n"
            f"put that model back, or begin a new run with {named('from_model', str(found.path))}"
        )
    training = replace(config.training, from_model=str(found.path))
    notices = [f"training {found.path} further, {own.model.cell} {own.model.layers}×{own.model.hidden_size}"]
    if training.learning_rate is None:
        training = replace(training, learning_rate=CORES[own.model.cell].learning_rate * _LEARNING_RATE_SHARE)
        notices[0] += f", at a learning rate of {training.learning_rate:g}"
    config = RunConfig(text, ModelConfig(**chosen), training, replace(config.record, from_sha256=digest))
    return config, start, notices


def _other(path: object, setting: str, asked: object, there: object) -> UsageError:
    return UsageError(
        f"{path} has {named(setting, there)}, not {asked}; "
        f"{named('from_model')} keeps the model as it is: leave {named(setting)} out"
    )


def begin_from(start: Checkpoint, model: CharacterModel, vocabulary: Vocabulary) -> None:
    """Give a model of a larger vocabulary the weights of `start`; rows of new characters stay as they are."""
    old, new = (model_shapes(start.config.model, size) for size in (start.vocabulary.size, vocabulary.size))
    ids = start.vocabulary.translation(vocabulary).astype(np.int64)
    weights = model_arrays(model)
    for name, array in start.model.items():
        # Only sides that are as long as the vocabulary differ between the two shapes.
        sides = [ids if a != b else np.arange(a) for a, b in zip(old[name], new[name], strict=True)]
        weights[name] = weights[name].copy()
        weights[name][np.ix_(*sides)] = array
    put_arrays(model, weights)
