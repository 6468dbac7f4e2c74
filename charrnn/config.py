"""What a run is made of: frozen dataclasses by concern, checked when they are made.

Each default lives here once; the command line reads it off the class. `None` means "not chosen": the training
presets choose it from corpus, device and budget. Nothing here knows torch, numpy or files.
"""

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from charrnn.errors import UsageError
from charrnn.recurrent.registry import CORES

__all__ = [
    "ModelConfig",
    "Record",
    "RunConfig",
    "SamplingConfig",
    "TextConfig",
    "TrainingConfig",
    "bidirectional_error",
    "check_range",
    "flag",
    "from_table",
    "parse_duration",
    "suggestion",
]

Unit = Literal["character", "byte"]
Normalization = Literal["nfc", "nfd", "nfkc"]
Newlines = Literal["keep", "lf"]
Documents = Literal["none", "line", "blank", "file"]
Encoder = Literal["embedding", "one-hot"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
OptimizerName = Literal["auto", "adamw", "muon"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Read `90`, `90s`, `3m`, `1.5h` or `1h30m` as seconds.

    Raises:
        UsageError: the text is not a duration, or not a positive one.
    """
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text)
    seconds = sum(float(number) * _SECONDS[unit or "s"] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise UsageError(f"time must be a duration such as 90s, 3m or 1h30m, got {text!r:.40}")
    return seconds


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` when something known is close to `word`, else an empty string."""
    close = get_close_matches(word, list(known), n=1) if len(word) < 40 else []
    return f"; did you mean {close[0]}?" if close else ""


def check_range(
    name: str,
    value: float | None,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """Raise `UsageError` unless `value` is absent or finite and within the bounds (`above`, `below` exclude theirs)."""
    if value is None:
        return
    bounds = [
        ("at least", operator.ge, least),
        ("greater than", operator.gt, above),
        ("at most", operator.le, most),
        ("less than", operator.lt, below),
    ]
    given = [(words, holds, bound) for words, holds, bound in bounds if bound is not None]
    finite = isinstance(value, int) or math.isfinite(value)
    if not finite or not all(holds(value, bound) for _, holds, bound in given):
        wanted = " and ".join(f"{words} {bound}" for words, _, bound in given)
        raise UsageError(f"{flag(name)} must be {wanted}, got {value!r:.40}")


def bidirectional_error(asked: str) -> UsageError:
    """Why a generator cannot have what was `asked` for."""
    return UsageError(
        f"{asked}: a bidirectional core reads the text that comes after, too, which is not there while text is being "
        "written; it can classify (charrnn.recurrent.classifier), not generate"
    )


def check_cell(name: str, accepted: Iterable[str] = CORES, option: str = "--cell") -> None:
    """UsageError for a core that there is not, given by an option."""
    if re.sub("^bi(directional)?-?", "", name) in CORES.keys() - {name}:
        raise bidirectional_error(f"{option} {name}")
    if name not in accepted:
        raise UsageError(f"{option} must be one of {', '.join(accepted)}, got {name!r:.40}{suggestion(name, accepted)}")


def flag(name: str) -> str:
    """The command line's spelling of a field's name."""
    return "--" + {"from_model": "from"}.get(name, name).replace("_", "-")  # `from` cannot be a field's name


@dataclass(frozen=True)
class TextConfig:
    """Where the text comes from, what its units are, and how it is divided.

    With `labels` every document has one; documents are lines then, if nothing else is said. (Absent, not false, so that
    a run without them is recorded as it always was.)
    """

    corpus: tuple[str, ...] = ()
    unit: Unit = "character"
    encoding: str = "utf-8"
    normalize: Normalization | None = None
    newlines: Newlines = "keep"
    documents: Documents = "none"
    labels: bool | None = None
    validation: float = 0.1

    def __post_init__(self) -> None:
        if self.labels and self.documents == "none":
            object.__setattr__(self, "documents", "line")  # which is how a frozen dataclass sets its own fields
        check_range("validation", self.validation, least=0, most=0.9)
        if self.unit == "byte" and self.normalize:
            raise UsageError("--normalize works on characters; it cannot go with --unit byte")
        if self.unit == "byte" and self.encoding != TextConfig.encoding:
            raise UsageError("--unit byte reads the bytes as they are; it cannot go with --encoding")
        if self.unit == "byte" and self.newlines != "keep":
            raise UsageError(f"--unit byte reads the bytes as they are; it cannot go with --newlines {self.newlines}")
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError):
            raise UsageError(
                f"--encoding must be a text encoding that Python knows, such as utf-8, cp949 or latin-1, "
                f"got {self.encoding!r:.40}"
            ) from None


@dataclass(frozen=True)
class ModelConfig:
    """The network: encoder, a stack of recurrent layers, dropout after each of them, a linear head.

    The cell is `auto` until it is chosen; sizes and dropout are None until then.
    `input_dropout` acts on what the encoder gives, `recurrent_dropout` and `zoneout` within the layers; with
    `residual` every layer but the first adds to what it reads.
    """

    cell: str = "auto"
    layers: int | None = None
    hidden_size: int | None = None
    encoder: Encoder = "embedding"
    embedding_size: int | None = None
    dropout: float | None = None
    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float = 0.0
    residual: bool = False

    def __post_init__(self) -> None:
        check_cell(self.cell, ("auto", *CORES))
        check_range("layers", self.layers, least=1, most=64)
        check_range("hidden_size", self.hidden_size, least=1, most=65536)
        check_range("embedding_size", self.embedding_size, least=1, most=65536)
        for name in ("dropout", "input_dropout", "recurrent_dropout", "zoneout"):
            check_range(name, getattr(self, name), least=0, below=1)
        if self.residual and self.layers == 1:
            raise UsageError("--residual adds a layer's outputs to those of the layer below it; it needs --layers 2")
        if self.encoder == "one-hot" and self.embedding_size is not None:
            raise UsageError("--embedding-size goes with --encoder embedding; a one-hot vector has no size of its own")


@dataclass(frozen=True)
class TrainingConfig:
    """How the weights are found, and for how long. Of several budgets the one that ends first counts.

    `from_model` names the model that is trained further; without one, training begins with random weights.
    """

    time: float | None = field(default=None, metadata={"parse": parse_duration})
    epochs: float | None = None
    steps: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    optimizer: OptimizerName = "auto"
    learning_rate: float | None = None
    weight_decay: float = 0.2
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    validate_every: int | None = None
    report_every: int | None = None
    from_model: str | None = None
    seed: int = 1
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        check_range("time", self.time, above=0)
        check_range("epochs", self.epochs, above=0)
        check_range("steps", self.steps, least=1, below=2**63)
        check_range("patience", self.patience, least=1, below=2**63)
        check_range("batch_size", self.batch_size, least=1, most=2**20)
        check_range("sequence_length", self.sequence_length, least=1, most=2**20)
        check_range("learning_rate", self.learning_rate, above=0, most=10)
        check_range("weight_decay", self.weight_decay, least=0, most=10)
        check_range("warmup_steps", self.warmup_steps, least=0, below=2**63)
        check_range("gradient_clip", self.gradient_clip, above=0)
        check_range("validate_every", self.validate_every, least=1, below=2**63)
        check_range("report_every", self.report_every, least=1, below=2**63)
        check_range("seed", self.seed, least=0, below=2**63)
        check_range("threads", self.threads, least=1, most=1024)


@dataclass(frozen=True)
class Record:
    """What a run found out on its way, kept so that repeating or resuming it is exact.

    `from_sha256` is the digest of the model that `from_model` names. `plan` holds `(step, total steps)` pairs: from
    that step on, the run was planned to have that many steps.
    """

    corpus_sha256: str | None = None
    from_sha256: str | None = None
    plan: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        steps = [step for step, _ in self.plan]
        if steps != sorted(set(steps)) or any(
            not 0 <= step < 2**63 or not 0 < total < 2**63 for step, total in self.plan
        ):
            raise UsageError(f"plan must be [step, total] pairs with growing steps, got {list(self.plan)!r:.80}")
        if steps and steps[0] != 0:
            raise UsageError(f"plan must begin at step 0, got {steps[0]!r:.40}")


@dataclass(frozen=True)
class SamplingConfig:
    """How text is drawn from the network's distribution. `until_end` absent: as the model's documents suggest."""

    length: int = 500
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    until_end: bool | None = None
    num_samples: int = 1
    seed: int | None = None
    min_p: float | None = None
    typical: float | None = None
    repetition_penalty: float = 1.0
    repetition_window: int = 64
    allow: str | None = None
    ban: str | None = None
    min_length: int = 0
    stop: tuple[str, ...] = ()
    lines: int | None = None
    label: str | None = None
    beam: int | None = None
    novel: int | None = None

    def __post_init__(self) -> None:
        check_range("length", self.length, least=0, below=2**63)
        check_range("temperature", self.temperature, least=0)
        check_range("top_k", self.top_k, least=1)
        check_range("top_p", self.top_p, above=0, most=1)
        check_range("num_samples", self.num_samples, least=1, below=2**63)
        check_range("seed", self.seed, least=0, below=2**63)
        check_range("min_p", self.min_p, above=0, most=1)
        check_range("typical", self.typical, above=0, most=1)
        check_range("repetition_penalty", self.repetition_penalty, least=1, most=1_000_000)
        check_range("repetition_window", self.repetition_window, least=1, most=1_000_000)
        check_range("min_length", self.min_length, least=0, below=2**63)
        check_range("lines", self.lines, least=1, below=2**63)
        if self.length and self.min_length > self.length:
            raise UsageError(f"--min-length {self.min_length} is more than --length {self.length}")
        if "" in self.stop:
            raise UsageError("--stop must be some text, got an empty one")
        check_range("beam", self.beam, least=1, most=10_000)
        check_range("novel", self.novel, least=1, most=1000)
        shaping = ("temperature", "top_k", "top_p", "min_p", "typical", "repetition_penalty", "num_samples", "novel")
        shaped = [flag(name) for name in shaping if getattr(self, name) != getattr(SamplingConfig, name)]
        if self.beam and shaped:
            raise UsageError(f"--beam finds the one most likely text and draws nothing; it cannot go with {shaped[0]}")
        if self.beam and not self.length:
            raise UsageError("--beam writes when all is known; it needs a --length, and 0 never ends")


@dataclass(frozen=True)
class RunConfig:
    """All that a training run is made of; `run.toml` and every checkpoint hold one."""

    text: TextConfig = field(default_factory=TextConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    record: Record = field(default_factory=Record)

    @classmethod
    def from_mapping(cls, tables: Mapping[str, Any], source: str) -> Self:
        """Build from nested tables, as read from TOML or JSON; `source` names them in messages.

        Raises:
            UsageError: an unknown key, a value of the wrong type, or one out of range.
        """
        return from_table(cls, tables, source)

    def override(self, values: Mapping[str, Any]) -> Self:
        """A copy with fields of the sections replaced, by their bare names (unique over all sections)."""
        sections = {}
        for section in fields(self):
            current = getattr(self, section.name)
            own = {f.name: values[f.name] for f in fields(current) if f.name in values}
            sections[section.name] = replace(current, **own)
        return replace(self, **sections)

    def to_mapping(self) -> dict[str, dict[str, Any]]:
        """Nested plain tables without the absent values: what `from_mapping` reads."""
        return {
            section: {key: value for key, value in table.items() if value is not None}
            for section, table in asdict(self).items()
        }

    def to_toml(self) -> str:
        """The same tables as TOML."""
        lines: list[str] = []
        for section, table in self.to_mapping().items():
            lines += [f"[{section}]", *(f"{key} = {_toml_value(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)


def _toml_value(value: Any) -> str:
    # JSON's strings, numbers, booleans and arrays are TOML's too, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_Config = TypeVar("_Config")


def from_table(cls: type[_Config], table: Any, where: str) -> _Config:
    """Build a configuration dataclass from a table read from a file; `where` names it in messages.

    Raises:
        UsageError: an unknown key, a value of the wrong type, or one out of range.
    """
    if not isinstance(table, Mapping):
        raise UsageError(f"{where}: expected a table, got {table!r:.40}")
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in known:
            raise UsageError(
                f"{where}: unknown key {key!r:.40}{suggestion(key, known)} (known here: {', '.join(known)})"
            )
        if is_dataclass(hints[key]):
            values[key] = from_table(hints[key], value, f"{where} [{key}]")
        elif isinstance(value, str) and "parse" in known[key].metadata:
            values[key] = known[key].metadata["parse"](value)
        else:
            values[key] = _conform(value, hints[key], f"{where}: {key}")
    if missing := [name for name, f in known.items() if name not in values and _is_required(f)]:
        raise UsageError(f"{where}: {', '.join(missing)} must be given")
    return cls(**values)


def _is_required(own: Field[Any]) -> bool:
    return own.default is MISSING and own.default_factory is MISSING


def _conform(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it (lists become tuples, integers floats), or `UsageError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):  # X | None; an absent key, not a null, says None
        (hint,) = (argument for argument in arguments if argument is not NoneType)
        return _conform(value, hint, where)
    if origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
        raise UsageError(f"{where} must be one of {', '.join(arguments)}, got {value!r:.40}")
    if origin is tuple and isinstance(value, list | tuple):
        hints = [arguments[0]] * len(value) if Ellipsis in arguments and len(arguments) == 2 else list(arguments)
        if len(hints) == len(value):
            return tuple(_conform(item, item_hint, where) for item, item_hint in zip(value, hints, strict=True))
    elif hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    kind = "list" if origin is tuple else hint.__name__
    raise UsageError(f"{where} must be a {kind}, got {value!r:.40}")
