"""Names and shapes of a model's tensors, as `CharacterModel` has them and checkpoints hold them, without torch."""

from charrnn.recurrent.registry import core_equations
from charrnn.settings.model import ModelConfig

__all__ = ["EMBEDDING", "HEAD_BIAS", "HEAD_WEIGHT", "layer_prefix", "model_shapes"]

EMBEDDING = "encoder.vectors.weight"
HEAD_WEIGHT = "head.weight"
HEAD_BIAS = "head.bias"


def layer_prefix(index: int) -> str:
    """The prefix of the names of a layer's tensors; the rest is as in `recurrent.equations`."""
    return f"stack.layers.{index}."


def model_shapes(config: ModelConfig, vocabulary_size: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a model, by name. ValueError if a size is not chosen."""
    if config.layers is None or config.hidden_size is None:
        raise ValueError(f"the sizes of the model are not chosen yet: {config}")
    shapes: dict[str, tuple[int, ...]] = {}
    width: int | None = vocabulary_size
    if config.encoder == "embedding":
        if config.embedding_size is None:
            raise ValueError(f"the sizes of the model are not chosen yet: {config}")
        width = config.embedding_size
        shapes[EMBEDDING] = (vocabulary_size, config.embedding_size)
    cell = core_equations(config.cell)
    for index in range(config.layers):
        own = cell.layer_shapes(width, config.hidden_size)
        shapes |= {layer_prefix(index) + name: shape for name, shape in own.items()}
        width = None
    return shapes | {HEAD_WEIGHT: (vocabulary_size, config.hidden_size), HEAD_BIAS: (vocabulary_size,)}
