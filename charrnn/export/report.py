"""A run as one page of HTML: its curve, what it wrote, how it reads the held-out text, and how it is repeated."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import charrnn
from charrnn.checkpoint.records import losses_of, samples_of
from charrnn.checkpoint.summary import summary_of
from charrnn.errors import DataError
from charrnn.export.curves import curve
from charrnn.export.html import document, shown
from charrnn.export.shaded_page import legend, shades, spans
from charrnn.export.shading import SURPRISE, cells, shaded
from charrnn.messages import counted, for_python
from charrnn.settings.sampling import SamplingConfig

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint
    from charrnn.settings.training import Device

__all__ = ["report"]

_STAGES = 12  # samples that are shown, from the first to the last
_READ = 4_000  # characters of the held-out text that are shown
_WRITTEN = 5_000  # characters that are written, and compared with what was learned
_DOCUMENTS = 50  # that share them, for a model of documents
_SEED = 1
_HINT = "the report is made without it"

_STYLE = Path(__file__).with_name("report.css")


def report(checkpoint: "Checkpoint", path: Path, command: str, device: "Device" = "auto") -> Iterator[str]:
    """The page in pieces.

    Args:
        checkpoint: the model with its counters.
        path: its file, in the folder of its run.
        command: the command that repeats the run, with the file `run.toml`.
        device: reads the held-out text.
    """
    is_of_run = (path.parent / "run.toml").exists()
    name = path.absolute().parent.name if is_of_run else path.stem
    style = f"{_STYLE.read_text('utf-8')}{shades(SURPRISE)}"
    return document(f"{name}: report of a training", _body(checkpoint, path, name, command, device), style=style)


def _body(checkpoint: "Checkpoint", path: Path, name: str, command: str, device: "Device") -> Iterator[str]:
    model, unit = checkpoint.config.model, checkpoint.config.text.unit
    network, text = f"{model.cell} {model.layers}×{model.hidden_size}", checkpoint.config.text.corpus_name or "a text"
    yield f"<h1>{shown(name)}</h1>\n"
    yield f'<p class="soft">{shown(f"{network} that learned {text}, {unit} by {unit}")}</p>\n'
    yield _listed(_facts(checkpoint, path.parent))
    yield "<h2>How it went</h2>\n"
    yield curve(losses_of(path.parent)) or "<p>The run has no record of its losses.</p>\n"
    yield "<h2>What it wrote while it learned</h2>\n"
    yield from _stages(samples_of(path.parent))
    yield "<h2>The held-out text, shaded by surprise</h2>\n"
    yield from _held_out(checkpoint, device)
    yield "<h2>How much it copies</h2>\n"
    yield from _copies(checkpoint)
    yield "<h2>How to repeat it</h2>\n"
    yield from _repetition(checkpoint, path.parent, command)


def _listed(rows: Mapping[str, str]) -> str:
    told = "".join(f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>\n" for name, value in rows.items())
    return f'<dl class="facts">\n{told}</dl>\n'


def _facts(checkpoint: "Checkpoint", run: Path) -> dict[str, str]:
    counters, unit = checkpoint.counters, checkpoint.config.text.unit
    summary = summary_of(run)
    last = summary.step if summary and summary.step else counters.step
    best = "not measured, as no text was held out"
    if counters.best_loss is not None:
        bits = counters.best_loss / math.log(2)
        best = f"{counters.best_loss:.4f} nats, {bits:.4f} bits per {unit}, at step {counters.best_step:,}"
    return {
        "Best validation loss": best,
        "Parameters": f"{sum(array.size for array in checkpoint.model.values()):,}",
        "Vocabulary": counted(len(checkpoint.vocabulary.characters), f"different {unit}"),
        "Steps": f"{last:,}; the model of this page is from step {counters.step:,}",
        "Read until then": f"{counted(counters.characters, unit)} in {counted(round(counters.seconds), 'second')}",
    }


def _stages(samples: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Samples at stages apart by about as much, with the first and the last."""
    if not samples:
        yield "<p>The run has no samples.</p>\n"
    count = min(len(samples), _STAGES)
    for place in range(count):
        step, text = samples[round(place * (len(samples) - 1) / max(count - 1, 1))]
        yield f'<h3>Step {step:,}</h3>\n<pre class="stage" dir="auto">{shown(text)}</pre>\n'


def _held_out(checkpoint: "Checkpoint", device: "Device") -> Iterator[str]:
    from charrnn.evaluation.evaluate import open_reading

    try:
        reading = open_reading(checkpoint, device=device, hint=_HINT)
    except DataError as error:
        yield _missing(error)
        return
    unit = reading.vocabulary.unit
    scores = list(islice(reading.characters(), _READ))
    costs = [each.bits for each in scores if each.bits is not None]
    told = f"{math.fsum(costs) / max(len(costs), 1):.4f} bits per {unit} over the first {counted(len(scores), unit)}"
    yield f"<p>{shown(f'{told} of {reading.text}.')}</p>\n"
    yield f'<p class="legend">{legend(SURPRISE)}</p>\n<pre dir="auto">'
    yield from spans(cells(shaded(scores, unit), SURPRISE, unit), SURPRISE)
    yield "</pre>\n"


def _copies(checkpoint: "Checkpoint") -> Iterator[str]:
    from charrnn.evaluation.novelty import written_novelty

    documents = _written(checkpoint)
    try:
        shares = written_novelty(checkpoint, documents, _HINT)
    except DataError as error:
        yield _missing(error)
        return
    unit = checkpoint.config.text.unit
    length = counted(sum(map(len, documents)), unit)
    yield (
        f"<p>The share of pieces of K {unit}s that stand in the text that it learned: of {length} that it wrote "
        f"(seed {_SEED}), and of the held-out text, which nobody copied. Where the first is clearly larger, it "
        "recites.</p>\n"
    )
    yield '<table class="figures">\n<tr><th>K</th><th>written</th><th>held out</th></tr>\n'
    for written, held_out in shares:
        cells_of_row = (str(written.k), _percent(written.share), _percent(held_out and held_out.share))
        yield f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells_of_row)}</tr>\n"
    yield "</table>\n"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _written(checkpoint: "Checkpoint") -> list[str]:
    """A text that the model writes by a fixed seed, in its units, or documents."""
    from charrnn.sampling.batched import PrimePiece
    from charrnn.sampling.session import Session

    config = SamplingConfig(length=_WRITTEN, seed=_SEED)
    if checkpoint.config.text.documents != "none":
        config = SamplingConfig(length=_WRITTEN // _DOCUMENTS, num_samples=_DOCUMENTS, seed=_SEED)
    documents = [""] * config.num_samples
    for piece in Session(checkpoint, config).pieces():
        if not isinstance(piece, PrimePiece):
            documents[piece.sample] += piece.text
    return documents


def _missing(error: DataError) -> str:
    return f"<p>Not shown: {shown(for_python(error.message))}.</p>\n"


def _repetition(checkpoint: "Checkpoint", run: Path, command: str) -> Iterator[str]:
    from charrnn.checkpoint.format import model_sha256

    try:
        settings = (run / "run.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        settings = checkpoint.config.to_toml()  # of a checkpoint that lies alone
    yield f"<p>Save the settings below as run.toml, and</p>\n<pre>{shown(command)}</pre>\n"
    yield "<p>On a CPU, with the same text and the same versions, the weights come out the same.</p>\n"
    versions = ", ".join(f"{name} {version}" for name, version in checkpoint.versions.items())
    yield _listed(
        {
            "Made with": versions or "not known",
            "This page by": f"charrnn {charrnn.__version__}",
            "SHA-256 of the text": checkpoint.config.record.corpus_sha256 or "not known",
            "SHA-256 of the model": model_sha256(checkpoint),
        }
    )
    yield f'<pre class="settings">{shown(settings)}</pre>\n'
