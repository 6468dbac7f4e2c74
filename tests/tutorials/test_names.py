"""The tutorials' many-to-one task: of which folk is a name? A generator with labels, and a classifier of the same core.

Both read the same 2,212 names of corpora/folk.tsv and are judged by the same 246 others; `pytest -s` shows how well.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from charrnn.checkpoint.store import load_model
from charrnn.evaluation.classify import classify
from charrnn.evaluation.evaluate import open_reading
from charrnn.recurrent.classifier import SequenceClassifier
from charrnn.recurrent.registry import core_class
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import TrainingConfig
from charrnn.text.corpus import read_corpus
from charrnn.text.tokens import Tokens
from charrnn.training.loop import train

pytestmark = pytest.mark.slow

TEXT = TextConfig(corpus=(str(Path(__file__).parents[2] / "corpora" / "folk.tsv"),), labels=True)
H, SEED = 128, 1


def generator_accuracy(epochs: int = 12) -> float:
    config = RunConfig(TEXT, ModelConfig("gru", 1, H), TrainingConfig(epochs=epochs, seed=SEED))
    list(train(config, "folk"))
    documents = list(classify(open_reading(load_model("checkpoints/folk")[1])))
    assert len(documents) == 246
    return float(np.mean([each.label == each.own_label for each in documents]))


def names_and_folk(tokens: Tokens, start: int) -> tuple[Tensor, Tensor, Tensor]:
    """Characters of names, padded, (N, T), how many they are, (N,), and whose names, (N,)."""
    lengths = tokens.lengths - 1
    starts = tokens.offsets[:-1]
    places = np.minimum(starts[:, None] + 1 + np.arange(lengths.max()), len(tokens.ids) - 1)
    ids = torch.from_numpy(tokens.ids.astype(np.int64))
    return ids[places], torch.from_numpy(lengths), ids[starts] - start


def classifier_accuracy(epochs: int = 12) -> float:
    corpus = read_corpus(TEXT, SEED)
    assert corpus.validation is not None
    ids, lengths, folk = names_and_folk(corpus.tokens, corpus.vocabulary.start)
    torch.manual_seed(SEED)
    classifier = SequenceClassifier([core_class("gru")(corpus.vocabulary.size, H)], len(corpus.vocabulary.labels))
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=5e-3)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - epoch / epochs)
        for batch in torch.randperm(len(ids)).split(64):
            loss = F.cross_entropy(classifier(ids[batch], lengths[batch]), folk[batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
    ids, lengths, folk = names_and_folk(corpus.validation, corpus.vocabulary.start)
    with torch.no_grad():
        return (classifier(ids, lengths).argmax(-1) == folk).double().mean().item()


@pytest.mark.usefixtures("folder")
def test_a_generator_with_labels_tells_folk_apart_as_a_classifier_does() -> None:
    generator, classifier = generator_accuracy(), classifier_accuracy()
    print(f"\ngenerator, by Bayes' rule: {generator:.4f}; classifier: {classifier:.4f}")
    assert generator >= 0.95
    assert classifier >= 0.95
