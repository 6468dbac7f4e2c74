"""What is chosen when it is not given: sizes, shapes and a budget, from corpus and device."""

from collections.abc import Mapping
from dataclasses import replace

from charrnn.config import RunConfig
from charrnn.text.batches import fit_shape
from charrnn.text.tokens import Tokens

__all__ = ["choose"]

_BUDGET_SECONDS = 180.0
_BUDGET_EPOCHS = 40.0
_BUDGET_STEPS = 1500  # a tiny text has little to an epoch, and still wants this many updates


def choose(config: RunConfig, tokens: Tokens, device: str) -> tuple[RunConfig, list[str]]:
    """Fill in what `config` leaves open, and shrink a batch that the training text cannot fill; notices say why."""
    notices = []
    model, training = config.model, config.training
    tapes = config.text.documents == "none"

    # Sizes. Parameters and characters should be of about the same order (Karpathy's rule in char-rnn's readme).
    if tokens.targets < 20_000:
        layers, hidden_size, dropout, why = 1, 128, 0.0, "a text of less than 20,000 characters"
    elif tokens.targets < 400_000:
        layers, hidden_size, dropout, why = 2, 192, 0.2, "a text of less than 400,000 characters"
    elif device == "cuda":
        layers, hidden_size, dropout, why = 2, 512, 0.3, "a longer text and a GPU"
    else:
        layers, hidden_size, dropout, why = 2, 256, 0.1, "a longer text and a CPU"
    sizes = {"layers": layers, "hidden_size": hidden_size, "dropout": dropout}
    if config.model.encoder == "embedding":
        sizes["embedding_size"] = 64
    chosen = {name: size for name, size in sizes.items() if getattr(model, name) is None}
    if chosen:
        model = replace(model, **chosen)  # type: ignore[arg-type]
        notices.append(f"chose {_listed(chosen)} for {why}")

    # Shapes: 2,048 tokens a step, in one piece where a running text is no longer than a few lines.
    sequence_length = training.sequence_length or (64 if tokens.targets > 256 else tokens.targets)
    typical = sequence_length if tapes else min(sequence_length, max(int(tokens.lengths.mean()), 1))
    batch_size = training.batch_size or min(max(2048 // typical, 1), 512)
    fitted = fit_shape(tokens, batch_size, sequence_length, tapes=tapes)
    shape = {"batch_size": fitted[0], "sequence_length": fitted[1]}
    if shrunk := {name: size for name, size in shape.items() if (asked := getattr(training, name)) and size < asked}:
        notices.append(f"the text is too short for the shape asked for: made it {_listed(shrunk)}")
    training = replace(training, **shape)  # type: ignore[arg-type]

    if training.time is None and training.epochs is None and training.steps is None:
        per_epoch = max(tokens.targets // (fitted[0] * fitted[1]), 1)
        epochs = max(_BUDGET_EPOCHS, _BUDGET_STEPS / per_epoch)
        training = replace(training, time=_BUDGET_SECONDS, epochs=float(round(epochs)))
        notices.append(
            f"no budget given: {_BUDGET_SECONDS / 60:g} minutes, or {training.epochs:g} epochs if they end first "
            "(change it with --time, --epochs or --steps)"
        )
    return replace(config, model=model, training=training), notices


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
