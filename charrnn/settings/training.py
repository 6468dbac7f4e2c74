"""The settings of training: budget, optimiser and machine; and the record that makes a run repeatable."""

import re
from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.settings.fields import DEVICE_HELP, MACHINE, Settings, setting

__all__ = ["LEAD_IN", "Device", "OptimizerName", "Plan", "Precision", "Record", "TrainingConfig", "parse_duration"]

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
OptimizerName = Literal["auto", "adamw", "muon"]
Plan = tuple[tuple[int, int], ...]  # (step, total steps) pairs

LEAD_IN = 64  # characters, at most; a break alone, or with few characters before it, leads to fewer words

_BUDGET, _TRAINING = "Budget (the one that ends first counts)", "Training"
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


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """The settings of a training. Of several budgets the one that ends first counts.

    `from_model` names the model that is trained further; without one, training begins with random weights.
    """

    time: float | None = setting(
        None, "Time to train, such as 90s, 3m or 1h30m.", panel=_BUDGET, metavar="TIME", parse=parse_duration, above=0
    )
    epochs: float | None = setting(None, "Passes over the training text.", panel=_BUDGET, above=0)
    steps: int | None = setting(None, "Updates of the weights.", panel=_BUDGET, least=1, below=2**63)
    patience: int | None = setting(
        None, "Stop after this many validations without a new best.", panel=_BUDGET, least=1, below=2**63
    )
    batch_size: int | None = setting(None, "Streams or documents in a step.", panel=_TRAINING, least=1, most=2**20)
    sequence_length: int | None = setting(
        None, "Characters of each stream in a step.", panel=_TRAINING, least=1, most=2**20
    )
    optimizer: OptimizerName = setting(
        "auto", "adamw for all weights, or muon for the recurrent matrices. auto chooses by the text.", panel=_TRAINING
    )
    learning_rate: float | None = setting(
        None, "Peak learning rate (default: by cell).", panel=_TRAINING, above=0, most=10
    )
    weight_decay: float = setting(0.2, "Weight decay of matrices, embeddings aside.", panel=_TRAINING, least=0, most=10)
    warmup_steps: int = setting(
        100, "Steps until the peak, at most a tenth of all.", panel=_TRAINING, least=0, below=2**63
    )
    gradient_clip: float = setting(1.0, "Largest norm of a gradient.", panel=_TRAINING, above=0)
    validate_every: int | None = setting(
        None, "Steps between validations and checkpoints.", panel=_TRAINING, least=1, below=2**63
    )
    report_every: int | None = setting(None, "Steps between reports.", panel=_TRAINING, least=1, below=2**63)
    from_model: str | None = setting(
        None,
        "Train this model further: a checkpoint file, a run's folder or its name.",
        panel=_TRAINING,
        flag="--from",
        metavar="MODEL",
    )
    seed: int = setting(1, "Seed of weights, dropout, order and split.", panel=_TRAINING, least=0, below=2**63)
    device: Device = setting("auto", DEVICE_HELP, panel=MACHINE)
    precision: Precision = setting(
        "auto", "Precision of products. auto is bf16 or fp16 where that is faster.", panel=MACHINE
    )
    threads: int | None = setting(
        None, "Threads of the CPU that compute (default: one a core).", panel=MACHINE, least=1, most=1024
    )


@dataclass(frozen=True)
class Record(Settings):
    """The record of values found during a run, kept so that repeating or resuming it is exact.

    `validation_sha256` is the digest of the text that `validation_file` names, `from_sha256` that of the model that
    `from_model` names. `plan` has `(step, total steps)` pairs: from that step on, the run was planned to have that
    many steps. `lead_in` is the end of a paragraph of a running text, from which samples without a prime go on; "" if
    the text has too few, None where nobody has looked. `shares_characters` is true where files were held out by their
    characters, None where by their number, as before 0.2.0.
    """

    corpus_sha256: str | None = None
    validation_sha256: str | None = None
    from_sha256: str | None = None
    plan: Plan = ()
    lead_in: str | None = None
    shares_characters: bool | None = None

    def __post_init__(self) -> None:
        if self.lead_in and (len(self.lead_in) > LEAD_IN or re.search("[\ud800-\udfff]", self.lead_in)):
            raise UsageError(f"lead_in must be a text no longer than {LEAD_IN}, got {self.lead_in!a:.80}")
        steps = [step for step, _ in self.plan]
        if steps != sorted(set(steps)) or any(
            not 0 <= step < 2**63 or not 0 < total < 2**63 for step, total in self.plan
        ):
            raise UsageError(f"plan must be [step, total] pairs with growing steps, got {list(self.plan)!r:.80}")
        if steps and steps[0] != 0:
            raise UsageError(f"plan must begin at step 0, got {steps[0]!r:.40}")
