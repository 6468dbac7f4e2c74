"""The settings of sampling: the draw from the network's distribution, the stops, the prime and the engine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charrnn.errors import UsageError
from charrnn.messages import named
from charrnn.settings.fields import DEVICE_HELP, FORCE_HELP, IN, MACHINE, OUT, UNKNOWN_HELP, Settings, setting
from charrnn.settings.training import Device

__all__ = [
    "DRAWN",
    "STOPS",
    "Blend",
    "BlendConfig",
    "EngineConfig",
    "EngineName",
    "PrimeConfig",
    "SamplingConfig",
    "Unknown",
    "shares_of",
]

Blend = Literal["mixture", "product"]
EngineName = Literal["auto", "numpy", "torch"]
Unknown = Literal["error", "skip", "token"]

DRAWN, STOPS = "How it is drawn", "Where it stops"


@dataclass(frozen=True)
class SamplingConfig(Settings):
    """The settings of a sampling. If absent, `until_end` follows from the model's documents, and `seed` is random."""

    label: str | None = setting(
        None, "Write in the manner of this label (default: drawn by its share).", panel=IN, metavar="LABEL"
    )
    temperature: float = setting(
        0.8, "Below 1 safer, above 1 wilder, 0 always the likeliest.", panel=DRAWN, short="t", least=0
    )
    top_k: int | None = setting(None, "Draw from the K likeliest characters.", panel=DRAWN, short="k", least=1)
    top_p: float | None = setting(None, "Draw from the likeliest of total probability P.", panel=DRAWN, above=0, most=1)
    min_p: float | None = setting(
        None, "Drop what is less likely than P times the likeliest.", panel=DRAWN, above=0, most=1
    )
    typical: float | None = setting(
        None, "Draw from what surprises about as expected, of total probability P.", panel=DRAWN, above=0, most=1
    )
    repetition_penalty: float = setting(
        1.0, "Make recent characters less likely by this factor.", panel=DRAWN, least=1, most=1_000_000
    )
    repetition_window: int = setting(64, "Characters that count as recent.", panel=DRAWN, least=1, most=1_000_000)
    allow: str | None = setting(None, r"Write only these: characters, \d, \p{Lu}.", panel=DRAWN, metavar="SET")
    ban: str | None = setting(None, r"Never write these: characters, \d, \p{Lu}.", panel=DRAWN, metavar="SET")
    novel: int | None = setting(
        None, "Never write K characters in a row that stand in the training text.", panel=DRAWN, least=1, most=1000
    )
    corpus: tuple[str, ...] = setting(
        (),
        "Text not to be copied (default: the training text). Can be given several times.",
        panel=DRAWN,
        metavar="TEXT",
        shows_default=False,
    )
    beam: int | None = setting(
        None, "Write the most likely text that a beam of width N finds.", panel=DRAWN, least=1, most=10_000
    )
    seed: int | None = setting(
        None, "Same seed, same text (default: random, and told).", panel=DRAWN, least=0, below=2**63
    )
    length: int = setting(
        500,
        "Characters (or bytes) to write. 0 never ends.",
        panel=STOPS,
        short="n",
        aliases=("-l",),
        least=0,
        below=2**63,
    )
    min_length: int = setting(0, "Characters before the document may end.", panel=STOPS, least=0, below=2**63)
    lines: int | None = setting(None, "Stop after this many lines.", panel=STOPS, least=1, below=2**63)
    stop: tuple[str, ...] = setting(
        (), "Stop before this text. Can be given several times.", panel=STOPS, metavar="TEXT"
    )
    until_end: bool | None = setting(
        None,
        "Stop where the document ends (default: for a model of documents).",
        panel=STOPS,
        off="--no-until-end",
        shows_default=False,
    )
    num_samples: int = setting(1, "Write several samples, each ended by a newline.", panel=OUT, least=1, below=2**63)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length and self.min_length > self.length:
            raise UsageError(f"{named('min_length', self.min_length)} is more than {named('length', self.length)}")
        if self.corpus and self.novel is None:
            raise UsageError(
                f"{named('corpus')} names the text that {named('novel')} must not copy; it needs {named('novel')}"
            )
        if "" in self.stop:
            raise UsageError(f"{named('stop')} must be some text, got an empty one")
        if self.beam:
            self._check_beam()

    def _check_beam(self) -> None:
        shaping = ("temperature", "top_k", "top_p", "min_p", "typical", "repetition_penalty", "num_samples", "novel")
        if shaped := [name for name in shaping if name in self.chosen()]:
            raise UsageError(
                f"{named('beam')} finds the one most likely text and draws nothing; "
                f"it cannot go with {named(shaped[0])}"
            )
        if not self.length:
            raise UsageError(f"{named('beam')} needs a finite {named('length')}")


@dataclass(frozen=True)
class PrimeConfig(Settings):
    """The settings of reading the prime, the text that a sample goes on from."""

    unknown: Unknown = setting("error", UNKNOWN_HELP, panel=IN)
    encoding: str | None = setting(
        None, "Encoding of files that are read (default: utf-8).", panel=IN, metavar="NAME", shows_default=False
    )
    load_state: str | None = setting(
        None, "Begin where this saved state ends, then read the prime.", panel=IN, metavar="FILE"
    )
    save_state: str | None = setting(None, "Save the state after the prime in a new file.", panel=OUT, metavar="FILE")
    force: bool = setting(False, FORCE_HELP, panel=OUT)


@dataclass(frozen=True)
class BlendConfig(Settings):
    """The setting of the way in which the distributions of several models are mixed."""

    blend: Blend = setting(
        "mixture", "Of several models, mix the probabilities, or their geometric mean, a product.", panel=DRAWN
    )


@dataclass(frozen=True)
class EngineConfig(Settings):
    """The settings of the engine that steps the network while text is written."""

    device: Device = setting("auto", DEVICE_HELP, panel=MACHINE)
    engine: EngineName = setting("auto", "Library that steps the network: numpy on a CPU, else torch.", panel=MACHINE)


def shares_of(weights: Sequence[float | None]) -> list[float]:
    """The shares that sum to 1. If all weights are given, they are divided by their sum; else what is left of 1 is
    divided equally among the others.

    Raises:
        UsageError: nothing is left for the others.
    """
    given = math.fsum(weight for weight in weights if weight is not None)
    others = sum(weight is None for weight in weights)
    if not others:
        return [(weight or 0.0) / given for weight in weights]
    if given >= 1:
        raise UsageError(
            f"the weights that are given sum to {given:g}, which leaves nothing for a {named('model')} without one; "
            "give each a weight"
        )
    return [(1 - given) / others if weight is None else weight for weight in weights]
