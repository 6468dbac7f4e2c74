"""The Bayes mixture of several models: it weighs each by how well it has predicted the text so far."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import DataError
from charrnn.evaluation.evaluate import Reading
from charrnn.text.same_alphabet import check_alphabets

__all__ = ["BayesMixture", "bayes_mixture", "check_readings"]


class BayesMixture(NamedTuple):
    """The cost of a text to the mixture in nats, and the weight of each model after it, which sum to 1."""

    nats: float
    weights: tuple[float, ...]


def bayes_mixture(nats: Sequence[float]) -> BayesMixture:
    """The mixture of n models with equal weights at first, from the cost of the whole text to each of them.

    After a character each weight is multiplied by the probability that its model gave it, and all are divided by their
    sum. So the probability of the whole text is the mean of those that the models give it, and no character need be
    looked at again. The cost is between that of the best model and log(n) nats more.
    """
    logs = -np.array(nats, np.float64)
    total = float(np.logaddexp.reduce(logs))
    return BayesMixture(math.log(len(nats)) - total, tuple(np.exp(logs - total).tolist()))


def check_readings(readings: Sequence[Reading], names: Sequence[str]) -> None:
    """Raise UsageError or DataError unless models of these names read the same text, and know the same characters."""
    check_alphabets([each.model_vocabulary for each in readings], names)
    first = readings[0]
    for other, name in zip(readings[1:], names[1:], strict=True):
        ids = other.vocabulary.translation(first.vocabulary)[other.tokens.ids]
        is_same = np.array_equal(other.tokens.offsets, first.tokens.offsets) and np.array_equal(ids, first.tokens.ids)
        if not is_same:
            raise DataError(
                f"{names[0]} reads {first.text}, and {name} {other.text}, as other characters or documents\n"
                "name one text to score, and models that were trained on texts of one kind"
            )
