"""Models whose probabilities are known."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.settings.training import Record
from charrnn.text.corpus import read_corpus
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import random_checkpoint

__all__ = ["labelled_unigram", "learned", "quote_detector", "unigram"]


def unigram(probabilities: Mapping[str | None, float], text: TextConfig | None = None, cell: str = "gru") -> Checkpoint:
    """A model that gives each character, and the end token (None), the same probability wherever it stands.

    What is not named has the probability 0.
    """
    text = text or TextConfig()
    vocabulary = Vocabulary.of("".join(each or "" for each in probabilities), text.unit)
    config = ModelConfig(cell, 1, 4, "embedding", 3, 0.0)
    arrays = random_checkpoint(config, vocabulary).model
    arrays["head.weight"][:] = 0
    arrays["head.bias"][:] = -1e4
    for character, probability in probabilities.items():
        token = vocabulary.end if character is None else vocabulary.characters.index(character)
        arrays["head.bias"][token] = np.float32(math.log(probability))
    return Checkpoint(RunConfig(text=text, model=config), vocabulary, arrays)


def labelled_unigram(probabilities: Mapping[str, Mapping[str | None, float]], counts: Mapping[str, int]) -> Checkpoint:
    """A model that gives each character, and the end token (None), a probability that depends on the label alone.

    Its state has one unit for each label, which that label's start token sets and nothing changes.
    """
    text = TextConfig(documents="line", labels=True)
    vocabulary = Vocabulary.of("".join(c or "" for own in probabilities.values() for c in own), text.unit, counts)
    config = ModelConfig("rnn-relu", 1, len(counts), "one-hot", None, 0.0)
    arrays = {name: np.zeros_like(array) for name, array in random_checkpoint(config, vocabulary).model.items()}
    arrays["stack.layers.0.U"] += np.eye(len(counts), dtype=np.float32)
    arrays["head.weight"][:] = -1e4
    for unit, (label, start) in enumerate(zip(vocabulary.labels, vocabulary.starts, strict=True)):
        arrays["stack.layers.0.W"][unit, start] = 1
        for character, probability in probabilities[label].items():
            token = vocabulary.end if character is None else vocabulary.characters.index(character)
            arrays["head.weight"][token, unit] = np.float32(math.log(probability))
    return Checkpoint(RunConfig(text=text, model=config), vocabulary, arrays)


def learned(folder: Path, corpus: bytes, text: TextConfig | None = None) -> Checkpoint:
    """A model with random weights, in `model`, that says it has learned from corpus.txt, which has these bytes."""
    (folder / "corpus.txt").write_bytes(corpus)
    text = replace(text or TextConfig(), corpus=("corpus.txt",))
    read = read_corpus(text, 1)
    made = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), read.vocabulary)
    record = Record(corpus_sha256=read.sha256)
    checkpoint = replace(made, config=replace(made.config, text=text, record=record))
    (folder / "model").write_bytes(to_bytes(checkpoint))
    return checkpoint


def quote_detector(characters: str) -> Checkpoint:
    """A model whose third unit is 1 after “ until ”, and -1 otherwise; the four others do not move."""
    vocabulary = Vocabulary.of(characters + "“”", "character")
    config = ModelConfig("rnn", 1, 5, "one-hot", None, 0.0)
    arrays = {name: np.zeros_like(array) for name, array in random_checkpoint(config, vocabulary).model.items()}
    arrays["stack.layers.0.U"][2, 2] = 30  # tanh of 20 is 1 in single precision
    arrays["stack.layers.0.b_U"][2] = -10
    for character, weight in {"“": 60, "”": -60}.items():
        arrays["stack.layers.0.W"][2, vocabulary.characters.index(character)] = weight
    return Checkpoint(RunConfig(model=config), vocabulary, arrays)
