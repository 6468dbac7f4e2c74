"""The n-gram model: probabilities that sum to one, and those of a slow twin in dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.ngrams import kneser_ney
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey, best_order
from charrnn.text.tokens import Tokens, tokenize
from charrnn.text.vocabulary import Vocabulary

DOCUMENTS = st.lists(st.text("abc한", min_size=1, max_size=12), min_size=1, max_size=6)
Gram = tuple[int, ...]


def split_up(tokens: Tokens) -> list[list[int]]:
    return [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


class Twin:
    """The same model, as the papers have it, a gram at a time in dictionaries."""

    def __init__(self, documents: list[list[int]], vocabulary: Vocabulary, order: int) -> None:
        self.order, self.outcomes = order, vocabulary.size - len(vocabulary.starts)
        seen: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        after: defaultdict[Gram, set[int]] = defaultdict(set)
        for ids in documents:
            for end in range(2, len(ids) + 1):
                for length in range(1, min(order, end) + 1):
                    gram = tuple(ids[end - length : end])
                    seen[length][gram] += 1
                    if end > length:
                        after[gram].add(ids[end - length - 1])
        starts = set(vocabulary.starts)
        self.counts = [
            {g: n if len(g) == order or g[0] in starts else len(after[g]) for g, n in each.items()} for each in seen
        ]
        self.discounts = [self.discounts_of(list(each.values())) for each in self.counts]

    @staticmethod
    def discounts_of(counts: list[int]) -> list[float]:
        t = [counts.count(k) for k in (1, 2, 3, 4)]
        if 0 in t:
            return [0.0, 0.5, 1.0, 1.5]
        Y = t[0] / (t[0] + 2 * t[1])
        found = [1 - 2 * Y * t[1] / t[0], 2 - 3 * Y * t[2] / t[1], 3 - 4 * Y * t[3] / t[2]]
        return [0.0, *found] if all(0 <= d <= k for k, d in enumerate(found, 1)) else [0.0, 0.5, 1.0, 1.5]

    def probability(self, token: int, context: Gram) -> float:
        context = context[-(self.order - 1) :] if self.order > 1 else ()
        if not (shorter := context[1:]) and not context:
            lower = 1 / self.outcomes
        else:
            lower = self.probability(token, shorter) if len(context) > 1 else self.unigram(token)
        return self.interpolated(token, context, lower)

    def unigram(self, token: int) -> float:
        return self.interpolated(token, (), 1 / self.outcomes)

    def interpolated(self, token: int, context: Gram, lower: float) -> float:
        length = len(context) + 1
        following = {g[-1]: n for g, n in self.counts[length].items() if g[:-1] == context}
        if not (total := sum(following.values())):
            return lower
        discounts = self.discounts[length]
        own, taken = following.get(token, 0), sum(discounts[min(n, 3)] for n in following.values())
        return (own - discounts[min(own, 3)] + taken * lower) / total


def vocabulary_of(labels: dict[str, int] | None = None) -> Vocabulary:
    return Vocabulary.of("abc한", "character", labels)


@given(DOCUMENTS, DOCUMENTS, st.integers(1, 5))
def test_costs_are_those_of_the_slow_twin(learned: list[str], read: list[str], order: int) -> None:
    vocabulary = vocabulary_of()
    tokens, wanted = tokenize(learned, vocabulary), tokenize([*read, "aXb"], vocabulary)
    twin = Twin(split_up(tokens), vocabulary, order)
    expected = [
        -math.log(twin.probability(ids[place], tuple(ids[:place])))
        for ids in split_up(wanted)
        for place in range(1, len(ids))
    ]
    found = KneserNey(GramCounts(tokens, vocabulary), order).nats(wanted)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@given(DOCUMENTS, st.text("abc한X", max_size=8), st.integers(1, 6), st.booleans())
def test_probabilities_sum_to_one_with_a_share_for_the_unknown(
    learned: list[str], context: str, order: int, has_labels: bool
) -> None:
    vocabulary = vocabulary_of({"one": 1, "two": 1} if has_labels else None)
    labels = [("one", "two")[k % 2] for k in range(len(learned))] if has_labels else []
    model = KneserNey(GramCounts(tokenize(learned, vocabulary, labels), vocabulary), order)
    before = [vocabulary.starts[-1], *vocabulary.encode(context).tolist()]
    outcomes = [token for token in range(vocabulary.size) if token not in vocabulary.starts]
    ids = np.array([[*before, token] for token in outcomes])
    texts = Tokens(ids.ravel(), np.arange(len(outcomes) + 1) * ids.shape[1])
    shares = np.exp(-model.nats(texts)).reshape(len(outcomes), -1)[:, -1]
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares.min() > 0


@given(DOCUMENTS, st.integers(1, 4), st.integers(1, 9))
def test_a_text_costs_the_same_in_pieces(read: list[str], order: int, chunk: int) -> None:
    vocabulary = vocabulary_of()
    model, text = (
        KneserNey(GramCounts(tokenize(["abcab", "cab"], vocabulary), vocabulary), order),
        tokenize(read, vocabulary),
    )
    whole = model.nats(text)
    assert len(whole) == text.targets
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kneser_ney, "_CHUNK", chunk)
        assert model.nats(text).tolist() == whole.tolist()


def test_the_best_order_is_that_of_the_source() -> None:
    """A text whose next character depends on the two before it, and on nothing else."""
    random = np.random.default_rng(1)
    shares = random.dirichlet([0.2] * 4, size=(4, 4))
    ids = [0, 1]
    for uniform in random.random(30_000):
        ids.append(int(np.searchsorted(np.cumsum(shares[ids[-2], ids[-1]]), uniform).clip(max=3)))
    text, vocabulary = "".join("abc한"[k] for k in ids), vocabulary_of()
    counts = GramCounts(tokenize([text[:25_000]], vocabulary), vocabulary)
    judged = tokenize([text[25_000:]], vocabulary)
    assert best_order(counts, judged) == 3
    entropy = -np.log(
        [shares[a, b, c] for a, b, c in zip(ids[25_000:], ids[25_001:], ids[25_002:], strict=False)]
    ).mean()
    assert KneserNey(counts, 3).nats(judged).mean() == pytest.approx(entropy, rel=0.01)


def test_a_text_that_repeats_itself_has_an_order() -> None:
    vocabulary = vocabulary_of()
    tokens = tokenize(["abcacbbca" * 40], vocabulary)
    assert 1 <= best_order(GramCounts(tokens, vocabulary), tokens) <= 20
