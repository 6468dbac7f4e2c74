"""A folder for passing a model on: weights, settings, vocabulary, and a card that says what it is.

The weights' file is a checkpoint without what only resuming needs, so every command reads it. The other files repeat
what it says for readers who have no charrnn. Of absolute paths of texts and models only the names are passed on.
"""

import inspect
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.checkpoint.store import EXPORTED
from charrnn.errors import CheckpointError, ResourceError, UsageError
from charrnn.export.markdown import escaped, fenced
from charrnn.files import make_folder, write_file
from charrnn.messages import counted, named, safe
from charrnn.recurrent.registry import CORES, core_equations
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import EngineConfig, PrimeConfig, SamplingConfig

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint

__all__ = ["CardWords", "card_sampling", "differing_files", "prepare_folder", "shareable", "write_folder"]

_CONFIG, _VOCABULARY, _CARD, _RUN = "config.json", "vocabulary.json", "README.md", "run.toml"

_SAMPLED, _SAMPLED_DOCUMENTS = 400, 8  # characters of a running text, and documents, in the card
_SEED = 1


@dataclass(frozen=True)
class CardWords:
    """Words for a card from the command line: licence and languages, by the identifiers of model hubs, and commands.

    `use` samples the model, `train` trained it, `repeat` does so to the digit by run.toml, `sample` writes the card's
    sample (see `card_sampling`). `lacks_ngrams` is true where the model had n-grams that are left out.
    """

    use: str
    train: str
    repeat: str
    sample: str
    license: str | None = None
    languages: Sequence[str] = ()
    lacks_ngrams: bool = False


def card_sampling(config: RunConfig) -> SamplingConfig:
    """The settings of the sample in the card of a model."""
    several = config.text.documents != "none"
    return SamplingConfig(length=_SAMPLED, num_samples=_SAMPLED_DOCUMENTS if several else 1, seed=_SEED)


def shareable(checkpoint: "Checkpoint", *, network_only: bool = False) -> "Checkpoint":
    """The checkpoint without its training arrays, and with names instead of absolute paths; perhaps without n-grams.

    Where there were such paths it is another model by its digest, though its weights are the same.
    """
    config = checkpoint.config
    names = tuple(map(_without_folder, config.text.corpus))
    model = config.training.from_model
    given = config.text.validation_file
    changes = {
        "corpus": names,
        "validation_file": given and _without_folder(given),
        "from_model": model and _without_folder(model),
    }
    if network_only:
        changes["ngrams"] = None
    ngrams = None if network_only else checkpoint.ngrams
    return replace(checkpoint, config=config.override(changes), training={}, ngrams=ngrams)


def _without_folder(name: str) -> str:
    return Path(name).name if Path(name).is_absolute() else name


def prepare_folder(folder: Path, *, replaces: bool) -> None:
    """Make the folder, or see that it is empty, unless what is there may be replaced.

    Raises:
        UsageError: it has something in it, or is no folder.
        ResourceError: it cannot be made or read.
    """
    try:
        if not os.path.lexists(folder):
            make_folder(folder)
        elif not folder.is_dir():
            raise UsageError(f"{folder} is there and is no folder; name another")
        elif not replaces and any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty, and nothing is overwritten; name another folder, or use {named('force', True)}"
            )
    except OSError as error:
        raise ResourceError(f"cannot make the folder {folder}: {error.strerror}") from error


def write_folder(checkpoint: "Checkpoint", folder: Path, card: CardWords) -> dict[str, int]:
    """Write the files of a checkpoint that is `shareable` into a folder; the size of each in bytes.

    The weights come last: a folder without them is no model.

    Raises:
        ResourceError: the folder cannot be written.
    """
    from charrnn.checkpoint.format import to_bytes

    files = {
        **_about(checkpoint),
        _RUN: checkpoint.config.to_toml().encode(),
        _CARD: _card(checkpoint, folder.resolve().name, card).encode(),
        EXPORTED: to_bytes(checkpoint),
    }
    for name, data in files.items():
        write_file(folder / name, data)
    return {name: len(data) for name, data in files.items()}


def differing_files(checkpoint: "Checkpoint", folder: Path) -> list[str]:
    """Files of an exported folder that do not say what its weights' file says, as damage and edits leave them."""
    found = []
    for name, data in _about(checkpoint).items():
        try:
            same = json.loads((folder / name).read_bytes()) == json.loads(data)
        except (OSError, ValueError, RecursionError):
            same = False
        found += [] if same else [name]
    return found


def _about(checkpoint: "Checkpoint") -> dict[str, bytes]:
    """The files that repeat in JSON what is in the weights' file."""
    from charrnn.checkpoint.format import model_sha256
    from charrnn.checkpoint.versions import version_of

    vocabulary = checkpoint.vocabulary
    config = {
        "model_type": "charrnn",
        "format_version": version_of(has_ngrams=checkpoint.ngrams is not None),
        "vocabulary_size": vocabulary.size,
        "parameters": _parameters(checkpoint),
        "configuration": checkpoint.config.to_mapping(),
        "counters": asdict(checkpoint.counters),
        "versions": dict(checkpoint.versions),
        "model_sha256": model_sha256(checkpoint),
    }
    tokens = {
        "unit": vocabulary.unit,
        "characters": list(vocabulary.characters),
        "labels": list(vocabulary.labels),
        "label_counts": list(vocabulary.label_counts),
        "start": list(vocabulary.starts),
        "end": vocabulary.end,
        "unknown": vocabulary.unknown,
    }
    return {_CONFIG: _json(config), _VOCABULARY: _json(tokens)}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n"


def _parameters(checkpoint: "Checkpoint") -> int:
    return sum(array.size for array in checkpoint.model.values())


def _card(checkpoint: "Checkpoint", name: str, card: CardWords) -> str:
    """The model card: front matter for model hubs, then what people want to know."""
    model, text = checkpoint.config.model, ", ".join(map(escaped, checkpoint.config.text.corpus)) or "a text"
    core = CORES[model.cell]
    parts = [
        _front_matter(checkpoint, name, card),
        f"# {escaped(name)}\n",
        f"A recurrent network that writes text {checkpoint.vocabulary.unit} by {checkpoint.vocabulary.unit}: "
        f"{model.cell} ({core.summary}, {core.paper}), {model.layers} × {model.hidden_size}, "
        f"{counted(_parameters(checkpoint), 'parameter')}. It learned {text} with charrnn.\n",
        "## How to use it\n",
        f"    pip install charrnn-text\n{_as_code(card.use)}",
        "It runs no code of its own: `model.safetensors` has numbers and JSON.\n",
        "## How well it does\n",
        _figures(checkpoint.counters.best_loss, checkpoint.counters.best_step),
        *(["That was with n-grams of the text beside the network, which are left out here.\n"] * card.lacks_ngrams),
        "## How it was made\n",
        _as_code(card.train),
        "With the same text, versions and threads this repeats it, on a CPU to the last digit:\n",
        _as_code(card.repeat),
        _facts(checkpoint),
        "## A sample\n",
        _as_code(card.sample),
        _sample(checkpoint),
        "## How to read it without charrnn\n",
        _reading(checkpoint),
        "## Limits\n",
        "It knows nothing but its text. It repeats its manner, errors and opinions, and can recite pieces of it."
        f"{_about_ngrams(model)}\n",
    ]
    return "\n".join(parts)


def _about_ngrams(model: ModelConfig) -> str:
    return " Its n-grams have the text in them." if model.ngrams else ""


def _front_matter(checkpoint: "Checkpoint", name: str, card: CardWords) -> str:
    """The table that model hubs read. Values are JSON, which is YAML, too."""
    table: dict[str, Any] = {
        **({"language": list(card.languages)} if card.languages else {}),
        **({"license": card.license} if card.license else {}),
        "library_name": "charrnn",
        "pipeline_tag": "text-generation",
        "tags": ["charrnn", "character-level", "recurrent-neural-network", checkpoint.config.model.cell],
    }
    if (loss := checkpoint.counters.best_loss) is not None:
        figures = {"bits_per_character": loss / math.log(2), "perplexity": _perplexity(loss)}
        dataset = {"type": "text", "name": safe(", ".join(checkpoint.config.text.corpus)), "split": "validation"}
        metrics = [{"type": each, "value": value} for each, value in figures.items()]
        result = {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}
        table |= {"metrics": list(figures), "model-index": [{"name": safe(name), "results": [result]}]}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items()]
    return f"---\n{''.join(lines)}---\n"


def _perplexity(loss: float) -> float | None:
    return math.exp(loss) if loss < 700 else None


def _figures(loss: float | None, step: int | None) -> str:
    if loss is None:
        return "It was trained without validation text, so nothing was measured.\n"
    return (
        f"Measured in training, at step {step:,}, on text that was held out:\n\n"
        "| nats per character | bits per character | perplexity |\n|---|---|---|\n"
        f"| {loss:.4f} | {loss / math.log(2):.4f} | {_perplexity(loss) or math.inf:.3f} |\n"
    )


def _facts(checkpoint: "Checkpoint") -> str:
    counters, digest = checkpoint.counters, checkpoint.config.record.corpus_sha256
    facts = {
        "steps": f"{counters.step:,}",
        "characters read": f"{counters.characters:,}",
        "seconds": f"{counters.seconds:,.0f}",
        "digest of the text": digest or "unknown",
        **dict(sorted(checkpoint.versions.items())),
    }
    return "| | |\n|---|---|\n" + "".join(f"| {escaped(key)} | {escaped(value)} |\n" for key, value in facts.items())


def _sample(checkpoint: "Checkpoint") -> str:
    """A sample as a block of code."""
    from charrnn.sampling.session import Session
    from charrnn.text.units import readable

    config = card_sampling(checkpoint.config)
    try:
        pieces = list(Session(checkpoint, config, "", PrimeConfig(), EngineConfig("cpu", "numpy")).pieces())
    except CheckpointError as error:  # of a model that is no use, which may be shared all the same
        return f"None: {escaped(str(error))}\n"
    written = "".join(piece.text + "\n" * bool(config.num_samples > 1 and piece.finished) for piece in pieces)
    return fenced(readable(written, checkpoint.vocabulary.unit).encode("utf-8", "replace").decode().rstrip("\n"))


def _as_code(command: str) -> str:
    """A command as a block of code, on one line."""
    shown = safe(command).replace("\n", "\\n")
    return f"    {shown}\n"


def _reading(checkpoint: "Checkpoint") -> str:
    model = checkpoint.config.model
    return "\n".join(_reading_lines(checkpoint.config, inspect.cleandoc(core_equations(model.cell).step.__doc__ or "")))


def _reading_lines(config: RunConfig, equations: str) -> Iterator[str]:
    """Paragraphs on the files, the network's steps, and the equations of its cell."""
    is_embedding = config.model.encoder == "embedding"
    x = (
        "its row of `model.encoder.vectors.weight`"
        if is_embedding
        else "a one-hot vector, so that W x is a column of W"
    )
    added = ", added to what that read, from the second layer on" if config.model.residual else ""
    yield (
        "Any reader of safetensors opens the weights, and `config.json` has the settings. `vocabulary.json` lists the "
        "characters by their ids; those of start, end and unknown follow. Begin with a zero state and a "
        f"start id. For each id, x is {x}. The layers `model.stack.layers.0`, `1`, … follow each other; each reads the "
        f"output h of the one below{added}, by these equations; b is `b_W` + `b_U` if there are two, and d is 1:\n"
    )
    yield fenced(equations)
    yield "charrnn's `recurrent/equations.py` and `recurrent/scan_equations.py` have the same as code.\n"
    if k := config.model.zoneout:
        yield f"Of each new h and c, {1 - k:g} counts, and {k:g} of the one before.\n"
    yield "Logits are `model.head.weight` h + `model.head.bias`; softmax makes them probabilities of the next id.\n"
    if config.model.ngrams:
        yield (
            "These are the network's. charrnn mixes them with the n-grams of the text (`ngrams.*`), as its "
            "`ngrams/table.py` says, and the figures above are those of the mixture.\n"
        )
