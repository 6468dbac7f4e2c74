"""The learned alphabet: similarities of characters by the vectors with which a network reads them."""

import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.errors import DataError
from charrnn.layout import EMBEDDING, layer_prefix
from charrnn.messages import counted
from charrnn.recurrent.registry import core_equations

__all__ = ["Alphabet", "Kind", "kinds", "learned_alphabet"]


class Alphabet(NamedTuple):
    """Characters, their cosine similarities (N, N), and their places (N, 2) on the plane of largest variance."""

    characters: str
    similarities: NDArray[np.float64]
    places: NDArray[np.float64]

    def neighbours(self, index: int, count: int) -> list[tuple[str, float]]:
        """The `count` characters most similar to one, with their similarities, the most similar first."""
        order = np.argsort(-self.similarities[index], kind="stable")
        return [(self.characters[k], float(self.similarities[index, k])) for k in order[order != index][:count]]


class Kind(NamedTuple):
    """Characters of a kind: their number, the share whose nearest neighbour is of the same kind, and that share by
    chance."""

    name: str
    characters: int
    together: float
    by_chance: float


def learned_alphabet(checkpoint: Checkpoint) -> Alphabet:
    """The alphabet of a model, on the plane of the first two principal components.

    The vectors are the rows of the embedding, or in a one-hot model, which has none, the columns of the first layer's
    input weights, which have the same effect.

    Raises:
        DataError: there are fewer than three characters.
    """
    characters, config, arrays = checkpoint.vocabulary.characters, checkpoint.config.model, checkpoint.model
    if len(characters) < 3:
        known = counted(len(characters), "character")
        raise DataError(f"the model knows {known}; an alphabet to look at has at least three")
    if config.encoder == "embedding":
        vectors = arrays[EMBEDDING]
    else:
        vectors = arrays[layer_prefix(0) + core_equations(config.cell).reads[0]].T
    own = vectors[: len(characters)].astype(np.float64)
    norms = np.linalg.norm(own, axis=1, keepdims=True)
    unit = np.divide(own, norms, out=np.zeros_like(own), where=norms > 0)
    left, singular, _ = np.linalg.svd(own - own.mean(0), full_matrices=False)
    places = np.zeros((len(own), 2))
    places[:, : min(2, len(singular))] = (left * singular)[:, :2]
    places *= np.where(places[np.abs(places).argmax(0), [0, 1]] < 0, -1, 1)  # their signs are arbitrary
    return Alphabet(characters, unit @ unit.T, places)


def kinds(alphabet: Alphabet) -> list[Kind]:
    """Each kind of characters that has two or more, with the share whose nearest neighbour is of that kind."""
    nearest = {own: alphabet.neighbours(index, 1)[0][0] for index, own in enumerate(alphabet.characters)}
    groups: dict[str, list[str]] = {}
    for character in alphabet.characters:
        groups.setdefault(_kind(character), []).append(character)
    found = []
    for name, group in groups.items():
        if len(group) > 1:
            together = sum(nearest[character] in group for character in group)
            chance = (len(group) - 1) / (len(alphabet.characters) - 1)
            found.append(Kind(name, len(group), together / len(group), chance))
    return found


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Lu":
        return "capitals"
    if category == "Ll":
        base = unicodedata.normalize("NFD", character)[0]
        return "vowels" if base in "aeiouy" else "consonants"
    names = {"L": "other letters", "N": "digits", "Z": "white space", "C": "white space"}
    return names.get(category[0], "punctuation")
