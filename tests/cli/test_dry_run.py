"""`charrnn train --dry-run`: what it says is so, and nothing is left behind."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import from_file
from charrnn.checkpoint.store import Run
from tests.cli.terminal import on_terminal
from tests.conftest import Command

pytestmark = pytest.mark.slow

TINY = ("--hidden-size", "8", "--layers", "1", "--batch-size", "3", "--sequence-length", "9", "--report-every", "5")


def plain(stdout: bytes) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in stdout.decode().splitlines())


def test_a_dry_run_tells_what_the_run_then_is(small_text: Path, charrnn: Command) -> None:
    arguments = ("train", "small.txt", *TINY, "--epochs", "2", "--documents", "line")
    dry = charrnn(*arguments, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert not Path("checkpoints").exists()
    told = plain(dry.stdout)
    text = small_text.read_text()
    lines = text.splitlines()
    assert int(told["characters"]) == len(text.replace("\n", ""))
    assert int(told["different_characters"]) == len(set(text) - {"\n"})
    assert (told["lines"], told["documents"]) == (str(len(lines)), str(len(lines)))
    assert float(told["lines_duplicates"]) == pytest.approx(5 / 6, abs=1e-5)
    assert int(told["documents_longest"]) == max(map(len, lines))
    assert int(told["to_learn"]) + int(told["held_out"]) == len(text)  # where a line ends is learned, too
    rare = set(told["rarest"])
    assert rare == {character for character in text if text.count(character) < 10} - {"\n"}
    assert b"chose gru, dropout" in dry.stderr

    assert charrnn(*arguments).returncode == 0
    path = Run(Path("checkpoints/small-gru")).pointed("latest")
    assert path
    checkpoint = from_file(path, training=True)
    assert int(told["steps"]) == checkpoint.counters.step
    assert float(told["epochs"]) == pytest.approx(2, abs=0.2)
    assert int(told["parameters"]) == sum(array.size for array in checkpoint.model.values())
    assert int(told["vocabulary_size"]) == checkpoint.vocabulary.size
    assert int(told["checkpoint_bytes"]) == pytest.approx(path.stat().st_size, rel=0.05)
    assert float(told["characters_per_second"]) > 0
    assert float(told["seconds"]) > 0


def test_a_stream_and_bytes_are_told_of_in_json(small_text: Path, charrnn: Command) -> None:
    data = b"\xff\x00 bytes\n" * 200
    done = charrnn("train", "-", *TINY, "--unit", "byte", "--time", "1h", "--dry-run", "--json", "-q", stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert (told["text"], told["encoding"], told["characters"]) == ("-", "bytes", len(data))
    assert (told["different_characters"], told["lines"], told["lines_duplicates"]) == (9, 200, pytest.approx(0.995))
    assert "documents" not in told
    assert told["seconds"] == pytest.approx(3600, rel=0.01)
    assert told["epochs"] == pytest.approx(3600 * told["characters_per_second"] / told["to_learn"], rel=0.01)
    assert any("chose gru, dropout" in notice for notice in told["notices"])
    assert not Path("checkpoints").exists()


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_a_table_that_cannot_drive_it(folder: Path) -> None:
    Path("wild.txt").write_text("\x9b" + "\x1b[31m wild \x07 text " * 20)
    code, seen, _ = on_terminal(["train", "wild.txt", *TINY, "--steps", "9", "--dry-run"], folder)
    assert code == 0, seen
    assert "rare characters" in seen.decode()
    assert "\\x9b" in seen.decode()
    assert b"\x07" not in seen
    assert "\x9b" not in seen.decode()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("small.txt", "--dry-run", "--resume"), 2, b"--dry-run tells of a new run; leave --resume out"),
        (("none.txt", "--dry-run"), 3, b"cannot read the text 'none.txt'"),
    ],
)
def test_what_cannot_be_told(
    small_text: Path, charrnn: Command, arguments: tuple[str, ...], code: int, message: bytes
) -> None:
    done = charrnn("train", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == b""


def test_units_are_compared_and_one_is_recommended(folder: Path, charrnn: Command) -> None:
    """A text of Hangul whose syllables are made at random of all jamo: most stand there once, but all jamo often."""
    random = np.random.default_rng(0)
    Path("hangul.txt").write_text("".join(chr(0xAC00 + number) for number in random.integers(0, 11172, 4000).tolist()))
    told = plain(charrnn("train", "hangul.txt", *TINY, "--steps", "5", "--dry-run", "-q").stdout)
    costs = {unit: float(told[f"{unit}_bits_per_byte"]) for unit in ("characters", "bytes", "jamo")}
    assert math.log2(11172) / 3 - 0.2 < costs["jamo"] < costs["characters"]
    assert told["best_unit"] == "jamo --normalize nfd"

    Path("ascii.txt").write_text("".join(random.choice(list("abcd"), 4000)))
    told = plain(charrnn("train", "ascii.txt", *TINY, "--steps", "5", "--dry-run", "-q").stdout)
    assert float(told["characters_bits_per_byte"]) == pytest.approx(2, abs=0.1)
    assert told["best_unit"] == "characters"
    assert "jamo_bits_per_byte" not in told
    for more in (["--validation", "0"], ["--unit", "byte"]):
        assert "best_unit" not in plain(charrnn("train", "ascii.txt", *TINY, *more, "--dry-run", "-q").stdout)
