"""Sources of every kind and size: read whole at the start, or refused with a word on what there is and is needed."""

import gzip
import hashlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run, find_resumable
from charrnn.errors import CharrnnError, DataError, UsageError
from charrnn.evaluation.evaluate import evaluate
from charrnn.events import Finished, Notice, Reported, Saved
from charrnn.settings.run import RunConfig
from charrnn.text.batches import IGNORED
from charrnn.text.tokens import Tokens
from charrnn.training.loop import resume, train
from charrnn.training.setup import Setup, prepare
from tests.conftest import tiny_run
from tests.text import reading
from tests.text.reading import documents_of


def read(*sources: str | Path) -> str:
    return "".join(documents_of(reading.read(*sources)))


def refusal(*sources: str | Path) -> str:
    """What is said of sources that cannot be read."""
    with pytest.raises(DataError) as caught:
        read(*sources)
    assert 1 <= len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and links")
def test_a_pipe_with_a_name_is_read_to_its_end(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    data = "한국어\r\n".encode() * 50_000  # more than a pipe holds at once
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=(data,))
    writer.start()
    assert read("pipe").encode() == data
    writer.join()


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes and links")
def test_what_is_no_text_is_refused(folder: Path) -> None:
    (folder / "loop.txt").symlink_to("loop.txt")
    (folder / "nowhere.txt").symlink_to("not-there.txt")
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"\x89PNG")
    (folder / "empty").mkdir()
    assert "No such file" in refusal("nowhere.txt")
    assert "cannot read the text 'loop.txt'" in refusal("loop.txt")
    assert "File name too long" in refusal("x" * 5000)
    assert "null" in refusal("a\0b")
    assert "Not a directory" in refusal("pictures/a.png/b")
    for name, has in {"pictures": "it has 1 .png", "empty": "nor any other file"}.items():
        assert f"the folder '{name}' has no *.txt or *.md" in refusal(name)
        assert has in refusal(name)
    if Path("/dev/zero").exists():
        assert refusal("/dev/zero") == "'/dev/zero' is neither a file nor a folder"


def test_an_empty_name_is_not_the_current_folder(folder: Path) -> None:
    (folder / "a.txt").write_text("text")
    for names in ((), ("",), ("a.txt", "")):
        with pytest.raises(UsageError, match="no text given"):
            read(*names)
    assert read(".") == "text"


def test_a_file_without_permission_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: Path, _: str) -> object:  # the mode alone would not keep root out
        raise PermissionError(13, "Permission denied", str(path))

    (folder / "secret.txt").write_text("text")
    monkeypatch.setattr(Path, "open", forbid)
    assert refusal("secret.txt") == "cannot read the text 'secret.txt': Permission denied"


def test_a_closed_standard_input_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refusal("-") == "cannot read the text '-': standard input is closed"


@pytest.mark.skipif(os.name != "posix", reason="names of any bytes")
def test_a_name_that_cannot_be_recorded_is_refused_before_anything_is_made(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    (folder / name).write_text("text " * 20)
    said = refusal(name)
    assert "caf\\udce9.txt" in said
    assert "standard input" in said
    with pytest.raises(DataError, match="not utf-8"):
        next(train(tiny_run(Path(name))))
    assert not (folder / "checkpoints").exists()
    assert read(folder) == "text " * 20  # in a folder it needs no record of its own


def test_gzip_that_is_torn_or_flipped_is_refused_or_harmless(folder: Path) -> None:
    packed = gzip.compress(b"some text, packed", mtime=0)
    path = folder / "a.txt.gz"
    damaged = [packed[:length] for length in range(1, len(packed))]
    for place in range(8 * len(packed)):
        flipped = bytearray(packed)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            outcome = read(path)
        except DataError as error:
            outcome = str(error)
            refused += 1
        # Some bits mean nothing, such as those of the time.
        assert outcome == "some text, packed" or "a.txt.gz: damaged gzip data" in outcome
    assert refused > 0.8 * len(damaged)


def test_gzip_in_several_parts_is_one_text(folder: Path) -> None:
    (folder / "a.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    assert read("a.gz") == "one two"


# A training text of N characters with B rows of T characters: the sizes at which something changes.
ROWS, COLUMNS = 3, 7
WHOLE = ROWS * (COLUMNS + 1)
SIZES = sorted({0, 1, 2, 3, *range(COLUMNS - 1, COLUMNS + 3), *range(ROWS * COLUMNS - 1, WHOLE + 2), 2 * WHOLE})


def characters(tokens: Tokens) -> int:
    """How many of them are characters: targets that end no document."""
    return tokens.targets - len(tokens.lengths)


def assert_covers_everything_once(setup: Setup) -> None:
    """Every target of the training text, in each of two epochs, after the token that stands before it."""
    ids, offsets = setup.training.ids, setup.training.offsets
    expected = Counter(
        pair
        for a, b in pairwise(offsets)
        for pair in zip(ids[a : b - 1].tolist(), ids[a + 1 : b].tolist(), strict=True)
    )
    batches = setup.batches()
    for epoch in range(2):
        found: Counter[tuple[int, int]] = Counter()
        for step in range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch):
            batch = batches.batch(step)
            real = batch.targets != IGNORED
            assert real.any()
            found.update(zip(batch.inputs[real].tolist(), batch.targets[real].tolist(), strict=True))
        assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(ROWS, COLUMNS), (1, 1), (None, None)], ids=["small", "least", "chosen"])
@pytest.mark.parametrize("validation", [0.0, 1e-12, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("documents", ["none", "line", "blank", "file"])
@pytest.mark.parametrize("distinct", [True, False], ids=["all-different", "all-the-same"])
def test_a_text_of_any_size_is_covered_or_refused(
    folder: Path, documents: str, validation: float, shape: tuple[int | None, int | None], distinct: bool
) -> None:
    path = folder / "a.txt"
    rows, columns = shape
    config = tiny_run(path, documents=documents, validation=validation, batch_size=rows, sequence_length=columns)
    for size in SIZES:
        text = "".join(chr(0x4E00 + distinct * k) for k in range(size))
        if documents in ("line", "blank"):
            text = ("\n" * (1 + (documents == "blank"))).join(text[k : k + 5] for k in range(0, size, 5))
        path.write_text(text, "utf-8")
        kept = sum(map(len, text.splitlines()))
        try:
            outcome: Setup | DataError = prepare(config)
        except DataError as error:
            outcome = error
        if isinstance(outcome, DataError):
            assert kept < 2 or validation
            assert kept < 2 or "validation=0" in str(outcome)
            assert f"the text has {kept} character" in str(outcome)
            assert "training needs at least 2" in str(outcome)
        else:
            training, held_out = outcome.training, outcome.validation
            assert characters(training) >= 2
            assert characters(training) + (characters(held_out) if held_out else 0) == kept
            assert held_out is None or characters(held_out) >= 1
            assert_covers_everything_once(outcome)
        if kept >= 2 and (not validation or kept > ROWS * COLUMNS):
            assert isinstance(outcome, Setup)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("ab", {"validation": 0.0}),
        ("aaa", {"validation": 0.3}),
        ("a\na\na", {"documents": "line", "validation": 0.3}),
    ],
    ids=["two-characters", "one-distinct-character", "lines-of-one-character"],
)
def test_the_least_text_can_be_learned_scored_and_gone_on_with(
    folder: Path, text: str, changes: dict[str, object]
) -> None:
    path = folder / "least.txt"
    path.write_text(text)
    config = tiny_run(path, **{**changes, "steps": 4})
    events = list(train(config))
    (finished,) = [event for event in events if isinstance(event, Finished)]
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, Reported))
    if changes["validation"]:
        saved = [event.path for event in events if isinstance(event, Saved)]
        assert np.isfinite(evaluate(from_file(saved[-1])).score.nats_per_character)
    *_, again = resume(find_resumable(str(finished.run)), {"steps": 6})
    assert isinstance(again, Finished)
    assert again.step == 6


def edit(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace("cat", "cow"), "utf-8")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace(path: Path) -> None:
    other = path.with_name("other.txt")
    other.write_text("something else entirely " * 50)
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


def weights(path: Path) -> str:
    arrays = from_file(path).model
    return hashlib.sha256(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))).hexdigest()


def last_weights(config: RunConfig, name: str, between: Callable[[int], None]) -> tuple[Path, str]:
    """The folder of a run and a digest of its last weights, with something done after each event."""
    for index, event in enumerate(train(config, name)):
        between(index)
        if isinstance(event, Saved):
            saved = event.path
    return saved.parent, weights(saved)


@pytest.mark.parametrize(
    ("change", "packed"),
    [(edit, False), (truncate, False), (replace, False), (remove, False), (truncate, True), (replace, True)],
)
def test_a_source_that_changes_does_not_reach_the_training_but_its_resumption(
    small_text: Path, change: Callable[[Path], None], packed: bool
) -> None:
    data = small_text.read_bytes()
    if packed:
        small_text = small_text.with_name("small.txt.gz")
        small_text.write_bytes(gzip.compress(data))
    original = small_text.read_bytes()
    config = tiny_run(small_text)
    _, undisturbed = last_weights(config, "undisturbed", lambda _: None)

    seen: list[int] = []

    def between(index: int) -> None:
        seen.append(index)
        if len(seen) == 2:
            change(small_text)

    run, disturbed = last_weights(config, "disturbed", between)
    assert len(seen) > 10
    assert disturbed == undisturbed
    with pytest.raises(CharrnnError, match=r"small\.txt") as caught:
        list(resume(find_resumable(str(run)), {"steps": 20}))
    assert caught.value.exit_code == 3
    small_text.write_bytes(original)
    *_, finished = resume(find_resumable(str(run)), {"steps": 20})
    assert isinstance(finished, Finished)


def test_a_model_takes_its_line_ends_along(folder: Path) -> None:
    """What was chosen in training is recorded, and holds for texts to score and for resumption."""
    dos, unix, mixed = b"a cat\r\nsat\r\n" * 30, b"a cat\nsat\n" * 30, b"a cat\r\nsat\n" * 30
    for name, data in {"dos.txt": dos, "unix.txt": unix, "mixed.txt": mixed}.items():
        (folder / name).write_bytes(data)
    events = list(train(tiny_run(folder / "dos.txt", newlines="lf")))
    (finished,) = [event for event in events if isinstance(event, Finished)]
    path = Run(finished.run).pointed("latest")
    assert path is not None
    checkpoint = from_file(path)
    assert checkpoint.config.text.newlines == "lf"
    assert "\r" not in checkpoint.vocabulary.characters
    scores = [evaluate(checkpoint, (name,)).score for name in ("dos.txt", "unix.txt", "mixed.txt")]
    assert scores[0][:2] == scores[1][:2] == scores[2][:2]
    assert [score.bytes for score in scores] == [30 * 12 + 1, 30 * 10 + 1, 30 * 11 + 1]  # of the files
    assert scores[0].unknown == 0
    assert evaluate(checkpoint).score.unknown == 0
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert any("the text had 60 CRLF" in notice for notice in notices)
