"""Learn a text character by character with a recurrent network, and write more of it.

    import charrnn

    model = charrnn.load()                        # the newest run in ./checkpoints, or the demo
    print(model.sample("The river ", length=200, seed=1))
    model.score("The river is wide.").bits_per_character
    training = charrnn.train("corpus.txt", cell="gru", time="3m")
    for event in training: ...                    # or training.run(); then training.model

Importing this loads neither torch nor numpy; what is used loads what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.api import Model, Score, Training, load, train
    from charrnn.errors import (
        BusyError,
        CharrnnError,
        CheckpointError,
        DataError,
        DivergedError,
        ResourceError,
        UsageError,
    )

__version__ = "0.2.0"

__all__ = [
    "BusyError",
    "CharrnnError",
    "CheckpointError",
    "DataError",
    "DivergedError",
    "Model",
    "ResourceError",
    "Score",
    "Training",
    "UsageError",
    "load",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("charrnn.errors" if name.endswith("Error") else "charrnn.api"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
