"""The table of n-grams: the probabilities of the Kneser-Ney model, whatever way they are asked for, and its file."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charrnn.evaluation.with_ngrams import mixed
from charrnn.ngrams.copies import LENGTHS, Copies
from charrnn.ngrams.followers import FOLLOWERS
from charrnn.ngrams.kneser_ney import GramCounts, KneserNey
from charrnn.ngrams.table import NgramTable, Precedents, known
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Vocabulary

DOCUMENTS = st.lists(st.text("abc한", min_size=1, max_size=12), min_size=1, max_size=6)
VOCABULARY = Vocabulary.of("abc한", "character")


def table_of(documents: list[str], longest: int) -> NgramTable:
    """The table of some documents, with n-grams that are no longer than the longest of them."""
    tokens = tokenize(documents, VOCABULARY)
    return NgramTable.of(tokens, VOCABULARY, min(longest, int(np.diff(tokens.offsets).max())))


def test_longer_ngrams_than_documents_are_an_error() -> None:
    with pytest.raises(ValueError, match="no document"):
        NgramTable.of(tokenize(["ab"], VOCABULARY), VOCABULARY, 5)


@given(DOCUMENTS, st.text("abc한X", min_size=1, max_size=10), st.integers(2, 6))
def test_probabilities_are_those_of_the_kneser_ney_model(learned: list[str], read: str, longest: int) -> None:
    table, tokens = table_of(learned, longest), tokenize([read], VOCABULARY)
    expected = KneserNey(GramCounts(tokenize(learned, VOCABULARY), VOCABULARY), table.longest).nats(tokens)
    contexts = table.read(tokens.ids[None, :-1].astype(np.int64), table.no_contexts(1))[0]
    shares = np.exp(table.log_probabilities(contexts))
    assert shares[np.arange(len(read) + 1), tokens.ids[1:]] == pytest.approx(np.exp(-expected), rel=1e-5)
    assert shares.sum(1) - shares[:, VOCABULARY.start] == pytest.approx(1, abs=1e-5)


@given(DOCUMENTS, st.text("abc한", min_size=1, max_size=10), st.integers(2, 6), st.integers(1, 9))
def test_one_by_one_and_all_at_once_are_the_same_to_the_bit(
    learned: list[str], read: str, longest: int, cut: int
) -> None:
    table, ids = table_of(learned, longest), VOCABULARY.encode(read).astype(np.int64)[None]
    whole = table.read(ids, table.no_contexts(1))
    contexts = table.no_contexts(1)
    for place in range(ids.shape[1]):
        one = table.read_one(int(ids[0, place]), contexts)
        contexts = table.read(ids[:, place : place + 1], contexts)[:, 0]
        assert one.tolist() == contexts.tolist()
        assert contexts.tolist() == whole[:, place].tolist()
        one = table.log_probabilities_of_one(contexts)
        assert one.tolist() == table.log_probabilities(contexts).tolist()
    if ids.shape[1] > cut:
        first = table.read(ids[:, :cut], table.no_contexts(1))
        assert table.read(ids[:, cut:], first[:, -1]).tolist() == whole[:, cut:].tolist()


@given(DOCUMENTS, st.integers(2, 6))
def test_contexts_are_the_numbers_of_what_stands_in_the_text(learned: list[str], longest: int) -> None:
    """After a text that was learned as many last tokens are known as a context has; after a strange one, one is."""
    table = table_of(learned, longest)
    for document in learned:
        ids = tokenize([document], VOCABULARY).ids[None, :-1].astype(np.int64)
        depths = np.minimum(np.arange(ids.shape[1]) + 1, table.longest - 1)
        assert known(table.read(ids, table.no_contexts(1))[0]).tolist() == depths.tolist()
    strange = np.array([[VOCABULARY.unknown, VOCABULARY.unknown]])
    assert known(table.read(strange, table.no_contexts(1))[0]).tolist() == [1, 1]


def some_found(contexts: np.ndarray, random: np.random.Generator) -> Precedents:
    """Repetitions and followers after contexts (M, N - 1), drawn at random; often there are none."""
    rows = len(contexts)
    followers = random.integers(-1, VOCABULARY.size, (rows, FOLLOWERS))
    ranks = random.integers(0, len(LENGTHS) + 1, (2, rows)) * random.integers(0, 2, (2, rows))
    both = [Copies(own, np.where(own, random.integers(0, VOCABULARY.size, rows), -1)) for own in ranks]
    return Precedents(contexts, followers, *both)


def drawn_weights(table: NgramTable, random: np.random.Generator) -> NgramTable:
    mixing = {name: random.normal(size=array.shape).astype(np.float32) for name, array in table.mixing.items()}
    mixing["copying"][0] = mixing["recalling"][0] = 0
    return table.weighted(mixing)


@given(st.text("abc한", min_size=1, max_size=30), st.integers(0, 2**32))
def test_the_mixture_is_the_weighted_product_with_more_for_some_tokens(read: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = drawn_weights(table_of(["abcabcab", "cab한", "aaaab"], 3), random)
    contexts = table.read(VOCABULARY.encode(read).astype(np.int64)[None], table.no_contexts(1))[0]
    found, logs = some_found(contexts, random), table.log_probabilities(contexts)
    logits = random.normal(size=logs.shape).astype(np.float32)
    expected = np.empty_like(logits)
    for row, numbers in enumerate(contexts.tolist()):
        depth = sum(number >= 0 for number in numbers)
        left = table.levels[depth].left[numbers[depth - 1]]
        doubt = sum(left > border for border in (0.05, 0.2, 0.5))
        copying, recalling = table.copying[found.copies.ranks[row]], table.recalling[found.recalled.ranks[row]]
        w, v = table.weights[depth, doubt] + copying[1:] + recalling[1:]
        expected[row] = w * logits[row] + v * logs[row]
        told = [(found.copies.tokens[row], copying[0]), (found.recalled.tokens[row], recalling[0])]
        told += zip(found.followers[row], table.following[:, doubt], strict=True)
        for token, more in told:
            expected[row, token] += more if token >= 0 else 0
    assert table.mixed(logits, found) == pytest.approx(expected, abs=1e-4)
    one_by_one = [table.mixed(logits[[row]], found.at(np.array([row])))[0] for row in range(len(logits))]
    assert np.stack(one_by_one) == pytest.approx(expected, abs=1e-4)
    in_torch = mixed(torch.from_numpy(logits)[None], table, found)
    assert in_torch[0].numpy() == pytest.approx(expected, abs=1e-4)


@given(DOCUMENTS, st.integers(2, 5))
def test_arrays_make_the_same_table(learned: list[str], longest: int) -> None:
    table = table_of(learned, longest)
    again = NgramTable.from_arrays(table.to_arrays(), VOCABULARY.size, table.longest)
    ids = VOCABULARY.encode("abc한cab").astype(np.int64)[None]
    contexts = again.read(ids, again.no_contexts(1))
    assert contexts.tolist() == table.read(ids, table.no_contexts(1)).tolist()
    assert again.log_probabilities(contexts[0]).tolist() == table.log_probabilities(contexts[0]).tolist()


@given(st.data())
def test_arrays_from_anyone_make_a_table_that_can_be_read_or_none(data: st.DataObject) -> None:
    """No number in them leads beyond an array, whatever it is."""
    arrays = {name: array.copy() for name, array in table_of(["abcabc한", "cab"], 3).to_arrays().items()}
    name = data.draw(st.sampled_from(sorted(arrays)))
    flat = arrays[name].reshape(-1)
    change = data.draw(st.sampled_from(["number", "shape", "type", "gone"]))
    if change == "number":
        place = data.draw(st.integers(0, len(flat) - 1))
        worst = [np.nan, np.inf, -1.0, 2.0] if flat.dtype.kind == "f" else [0, 1, 7, 250, np.iinfo(flat.dtype).max]
        flat[place] = data.draw(st.sampled_from(worst))
    elif change == "shape":
        arrays[name] = arrays[name][: data.draw(st.integers(0, len(arrays[name]) - 1))]
    elif change == "type":
        arrays[name] = arrays[name].astype(np.float32 if flat.dtype.kind == "u" else np.uint8)
    else:
        del arrays[name]
    try:
        table = NgramTable.from_arrays(arrays, VOCABULARY.size, 3)
    except ValueError:
        return
    ids = np.array([[*VOCABULARY.encode("abc한cab"), VOCABULARY.unknown, VOCABULARY.start]])
    table.recall.along(ids[0], np.zeros(ids.shape[1], np.int64))
    contexts = table.read(ids, table.no_contexts(1))[0]
    assert not np.isnan(table.log_probabilities(contexts)).any()
    random = np.random.default_rng(0)
    assert not np.isnan(
        table.mixed(np.zeros((len(contexts), table.vocabulary_size)), some_found(contexts, random))
    ).any()
