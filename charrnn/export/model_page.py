"""A model as one page of HTML that runs it: JavaScript from `page/`, the weights and the vocabulary, and an account.

This module makes the page. The arithmetic is in `page/cells.js`, with the letters of `recurrent.equations`; what people
see and press is in `page/page.html`, `page.css` and `page.js`.
"""

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import charrnn
from charrnn.errors import UsageError
from charrnn.export.character_names import name_of
from charrnn.export.html import document, shown
from charrnn.export.shaded_page import legend, shades
from charrnn.export.shading import ALTERNATIVES, SURPRISE
from charrnn.messages import counted, named, safe
from charrnn.settings.page import PageConfig, PagePrecision

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Arrays, Checkpoint
    from charrnn.settings.run import RunConfig
    from charrnn.settings.text import TextConfig
    from charrnn.text.vocabulary import Vocabulary

__all__ = ["model_page"]

_DOCUMENTS = {"line": "line", "blank": "paragraph", "file": "file", "row": "row"}
_FOLDER = Path(__file__).with_name("page")
_SHOWN_TEXTS = 10


def model_page(checkpoint: "Checkpoint", name: str, config: PageConfig) -> Iterator[str]:
    """The page in pieces; `name` is that of the model, which is the title unless `config` has another.

    The counters of the checkpoint must have been read, too, as the page tells how well the model does.

    Raises:
        UsageError: a weight is too large for half precision.
    """
    weights = b64encode(_weights(checkpoint.model, config.precision)).decode()
    title = config.title or name
    unit = checkpoint.vocabulary.unit
    body = Template(_read("page.html")).substitute(
        title=shown(title),
        summary=shown(_summary(checkpoint.config)),
        units=f"{unit}s".capitalize(),
        lower_units=f"{unit}s",
        legend=legend(SURPRISE),
        about=_about(checkpoint, config.precision),
    )
    data = _embedded("application/json", "data", json.dumps(_data(checkpoint, config.precision), ensure_ascii=False))
    script = '"use strict";\n' + "".join(map(_read, ("cells.js", "engine.js", "page.js")))
    style = shades(SURPRISE) + _read("page.css")
    return document(title, [body, data, _embedded("text/plain", "weights", weights)], style=style, script=script)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _embedded(kind: str, name: str, text: str) -> str:
    """An element with data, which is no script to run. Only JSON may have the characters of markup, in its strings."""
    text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="{kind}" id="{name}">{text}</script>\n'


def _weights(arrays: "Arrays", precision: PagePrecision) -> bytes:
    """The numbers of all arrays, one after the other, in little-endian order."""
    import numpy as np

    kind = "<f2" if precision == "fp16" else "<f4"
    with np.errstate(over="ignore"):
        converted = {name: array.astype(kind) for name, array in arrays.items()}
    for name, array in converted.items():
        if not np.isfinite(array).all():
            most, full = np.finfo(np.float16).max, named("precision", "fp32")
            raise UsageError(
                f"{name} has a weight beyond {most:,.0f}, which half precision cannot hold; ask for {full}"
            )
    return b"".join(array.tobytes() for array in converted.values())


def _data(checkpoint: "Checkpoint", precision: PagePrecision) -> dict[str, Any]:
    """All that the page's script reads, weights aside."""
    from charrnn.sampling.prefill import lead_in_of

    model, text, vocabulary = checkpoint.config.model, checkpoint.config.text, checkpoint.vocabulary
    network = ("cell", "layers", "hidden_size", "embedding_size", "zoneout", "residual")
    return {
        "network": {key: getattr(model, key) for key in network},
        "text": {
            **{key: getattr(text, key) for key in ("normalize", "newlines", "documents")},
            "lead_in": "" if vocabulary.labels else lead_in_of(checkpoint),
        },
        "vocabulary": {
            "characters": vocabulary.characters,
            "unit": vocabulary.unit,
            "names": _names(vocabulary),
            "labels": vocabulary.labels,
            "label_counts": vocabulary.label_counts,
            "shown_labels": [safe(label) or "without a label" for label in vocabulary.labels],
        },
        "arrays": [(name, array.size) for name, array in checkpoint.model.items()],
        "precision": precision,
        "bounds": list(SURPRISE.bounds),
        "alternatives": ALTERNATIVES,
    }


def _names(vocabulary: "Vocabulary") -> dict[int, str]:
    """The names of the characters, by id, that are not called as they are written."""
    named = enumerate((each, name_of(each, vocabulary.unit)) for each in vocabulary.characters)
    return {token: name for token, (character, name) in named if name != character}


def _summary(config: "RunConfig") -> str:
    unit = f"{config.text.unit} by {config.text.unit}"
    return (
        f"A recurrent network that learned {_texts(config)}, {unit}, and writes more of it. "
        "It runs in this page: nothing is fetched, and nothing that you type is sent anywhere."
    )


def _texts(config: "RunConfig") -> str:
    """The names of the texts, without the folders that they lie in on somebody's disk."""
    names = [_file_name(each) for each in config.text.corpus] or ["a text"]
    more = f" and {len(names) - _SHOWN_TEXTS:,} more" if len(names) > _SHOWN_TEXTS else ""
    return ", ".join(names[:_SHOWN_TEXTS]) + more


def _file_name(path: str) -> str:
    return "standard input" if path == "-" else Path(path).name or path


def _about(checkpoint: "Checkpoint", precision: PagePrecision) -> str:
    """The account of the model as HTML: on what it was trained, how well it does and how it was made."""
    rows = "".join(
        f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>\n" for name, value in _facts(checkpoint, precision).items()
    )
    settings = shown(_without_folders(checkpoint.config).to_toml())
    told = "All settings of the training, as charrnn repeats it from them"
    details = f"<details>\n<summary>{told}</summary>\n<pre>{settings}</pre>\n</details>"
    return f'<dl class="facts">\n{rows}</dl>\n{details}'


def _facts(checkpoint: "Checkpoint", precision: PagePrecision) -> Mapping[str, str]:
    from charrnn.checkpoint.format import model_sha256

    config, counters, vocabulary = checkpoint.config, checkpoint.counters, checkpoint.vocabulary
    model, text = config.model, config.text
    parameters = sum(array.size for array in checkpoint.model.values())
    width = f"embedding of {model.embedding_size}" if model.encoder == "embedding" else "one-hot"
    known = counted(len(vocabulary.characters), f"different {text.unit}")
    documents = "" if text.documents == "none" else f", each {_DOCUMENTS.get(text.documents, 'part')} a document"
    labels = f", {counted(len(vocabulary.labels), 'label')}" if vocabulary.labels else ""
    network = f"{model.cell}, {model.layers} × {model.hidden_size} units"
    steps, seconds = counted(counters.step, "step"), counted(round(counters.seconds), "second")
    made = [f"{name} {version}" for name, version in checkpoint.versions.items() if name != "threads"]
    return {
        "Trained on": f"{_texts(config)}: {known}{documents}{labels}",
        "How well it does": _quality(counters.best_loss, text) + _about_ngrams(model.ngrams),
        "Network": f"{network}, {width}, {counted(parameters, 'parameter')}",
        "Training": f"{steps}, {counted(counters.characters, text.unit)} read, {seconds}",
        "Made with": ", ".join([*made, f"this page by charrnn {charrnn.__version__}"]),
        "Weights here": "half precision" if precision == "fp16" else "single precision, as trained",
        "SHA-256 of the text": config.record.corpus_sha256 or "not known",
        "SHA-256 of the model": model_sha256(checkpoint),
    }


def _quality(loss: float | None, text: "TextConfig") -> str:
    if loss is None:
        return "not measured, as no text was held out"
    share = f"the {text.validation:.0%} of the text that was held out"
    held_out = share if text.validation_file is None else _file_name(text.validation_file)
    return f"{loss / math.log(2):.4f} bits per {text.unit} (loss {loss:.4f}) on {held_out}"


def _about_ngrams(longest: int | None) -> str:
    return "; with n-grams of the text beside the network, which this page leaves out" if longest else ""


def _without_folders(config: "RunConfig") -> "RunConfig":
    """The settings, with files called by their names alone."""
    source = config.training.from_model
    training = replace(config.training, from_model=source and _file_name(source))
    given = config.text.validation_file
    text = replace(
        config.text,
        corpus=tuple(Path(each).name or each for each in config.text.corpus),
        validation_file=given and _file_name(given),
    )
    return replace(config, text=text, training=training)
