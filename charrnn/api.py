"""The Python interface: a model that writes and scores text, and a training to iterate over."""

import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from charrnn.checkpoint.store import FoundModel, find_resumable, load_model
from charrnn.errors import CheckpointError, UsageError
from charrnn.messages import counted, for_python
from charrnn.settings.fields import Settings, declared
from charrnn.settings.lookup import FillConfig, NextConfig
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.sampling import EngineConfig, PrimeConfig, SamplingConfig
from charrnn.settings.scoring import ScoringConfig
from charrnn.settings.tables import checked_keywords
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig

if TYPE_CHECKING:
    from charrnn.checkpoint.format import Checkpoint
    from charrnn.evaluation.characters import CharacterScore
    from charrnn.evaluation.evaluate import Reading
    from charrnn.events import Event, Finished, Reported, Validated
    from charrnn.sampling.distribution import Candidate
    from charrnn.sampling.session import Prime, Session

__all__ = ["FilledText", "Model", "Score", "Training", "load", "train"]


_Method = TypeVar("_Method", bound=Callable[..., Any])

_SHOWN, _SHOWN_DOCUMENTS = 200, 5  # characters of a sample that a notebook shows, and samples of documents


def _takes(*groups: type[Settings]) -> Callable[[_Method], _Method]:
    """Add the settings of some groups as keywords to a function's signature and documentation."""

    def shown(method: _Method) -> _Method:
        """Add the keywords to a function, which is returned."""
        own = [each for each in inspect.signature(method).parameters.values() if each.kind is not each.VAR_KEYWORD]
        keywords = {
            name: inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(group, name),
                annotation=group.__annotations__[name],
            )
            for group in groups
            for name in declared(group)
            if name not in {each.name for each in own}
        }
        returned = inspect.signature(method).return_annotation
        method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*own, *keywords.values()], return_annotation=returned
        )
        listed = [
            f"    {name}: {for_python(declaration.help)}"
            for group in groups
            for name, declaration in declared(group).items()
            if name in keywords
        ]
        method.__doc__ = f"{inspect.getdoc(method)}\n\nKeywords:\n" + "\n".join(listed)
        return method

    return shown


def load(path: "str | os.PathLike[str] | None" = None, *, device: str = "auto", engine: str = "auto") -> "Model":
    """Open a trained model.

    Args:
        path: a checkpoint file, a run's folder or its bare name; without one that of CHARRNN_MODEL, else the newest run
            in ./checkpoints, else the demo.
        device: cpu, cuda, mps, or auto.
        engine: numpy or torch, which steps the network while text is written, or auto.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        UsageError: a device or an engine that does not exist.
    """
    engines = EngineConfig(**checked_keywords({"device": device, "engine": engine}, [EngineConfig], "load"))
    found, checkpoint = load_model(os.environ.get("CHARRNN_MODEL") or None if path is None else os.fspath(path))
    return Model(found, checkpoint, engines)


class Model:
    """A trained model, which writes text, lists likely next characters, fills gaps, and scores texts.

    `path` is its checkpoint file, `why` the reason why it was chosen, `checkpoint` the content of the file.
    """

    def __init__(self, found: FoundModel, checkpoint: "Checkpoint", engine: EngineConfig = EngineConfig()) -> None:  # noqa: B008
        self.path, self.why = found
        self.checkpoint = checkpoint
        self._engine = engine

    def session(self, prime: "Prime", config: SamplingConfig, reading: PrimeConfig) -> "Session":
        """Prepare samples, for callers that need more than their text (see `sampling.session`).

        Raises:
            CharrnnError: as `stream`.
        """
        from charrnn.sampling.session import Session

        return Session(self.checkpoint, config, prime, reading, self._engine)

    @_takes(SamplingConfig, PrimeConfig)
    def sample(self, prime: str = "", *, echo: bool = True, **controls: Any) -> str:
        """Write text that goes on from `prime`, which stands before it unless `echo` is False.

        The same settings and seed give the same text, which is also that of `charrnn sample`; several samples end with
        a newline each.

        Raises:
            UsageError: an unknown keyword, a value out of its range, or settings that do not go together.
            DataError: the prime has characters that the model does not know.
        """
        return "".join(self.stream(prime, echo=echo, **controls))

    @_takes(SamplingConfig, PrimeConfig)
    def stream(self, prime: str = "", *, echo: bool = True, **controls: Any) -> Iterator[str]:
        """Write the text of `sample` in pieces, as they are made. Settings are checked at the first piece.

        Raises:
            CharrnnError: as `sample`.
        """
        from charrnn.sampling.batched import PrimePiece

        drawing, reading = _sorted_out(controls, [SamplingConfig, PrimeConfig], "sample")
        several = drawing.get("num_samples", 1) > 1
        for piece in self.session(prime, SamplingConfig(**drawing), PrimeConfig(**reading)).pieces():
            if piece.text and (echo or not isinstance(piece, PrimePiece)):
                yield piece.text
            if several and piece.finished:
                yield "\n"

    @_takes(NextConfig)
    def next(self, prime: str = "", **settings: Any) -> "list[Candidate]":
        """The likeliest characters after `prime`, each with rank, character (None: the end), probability, nats, bits.

        Raises:
            UsageError: an unknown keyword, or a value out of its range.
            DataError: the prime has characters that the model does not know.
        """
        from charrnn.sampling.distribution import next_candidates

        return next_candidates(self.checkpoint, prime, NextConfig(**checked_keywords(settings, [NextConfig], "next")))

    @_takes(FillConfig)
    def fill(self, text: str, **settings: Any) -> "list[FilledText]":
        """The likeliest fillings of the gap in `text`, where each _ is a missing character.

        Raises:
            UsageError: no gap, or several; an unknown keyword, or a value out of its range.
            DataError: the text has characters that the model does not know.
        """
        from charrnn.sampling.fill import fill_gap

        gap = fill_gap(
            self.checkpoint, text, FillConfig(**checked_keywords(settings, [FillConfig], "fill")), self._engine
        )
        return [
            FilledText(f"{gap.before}{filling}{gap.after}", filling, each.log_probability)
            for filling, each in gap.fillings
        ]

    @_takes(ScoringConfig)
    def score(self, text: str | None = None, **settings: Any) -> "Score":
        """Score the model's predictions of a text; without one, of the text held out in its training.

        Raises:
            UsageError: an unknown keyword, or a value out of its range.
            DataError: there is nothing to score, or the model's own text is gone.
        """
        from charrnn.evaluation.evaluate import open_reading

        given = {"device": self._engine.device} | checked_keywords(settings, [ScoringConfig], "score")
        config = ScoringConfig(**given)
        return Score(open_reading(self.checkpoint, **vars(config), text=text))

    @property
    def description(self) -> str:
        """Cell and sizes, in a few words."""
        model = self.checkpoint.config.model
        parameters = sum(array.size for array in self.checkpoint.model.values())
        return f"{model.cell} {model.layers}×{model.hidden_size}, {counted(parameters, 'parameter')}"

    def __repr__(self) -> str:
        return f"<charrnn.Model {self.path}: {self.description}>"

    def _repr_html_(self) -> str:
        from charrnn.checkpoint.format import from_file
        from charrnn.checkpoint.records import losses_of
        from charrnn.export.notebook import described

        config, counters = self.checkpoint.config, from_file(self.path, training=True).counters
        facts = {"network": self.description, "text": ", ".join(config.text.corpus), "steps": f"{counters.step:,}"}
        if counters.best_loss is not None:
            bits = counters.best_loss / math.log(2)
            facts["best validation"] = f"{counters.best_loss:.4f} nats, {bits:.4f} bits per character"
        several = 1 if config.text.documents == "none" else _SHOWN_DOCUMENTS
        sample = self.sample(length=_SHOWN, num_samples=several, seed=1)
        return described(str(self.path), facts, losses_of(self.path.parent), sample)


class FilledText(NamedTuple):
    """A text with its gap filled, and the log probability, in nats, of the filling and the text after it."""

    text: str
    filling: str
    log_probability: float


class Score:
    """The cost of a text to a model: sums over its characters, including one end token per document."""

    def __init__(self, reading: "Reading") -> None:
        self._reading = reading
        self._sums = reading.score()
        notices = (*reading.notices, *reading.about_unknown(self._sums))
        self.name, self.notices = reading.text, tuple(map(for_python, notices))

    @property
    def nats(self) -> float:
        """The sum of -ln p."""
        return self._sums.nats

    @property
    def characters(self) -> int:
        """The number of scored characters."""
        return self._sums.characters

    @property
    def unknown(self) -> int:
        """The number of characters that were not scored, as the model does not know them."""
        return self._sums.unknown

    @property
    def nats_per_character(self) -> float:
        """The loss in nats per character."""
        return self._sums.nats_per_character

    @property
    def bits_per_character(self) -> float:
        """The loss in bits per character."""
        return self._sums.bits_per_character

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of the text as it was given, in UTF-8, whatever the model's unit and treatment."""
        return self._sums.bits_per_byte

    @property
    def perplexity(self) -> float:
        """e to the power of the loss in nats; infinite if too large for a float."""
        return self._sums.perplexity

    @property
    def accuracy(self) -> float:
        """The share of characters that the model thought likeliest."""
        return self._sums.accuracy

    @cached_property
    def by_character(self) -> "tuple[CharacterScore, ...]":
        """Each character with its nats, bits, probability and rank, in the order of the text. Reads the text again."""
        return tuple(self._reading.characters())

    def __repr__(self) -> str:
        return f"<charrnn.Score of {self.name}: {self._told()}>"

    def _repr_html_(self) -> str:
        from charrnn.export.notebook import shaded_text
        from charrnn.export.shading import SURPRISE, cells, shaded

        unit = self._reading.vocabulary.unit
        return shaded_text(cells(shaded(self.by_character, unit), SURPRISE, unit), f"{self.name}: {self._told()}")

    def _told(self) -> str:
        return f"{self.bits_per_character:.4f} bits per character over {counted(self.characters, 'character')}"


@_takes(TextConfig, ModelConfig, TrainingConfig)
def train(
    *corpus: "str | os.PathLike[str]",
    text: str | None = None,
    name: str | None = None,
    resume: str | None = None,
    keep_text: bool = False,
    **settings: Any,
) -> "Training":
    """Prepare a training; iterate over it for its events, or `run` it to its end.

    Args:
        corpus: files, folders or globs, as on the command line.
        text: train on this string instead; it is kept in the run's folder.
        name: the run's folder in ./checkpoints; else it is named after text and cell.
        resume: go on with this run, which fixes all settings but the budget.
        keep_text: keep a copy of the corpus in the run's folder, by which every command finds it again.
        settings: see below, such as cell="gru", time="3m", hidden_size=256.

    Raises:
        UsageError: an unknown keyword, or a value out of its range; both a corpus and a text, or neither.
    """
    given = checked_keywords(settings, [TextConfig, ModelConfig, TrainingConfig], "train")
    if corpus:
        given["corpus"] = tuple(map(os.fspath, corpus))
    if keep_text and not corpus:
        raise UsageError("keep_text keeps a copy of a corpus that is named; a text is always kept")
    return Training(given, text, name, resume, keep_text=keep_text)


class Training:
    """A training: iterating over it trains, and yields its events (see `charrnn.events`).

    `run_path` is the run's folder once it has begun.
    """

    def __init__(
        self, given: Mapping[str, Any], text: str | None, name: str | None, resume: str | None, *, keep_text: bool
    ) -> None:
        sources = [
            what for what, is_given in (("a corpus", "corpus" in given), ("a text", text is not None)) if is_given
        ]
        if resume is None and len(sources) != 1:
            raise UsageError(f"train needs a corpus or a text, got {' and '.join(sources) or 'neither'}")
        if resume is not None and (text is not None or name is not None):
            raise UsageError("a run that is resumed has its text and its name; leave text and name out")
        self._config = RunConfig().override(given)
        self._given, self._text, self._name, self._resume = given, text, name, resume
        self._is_stopped, self._keeps_text = False, keep_text
        self.run_path: Path | None = None
        self._last: Reported | Validated | Finished | None = None

    def __iter__(self) -> "Iterator[Event]":
        from charrnn.events import Began, Finished, Reported, Validated

        for event in self._events():
            if isinstance(event, Began):
                self.run_path = event.run
            elif isinstance(event, Reported | Validated | Finished):
                self._last = event
            yield event

    def run(self) -> "Model":
        """Train to the end; the best model."""
        for _ in self:
            pass
        return self.model

    def stop(self) -> None:
        """End the training after the step under way, and save it."""
        self._is_stopped = True

    @property
    def model(self) -> "Model":
        """The best model so far.

        Raises:
            CheckpointError: nothing has been saved yet.
        """
        if self.run_path is None:
            raise CheckpointError("the training has not begun; iterate over it, or run it")
        return load(self.run_path)

    def _events(self) -> "Iterator[Event]":
        from charrnn.training import loop
        from charrnn.training.given_text import train_text

        def is_stopped() -> bool:
            """True once `stop` has been called."""
            return self._is_stopped

        if self._resume is not None:
            return loop.resume(find_resumable(self._resume), self._given, is_stopped)
        if self._text is not None:
            return train_text(self._config, self._text, self._name, is_stopped, given=self._given.keys())
        return loop.train(self._config, self._name, is_stopped, given=self._given.keys(), keep_text=self._keeps_text)

    def _told(self) -> str:
        last = self._last
        if last is None:
            return "not begun"
        loss = "" if last.loss is None else f", loss {last.loss:.4f} nats per character"
        return f"step {last.step:,}{loss}"

    def __repr__(self) -> str:
        return f"<charrnn.Training {self.run_path or 'without a run'}: {self._told()}>"

    def _repr_html_(self) -> str:
        from charrnn.checkpoint.records import losses_of
        from charrnn.export.notebook import described

        losses = losses_of(self.run_path) if self.run_path else {}
        settings = {
            name: ", ".join(value) if isinstance(value, tuple) else str(value) for name, value in self._given.items()
        }
        return described(str(self.run_path or "a training"), {"state": self._told(), **settings}, losses)


def _sorted_out(values: Mapping[str, Any], groups: Sequence[type[Settings]], function: str) -> Iterator[dict[str, Any]]:
    """Divide the keywords of a function among the groups that declare them."""
    given = checked_keywords(values, groups, function)
    return ({name: given[name] for name in declared(group) if name in given} for group in groups)
