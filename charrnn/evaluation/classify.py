"""Classification: each document's label, by Bayes' rule from its cost after each label's start token.

p(label | text) is p(text | label) p(label), divided by the sum of that over all labels; p(label) is the label's share
of the training documents. Characters that the model never saw are left out of the cost.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import overflow
from charrnn.evaluation.evaluate import Reading
from charrnn.evaluation.scoring import carried, scored
from charrnn.text.tokens import Tokens

__all__ = ["Classified", "classify"]

_BLOCK = 2**18  # tokens read at once, for all labels together; one document may have more


class Classified(NamedTuple):
    """A document, its likeliest label, p(label | text) of all the model's labels, and its own label or None."""

    text: str
    label: str
    probabilities: tuple[float, ...]
    own_label: str | None


def classify(reading: Reading) -> Iterator[Classified]:
    """The label of each document, in the order of the text, by a model that has labels.

    Raises:
        CheckpointError: a document has no finite cost, as huge weights can make it.
    """
    tokens, labels = reading.tokens, reading.model_vocabulary.labels
    own_starts = dict(zip(reading.vocabulary.starts, reading.vocabulary.labels, strict=False))
    for first, last in _blocks(tokens, len(labels)):
        posteriors = _posteriors(reading, first, last)
        for index, posterior in enumerate(posteriors, first):
            start, *characters = tokens.ids[tokens.offsets[index] : tokens.offsets[index + 1] - 1].tolist()
            yield Classified(
                reading.vocabulary.decode(np.array(characters)),
                labels[int(posterior.argmax())],
                tuple(posterior.tolist()),
                own_starts.get(start) or None,
            )


def _blocks(tokens: Tokens, labels: int) -> Iterator[tuple[int, int]]:
    """Runs of documents, first and last + 1, that have at most `_BLOCK` tokens for all labels, or are one."""
    first, count = 0, len(tokens.offsets) - 1
    while first < count:
        most = tokens.offsets[first] + _BLOCK // labels
        last = max(int(np.searchsorted(tokens.offsets, most, "right")) - 1, first + 1)
        yield first, last
        first = last


def _posteriors(reading: Reading, first: int, last: int) -> NDArray[np.float64]:
    """p(label | text) of documents from `first` to `last`, (documents, labels): each is read after every label."""
    vocabulary = reading.model_vocabulary
    nats = _nats(reading, first, last)
    counts = np.array(vocabulary.label_counts, dtype=np.float64)
    joint = np.log(counts / counts.sum()) - nats
    joint -= joint.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.exp(joint)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _nats(reading: Reading, first: int, last: int) -> NDArray[np.float64]:
    """-log p(text | label), (documents, labels)."""
    vocabulary = reading.model_vocabulary
    places = reading.tokens.offsets[first : last + 1].astype(np.int64)
    ids = reading.translation[reading.tokens.ids[places[0] : places[-1]]]
    offsets = places - places[0]
    after_each = np.tile(ids, (len(vocabulary.labels), 1))
    after_each[:, offsets[:-1]] = np.array(vocabulary.starts)[:, None]
    repeated = (offsets[:-1] + len(ids) * np.arange(len(vocabulary.labels))[:, None]).ravel()
    tokens = Tokens(after_each.ravel(), np.append(repeated, after_each.size))
    nats = np.zeros(len(repeated))
    for piece in scored(reading.model, tokens, carried(tokens), vocabulary, in_order=False):
        documents = np.searchsorted(tokens.offsets, piece.places, "right") - 1
        np.add.at(nats, documents, np.where(piece.ranks > 0, piece.nats, 0.0))
    if not np.isfinite(nats).all():
        raise overflow("the model gives a document a cost that is no finite number")
    return nats.reshape(len(vocabulary.labels), -1).T
