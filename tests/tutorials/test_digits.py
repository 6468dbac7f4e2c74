"""The tutorials' many-to-one task: a network reads the image of a digit row by row, and names the digit."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from charrnn.recurrent.bidirectional import Bidirectional
from charrnn.recurrent.classifier import SequenceClassifier
from charrnn.recurrent.contract import Core
from charrnn.recurrent.registry import CORES, core_class

pytestmark = pytest.mark.slow

H = 96


def accuracy(layer: Core | Bidirectional, epochs: int = 30) -> float:
    """The share of right answers on a held-out fifth, after training on the rest."""
    images, digits = load_digits(return_X_y=True)
    inputs = torch.tensor(images, dtype=torch.float32).view(-1, 8, 8) / 16  # 8 rows of 8 values from 0 to 1
    targets = torch.tensor(digits)
    places = torch.randperm(len(inputs))
    held_out, learned = places[: len(places) // 5], places[len(places) // 5 :]
    classifier = SequenceClassifier([layer], 10)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=5e-3)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - epoch / epochs)
        for batch in learned[torch.randperm(len(learned))].split(64):
            noisy = inputs[batch] + 0.1 * torch.randn(len(batch), 8, 8)  # some 1,400 images are soon known by heart
            loss = F.cross_entropy(classifier(noisy), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
    classifier.eval()
    with torch.no_grad():
        return (classifier(inputs[held_out]).argmax(-1) == targets[held_out]).double().mean().item()


@pytest.mark.parametrize("name", CORES)
def test_every_core_names_digits_that_it_reads_row_by_row(name: str) -> None:
    torch.manual_seed(0)
    assert accuracy(core_class(name)(8, H)) >= 0.95


def test_so_does_one_that_reads_both_ways() -> None:
    torch.manual_seed(0)
    assert accuracy(Bidirectional(core_class("gru")(8, H // 2), core_class("gru")(8, H // 2))) >= 0.95
