"""Any bytes come back from an archive exactly, which is as long as the bits that eval counts; damage is found."""

import hashlib
import math
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from charrnn.checkpoint.format import Checkpoint
from charrnn.compression.archive import LARGEST_OVERHEAD, compressed, decompressed
from charrnn.compression.prediction import decoded_text, encode_text
from charrnn.compression.range_coder import RangeDecoder, RangeEncoder
from charrnn.errors import CheckpointError, DataError
from charrnn.evaluation.evaluate import evaluate
from charrnn.recurrent.registry import CORES
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.sources import Source, one_source
from charrnn.text.spool import Spool
from charrnn.text.vocabulary import Ids, Vocabulary
from tests.conftest import random_checkpoint
from tests.doubles import unigram

ALPHABET = "\n abcdeé한"
TEXTS = {
    "running text": TextConfig(),
    "lines": TextConfig(documents="line"),
    "blocks": TextConfig(documents="blank"),
    "files": TextConfig(documents="file"),
    "bytes": TextConfig(unit="byte"),
    "jamo": TextConfig(normalize="nfd"),
    "composed": TextConfig(normalize="nfc"),
    "one kind of line ends": TextConfig(newlines="lf"),
    "Korean encoding": TextConfig(encoding="cp949"),
    "two bytes": TextConfig(encoding="utf-16"),
    "labels": TextConfig(documents="line", labels=True),
}


def model(text: TextConfig, cell: str = "gru") -> Checkpoint:
    """A model with random weights, to which some characters are likely and some are not."""
    vocabulary = Vocabulary.of(ALPHABET, text.unit, {"x": 1, "y": 2} if text.labels else None)
    made = random_checkpoint(ModelConfig(cell, 1, 6, "embedding", 4, 0.0), vocabulary)
    made.model["head.weight"] *= 4
    if text.unit == "byte":
        made.model["head.bias"][list(ALPHABET.encode())] += 5
    made.model["head.bias"][[*vocabulary.starts, vocabulary.unknown]] = -30  # as training leaves them
    return Checkpoint(RunConfig(text=text, model=made.config.model), vocabulary, made.model)


def source_of(data: bytes, name: str = "a file") -> Source:
    spool = Spool(math.inf)
    spool.append(data)
    return Source(name, data[:16], len(data), spool)


def pack(data: bytes, checkpoint: Checkpoint) -> bytes:
    return b"".join(compressed(source_of(data), checkpoint))


def unpack(archive: bytes, checkpoint: Checkpoint) -> bytes:
    return b"".join(decompressed(source_of(archive, "an archive"), checkpoint))


ODD_BYTES = [
    b"",
    b"\n",
    b"\n\n\n\nab\n\n\n\n",
    b"a\r\nb\r\n",
    b"a\r\nb\n\r",
    b"\xef\xbb\xbfab",
    b"\xff\xfe\x00",
    "한글 각\n".encode(),
    "e\u0301\u0323 \u1112\u1161\u11ab 각\u11a8".encode(),
    "가\n나\r\n".encode("cp949"),
    "ab\ncd".encode("utf-16"),
    b"a\xed\xa0\x80b",
    bytes(range(256)),
    b"ab" * 90,
    b"\0" * 90,
]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@settings(max_examples=15)
@given(st.binary(max_size=60) | st.text(ALPHABET + "X\r\u0301\u1161", max_size=40).map(str.encode))
def test_any_bytes_come_back(text: TextConfig, data: bytes) -> None:
    checkpoint = model(text)
    archive = pack(data, checkpoint)
    assert unpack(archive, checkpoint) == data
    assert len(archive) <= len(data) + LARGEST_OVERHEAD
    assert pack(data, checkpoint) == archive


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_odd_bytes_come_back(text: TextConfig) -> None:
    checkpoint = model(text)
    for data in ODD_BYTES:
        long = data * 9  # which is then coded, and not stored
        assert unpack(pack(data, checkpoint), checkpoint) == data
        assert unpack(pack(long, checkpoint), checkpoint) == long


@pytest.mark.parametrize("cell", CORES)
def test_every_core_compresses(cell: str) -> None:
    checkpoint, data = model(TextConfig(), cell), "abc é한\n".encode() * 40
    archive = pack(data, checkpoint)
    assert unpack(archive, checkpoint) == data


def random_text(words: int, between: str = "\n") -> bytes:
    """Words of the alphabet, at random, with something between them."""
    random = np.random.default_rng(3)
    return between.join("".join(random.choice(list(ALPHABET.strip()), 9)) for _ in range(words)).encode()


@pytest.mark.parametrize("name", ["running text", "lines", "blocks", "bytes"])
def test_an_archive_is_as_long_as_the_bits_that_eval_counts(folder: Path, name: str) -> None:
    checkpoint = model(TEXTS[name])
    data = random_text(300, "\n\n" if name == "blocks" else "\n") + b"\n"
    (folder / "text.txt").write_bytes(data)
    score = evaluate(checkpoint, ("text.txt",), device="cpu").score
    bits = 8 * (len(pack(data, checkpoint)) - LARGEST_OVERHEAD)
    assert bits == pytest.approx(score.nats / math.log(2), rel=0.01)


def test_the_length_is_that_of_known_probabilities() -> None:
    checkpoint = unigram({"a": 0.5, "b": 0.25, "c": 0.125, None: 0.125})
    data = b"aababcac" * 200
    bits = 200 * (4 * 1 + 2 * 2 + 2 * 3) + 3
    length = len(pack(data, checkpoint)) - LARGEST_OVERHEAD
    assert bits / 8 <= length <= bits / 8 + 2


def test_korean_is_coded_in_the_jamo_that_the_model_knows() -> None:
    jamo = dict.fromkeys("\u1100\u1102\u1161\u11ab", 0.1)
    checkpoint = unigram({**jamo, "\n": 0.5, None: 0.1}, TextConfig(normalize="nfd"))
    text = "가나간난\n" * 100
    bits = 100 * (10 * math.log2(10) + 1) + math.log2(10)
    for data in (text.encode(), text.replace("\n", "\r\n").encode()[: len(text.encode())]):
        assert unpack(pack(data, checkpoint), checkpoint) == data
    assert len(pack(text.encode(), checkpoint)) - LARGEST_OVERHEAD == pytest.approx(bits / 8, abs=2)


def test_line_ends_that_the_model_never_saw_cost_nothing() -> None:
    checkpoint = model(TextConfig(newlines="lf"))
    assert len(pack(b"ab\r\ncd\r\n" * 50, checkpoint)) == len(pack(b"ab\ncd\n" * 50, checkpoint))


def test_a_character_that_the_model_has_not_becomes_cheap_when_it_is_frequent() -> None:
    checkpoint = unigram({"a": 0.9, None: 0.1})
    few, many = (len(pack(b"aXY" * count, checkpoint)) for count in (100, 200))
    assert few < LARGEST_OVERHEAD + 100 * 3 * 0.35
    assert many - few < 100 * 3 * 0.27  # log2 3 bits for which of three, and 1 for which of two, at two of three


# Damage


def sealed(archive: bytes) -> bytes:
    """An archive with the sha256 that belongs to it, as a forger would make it."""
    return archive[:-16] + hashlib.sha256(archive[:-16]).digest()[:16]


def test_every_truncation_and_every_flipped_bit_is_found() -> None:
    checkpoint = unigram({"a": 0.5, "b": 0.25, "c": 0.125, None: 0.125})
    archive = pack(b"abac" * 16, checkpoint)
    assert len(archive) == LARGEST_OVERHEAD + 15  # 16 times 7 bits, and 3
    for length in range(len(archive)):
        with pytest.raises(DataError):
            unpack(archive[:length], checkpoint)
    for bit in range(8 * len(archive)):
        damaged = bytearray(archive)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            next(decompressed(source_of(bytes(damaged)), checkpoint))
    with pytest.raises(DataError):
        unpack(archive + b"\0", checkpoint)


@given(st.data())
def test_a_forged_archive_is_refused_and_comes_to_an_end(data: st.DataObject) -> None:
    checkpoint = model(TextConfig(documents=data.draw(st.sampled_from(["none", "line", "blank"]))))
    archive = pack("abc é한X\n".encode() * 9, checkpoint)
    body = data.draw(st.binary(max_size=30) | st.binary(max_size=9).map(archive[46:60].__add__))
    header = archive[:5] + bytes([data.draw(st.integers(0, 4))]) + archive[6:46]
    forged = sealed(header + body + bytes(16))
    if forged != archive:
        with pytest.raises(DataError):
            unpack(forged, checkpoint)


def test_a_size_that_is_a_lie_costs_nothing() -> None:
    checkpoint = model(TextConfig())
    archive = pack(b"abc" * 40, checkpoint)
    for size in (0, 1, 119, 121, 2**63):
        forged = sealed(archive[:6] + size.to_bytes(8, "little") + archive[14:])
        with pytest.raises(DataError, match="is whole, but what comes out"):
            unpack(forged, checkpoint)


def test_another_version_and_other_files_are_told_apart() -> None:
    checkpoint = model(TextConfig())
    archive = pack(b"abc" * 40, checkpoint)
    with pytest.raises(DataError, match="format version 2; this charrnn reads version 1"):
        unpack(sealed(archive[:4] + b"\2" + archive[5:]), checkpoint)
    for other in (b"", b"PK\3\4" + bytes(90), b"a text " * 20):
        with pytest.raises(DataError, match="is no archive of charrnn"):
            unpack(other, checkpoint)
    with pytest.raises(DataError, match="too short"):
        unpack(archive[:30], checkpoint)


def test_another_model_is_refused() -> None:
    checkpoint = model(TextConfig())
    archive = pack(b"abc" * 40, checkpoint)
    other = replace(checkpoint, model=checkpoint.model | {"head.bias": checkpoint.model["head.bias"] + 1})
    with pytest.raises(CheckpointError, match="compressed with another model"):
        unpack(archive, other)


def test_a_machine_that_computes_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = model(TextConfig())
    archive = pack(random_text(30), checkpoint)
    monkeypatch.setattr("charrnn.compression.prediction.softmax", lambda logits: np.ones(len(logits)))
    with pytest.raises(DataError, match="computes other probabilities"):
        unpack(archive, checkpoint)


def test_weights_that_overflow_are_refused() -> None:
    checkpoint = model(TextConfig())
    checkpoint.model["head.bias"][0] = np.nan
    with pytest.raises(CheckpointError, match="probabilities are not numbers"):
        pack(b"abc", checkpoint)


@pytest.mark.parametrize("data", [b"abcde" * 60, os.urandom(40)], ids=["coded", "stored"])
def test_a_file_that_changes_meanwhile_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    path, readings = folder / "text.txt", 0
    path.write_bytes(data)
    real = Source.chunks

    def changing(self: Source) -> Iterator[bytes]:
        nonlocal readings
        readings += 1
        if readings == 3:  # after the digest and the check of the treatment
            path.write_bytes(data[::-1])
        return real(self)

    monkeypatch.setattr(Source, "chunks", changing)
    with Spool(0) as spool, pytest.raises(DataError, match="changed while it was being read"):
        list(compressed(one_source("text.txt", spool), model(TextConfig())))


# Memory


class Uniform:
    """An engine that finds everything equally likely."""

    def initial_state(self, batch_size: int) -> None:
        """There is none."""

    def step(self, ids: Ids, state: None) -> tuple[NDArray[np.float32], None]:
        return np.zeros((len(ids), 5), np.float32), state

    read = step


def test_memory_does_not_grow_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("charrnn.compression.prediction._PIECE", 50)
    vocabulary, count, data = Vocabulary("ab"), 100, bytearray()

    def coded() -> Iterator[bytes]:
        coder = RangeEncoder()
        for _ in encode_text(("ab" * 25 for _ in range(count)), coder, Uniform(), vocabulary, "none"):
            yield coder.take()
        yield coder.finish()

    def growth(of: Iterator[object]) -> int:
        list(zip(range(count // 2), of, strict=False))  # what is made once is there after the first half
        tracemalloc.start()
        for _ in of:
            pass
        grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return grown

    data += b"".join(coded())
    decoder = RangeDecoder(bytes([byte]) for byte in data)
    assert growth(coded()) < 10_000
    assert growth(decoded_text(decoder, Uniform(), vocabulary, "none")) < 10_000
