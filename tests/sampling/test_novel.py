"""Nothing is copied, whatever the model and the text; and where it is said that nothing else can be, nothing can."""

import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from charrnn.errors import DataError
from charrnn.sampling.chooser import Chooser
from charrnn.sampling.generate import written
from charrnn.sampling.novel import CopyGuard, written_novel
from charrnn.sampling.stream import Stream
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.grams import GramIndex, Grams
from charrnn.text.tokens import tokenize
from charrnn.text.vocabulary import Ids, Vocabulary
from tests.sampling.markov import Markov

VOCABULARY = Vocabulary("\nab")

corpora = st.text("ab\n", max_size=60)
sizes = st.integers(1, 6)
primes = st.text("ab\nx", max_size=8)
configs = st.builds(
    SamplingConfig,
    length=st.integers(1, 30),
    temperature=st.sampled_from([0.0, 0.5, 1.0]),
    top_k=st.none() | st.integers(1, 2),
    repetition_penalty=st.sampled_from([1.0, 1.5]),
    until_end=st.booleans(),
    stop=st.lists(st.text("ab", min_size=1, max_size=3), max_size=1).map(tuple),
    lines=st.none() | st.integers(1, 3),
    seed=st.integers(0, 1000),
)


def copy_guard(corpus: str, k: int) -> CopyGuard:
    own = Vocabulary.of(corpus, "character")
    return CopyGuard([GramIndex.of(Grams(tokenize([corpus] if corpus else [], own), own, k))], VOCABULARY)


def write(engine: Markov, config: SamplingConfig, prime: Ids, guard: CopyGuard | None) -> tuple[str, Stream]:
    """A text, and its stream at the end; without guard, as all others are written."""
    stream, chooser = Stream(VOCABULARY, config, 0), Chooser(VOCABULARY, config)
    stream.remember(prime)
    logits, state = engine.read(np.array([[VOCABULARY.start, *prime]]), engine.initial_state(1))
    if guard is None:
        pieces = written(engine, chooser, stream, logits, state, measured=True)
    else:
        pieces = written_novel(engine, chooser, stream, logits, state, prime=prime, guard=guard, measured=True)
    return "".join(pieces), stream


@given(st.integers(0, 10**6), corpora, sizes, primes, configs)
def test_no_run_of_k_characters_stands_in_the_text(
    seed: int, corpus: str, k: int, prime: str, config: SamplingConfig
) -> None:
    engine, guard, before = Markov(VOCABULARY, seed), copy_guard(corpus, k), VOCABULARY.encode(prime)
    try:
        text, stream = write(engine, config, before, guard)
    except DataError:
        assume(False)
    known = prime.rpartition("x")[2]  # what the model does not know ends a run
    for place in range(max(0, len(known) - k + 1), len(known) + len(text) - k + 1):
        assert (known + text)[place : place + k] not in corpus
    assert write(engine, config, before, guard)[0] == text
    # And it ends as any other text does.
    assert not any(stop in text for stop in config.stop)
    assert text.count("\n") <= (config.lines or 30)
    assert stream.finish is not None
    assert (stream.finish == "length") <= (len(text) == config.length == stream.written)
    assert (stream.finish == "lines") <= (text.count("\n") == config.lines)
    log_probability = engine.log_probability([VOCABULARY.start, *before.tolist()], VOCABULARY.encode(text).tolist())
    assert stream.nats == pytest.approx(-log_probability, abs=1e-3)


@example(41, "\na\nb", 2, "\n", SamplingConfig(length=2, temperature=0.0, seed=1, until_end=False))
@given(st.integers(0, 10**6), corpora, sizes, primes, configs)
def test_only_where_every_text_copies_none_is_written(
    seed: int, corpus: str, k: int, prime: str, config: SamplingConfig
) -> None:
    # While all that is written is still held, every text can be tried.
    config = replace(config, length=min(config.length, k), until_end=False, stop=(), lines=None, min_length=0)
    known = prime.rpartition("x")[2]
    texts = {""}
    for _ in range(config.length):
        longer = {text + character for text in texts for character in "ab\n"}
        texts = {text for text in longer if len(known + text) < k or (known + text)[-k:] not in corpus}
    engine, guard, before = Markov(VOCABULARY, seed), copy_guard(corpus, k), VOCABULARY.encode(prime)
    if texts:
        assert write(engine, config, before, guard)[0] in texts
    else:
        with pytest.raises(DataError, match="larger novel"):
            write(engine, config, before, guard)


@given(st.integers(0, 10**6), primes, configs)
def test_where_nothing_can_be_copied_the_text_is_that_of_any_sample(
    seed: int, prime: str, config: SamplingConfig
) -> None:
    engine, before = Markov(VOCABULARY, seed), VOCABULARY.encode(prime)
    text, stream = write(engine, config, before, copy_guard(string.digits, 3))
    expected, plain = write(engine, config, before, None)
    assert (text, stream.finish, stream.written) == (expected, plain.finish, plain.written)
    assert stream.nats == pytest.approx(plain.nats)


def test_a_model_that_knows_its_text_by_heart_steps_back_from_a_copy() -> None:
    # After "a" there is a choice, after that there is none.
    corpus = "abbbbb"
    engine = Markov(VOCABULARY, 0)
    engine.log_table[:] = np.log(1e-6)
    a, b, newline = (int(VOCABULARY.encode(each)[0]) for each in "ab\n")
    engine.log_table[:, a, [b, newline]] = np.log([0.6, 0.4])
    engine.log_table[:, b, b] = engine.log_table[:, newline, newline] = 0
    config = SamplingConfig(length=5, temperature=0.0, seed=1, until_end=False)
    prime = VOCABULARY.encode("a")
    assert write(engine, config, prime, None)[0] == "bbbbb"
    for k in (4, 5, 6):
        assert write(engine, config, prime, copy_guard(corpus, k))[0] == "\n\n\n\n\n"
    # What a stop text held back of the way to the copy is forgotten, too.
    config = replace(config, stop=("bbbbbb",))
    assert write(engine, config, prime, copy_guard(corpus, 6))[0] == "\n\n\n\n\n"
