"""The units that a text could be learned in, compared by n-grams: a rough estimate that takes seconds."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from charrnn.errors import UsageError
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import Corpus, read_corpus
from charrnn.text.tokens import Tokens

__all__ = ["UnitCost", "best_unit", "unit_costs"]

_ORDERS = (4, 6, 8)
_LEARNED, _JUDGED = 2**19, 2**17  # tokens, at most
_SPELLED_OUT = math.log(0x110000)  # nats of a character that the text has in its held-out part alone
_CLEARLY = 0.99  # times the cost of characters; what costs more is not worth another unit

UnitName = Literal["characters", "bytes", "jamo"]


class UnitCost(NamedTuple):
    """The estimated cost of the held-out text in a unit, and the settings by which it is learned in that."""

    unit: UnitName
    bits_per_byte: float
    settings: Mapping[str, str]


def unit_costs(config: TextConfig, seed: int) -> list[UnitCost]:
    """The costs of a text's held-out part in characters, bytes and, where it has Hangul, jamo; of the last tokens.

    N-grams of 4, 6 and 8 tokens are counted in the part that is learned; the best count. The list is empty where there
    is no choice or nothing to judge by: if nothing is held out, if the text comes through standard input, which is read
    only once, if it is not in UTF-8, and if other settings of it exclude bytes.

    Raises:
        CharrnnError: as `read_corpus`.
    """
    if "-" in config.corpus or config.unit == "byte" or config.encoding != TextConfig.encoding:
        return []
    units: list[tuple[UnitName, dict[str, str]]] = [("characters", {}), ("bytes", {"unit": "byte"})]
    found = []
    for unit, settings in units:
        try:
            changed = replace(config, **settings)  # type: ignore[arg-type]
        except UsageError:
            return []
        corpus = read_corpus(changed, seed, shares_characters=True)
        if corpus.validation is None:
            return []
        found.append(UnitCost(unit, _bits_per_byte(corpus, corpus.validation), settings))
        if unit == "characters" and any("\uac00" <= each <= "\ud7a3" for each in corpus.characters):
            units.append(("jamo", {"normalize": "nfd"}))
    return found


def best_unit(costs: list[UnitCost]) -> UnitCost:
    """Characters, or another unit that costs clearly less."""
    characters, *others = costs
    best = min(others, key=lambda each: each.bits_per_byte)
    return best if best.bits_per_byte < _CLEARLY * characters.bits_per_byte else characters


def _bits_per_byte(corpus: Corpus, held_out: Tokens) -> float:
    counts = GramCounts(_last(corpus.tokens, _LEARNED), corpus.vocabulary)
    judged = _last(held_out, _JUDGED)
    targets = np.delete(judged.ids, judged.offsets[:-1].astype(np.int64))
    unknown = int((targets == corpus.vocabulary.unknown).sum())
    size = (int(corpus.vocabulary.byte_lengths[targets].sum()) + 3 * unknown) * float(corpus.bytes_before)
    nats = min(float(KneserNey(counts, order).nats(judged).sum()) for order in _ORDERS)
    return (nats + unknown * _SPELLED_OUT) / math.log(2) / size


def _last(tokens: Tokens, most: int) -> Tokens:
    """The last documents, with so many tokens at most, or the last tokens of one that has more."""
    first = int(tokens.offsets.searchsorted(len(tokens.ids) - most)) if len(tokens.ids) > most else 0
    if first >= len(tokens.offsets) - 1:
        ids = tokens.ids[-most:]
        return Tokens(ids, np.array([0, len(ids)]))
    start = tokens.offsets[first]
    return Tokens(tokens.ids[start:], tokens.offsets[first:] - start)
