"""The weights of a mixture: those with which targets were drawn, and the least cost."""

import numpy as np
import pytest

from charrnn.ngrams.copies import Copies
from charrnn.ngrams.fit import fitted_table
from charrnn.ngrams.followers import FOLLOWERS
from charrnn.ngrams.table import NgramTable, Precedents, known, unfitted
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary

M = 12_000
VOCABULARY = Vocabulary.of("abcdefg", "character")
USUAL = unfitted(3)


def text(seed: int) -> str:
    """Letters of which some follow each other more often than others."""
    random = np.random.default_rng(seed)
    return "".join(random.choice(["ab", "cde", "fa", "g", "b"], M))[:M]


def drawn(mixing: dict[str, np.ndarray]) -> tuple:
    """A table, a network's logits, what is known, and targets drawn from the mixture with these weights."""
    random = np.random.default_rng(3)
    table = NgramTable.of(tokenize([text(0)[:3000]], VOCABULARY), VOCABULARY, 3)
    ids = VOCABULARY.encode(text(1)).astype(np.int64)
    contexts = table.read(ids[None], table.no_contexts(1))[0]
    logits = random.normal(size=(M, VOCABULARY.size), scale=2).astype(np.float32)
    copies = Copies(random.choice([0, 0, 2, 5], M), random.integers(0, VOCABULARY.size, M))
    same = random.random(M) < 0.3
    recalled = Copies(random.choice([0, 5, 9], M), np.where(same, copies.tokens, random.integers(0, 7, M)))
    for each in (copies, recalled):
        each.tokens[each.ranks == 0] = -1
    found = Precedents(contexts, random.integers(-1, VOCABULARY.size, (M, FOLLOWERS)), copies, recalled)
    targets = (table.weighted(mixing).mixed(logits, found) + random.gumbel(size=logits.shape)).argmax(1)
    return table, logits, found, targets


def usual() -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in USUAL.items()}


def test_the_weights_are_those_by_which_the_targets_came() -> None:
    wanted = usual()
    wanted["weights"][:] = np.array([(0.7, 0.3), (0.6, 0.5), (0.3, 0.9)])[:, None]
    wanted["copying"][2], wanted["copying"][5] = (1.0, 0.1, -0.1), (2.0, -0.1, 0.2)
    wanted["recalling"][5], wanted["recalling"][9] = (1.0, 0.1, 0.1), (2.5, -0.2, 0)
    wanted["following"][:] = np.linspace(0, 0.5, FOLLOWERS)[:, None]
    table, logits, found, targets = drawn(wanted)
    fitted = fitted_table(table, logits, found, targets)
    classes, numbers = np.unique(
        np.stack([known(found.contexts), table.doubts(found.contexts)]), axis=1, return_counts=True
    )
    often = classes[:, numbers > 1500]
    assert len(often.T) > 1
    assert fitted.weights[*often] == pytest.approx(wanted["weights"][*often], abs=0.12)
    for name in ("copying", "recalling"):
        assert getattr(fitted, name) == pytest.approx(wanted[name], abs=0.3)
        untold = [0, 1, 3, 4, 6, 7, 8]
        assert getattr(fitted, name)[untold] == pytest.approx(USUAL[name][untold])
    assert fitted.following[:, often[1]] == pytest.approx(wanted["following"][:, often[1]], abs=0.2)
    assert fitted.weights[0] == pytest.approx(USUAL["weights"][0])  # which no target told of


def test_few_targets_leave_the_weights_where_they_are() -> None:
    wanted = usual()
    wanted["weights"][:] = (0.0, 2.0)
    table, logits, found, targets = drawn(wanted)
    few = np.arange(3)
    fitted = fitted_table(table, logits[few], found.at(few), targets[few])
    for name, array in fitted.mixing.items():
        assert np.abs(array - USUAL[name]).max() < 0.5


def test_a_network_that_knows_all_or_nothing_is_weighted_by_that() -> None:
    table, logits, found, targets = drawn(usual())
    told = table.doubts(found.contexts)[known(found.contexts) == 2]
    often = np.bincount(told, minlength=4) > 500
    nothing = fitted_table(table, np.zeros_like(logits), found, targets)
    assert nothing.weights[2, :, 0] == pytest.approx(USUAL["weights"][2, :, 0], abs=1e-3)  # it is the same with any
    oracle = np.where(np.arange(logits.shape[1]) == targets[:, None], 5, 0).astype(np.float32)
    assert (fitted_table(table, oracle, found, targets).weights[2, often, 0] > 1).all()


def test_no_other_weights_cost_less() -> None:
    """The least cost, to which the distance from the usual weights is added, is found whatever direction is tried."""
    table, logits, found, targets = drawn(usual())
    some = np.arange(0, M, 10)
    logits, found, targets = logits[some], found.at(some), targets[some]

    def cost(one: NgramTable) -> float:
        mixed = one.mixed(logits, found).astype(np.float64)
        nats = np.log(np.exp(mixed).sum(1)) - mixed[np.arange(len(targets)), targets]
        away = sum(np.square(array - USUAL[name], dtype=np.float64).sum() for name, array in one.mixing.items())
        return float(nats.sum() + 10 * away)

    fitted, random = fitted_table(table, logits, found, targets), np.random.default_rng(0)
    for _ in range(50):
        other = {name: array + 0.05 * random.normal(size=array.shape) for name, array in fitted.mixing.items()}
        assert cost(table.weighted(other)) > cost(fitted)
