"""`charrnn compress` and `charrnn decompress` in real processes."""

import math
import os
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint.format import from_file, to_bytes
from charrnn.cli.app import main
from charrnn.compression.archive import compressed
from charrnn.text.sources import one_source
from charrnn.text.spool import Spool
from tests.cli.terminal import on_terminal
from tests.conftest import Command
from tests.doubles import unigram

TEXT = b"abacabad\n" * 60


@pytest.fixture
def known(folder: Path) -> Path:
    """A folder with a text, and two models of its characters."""
    (folder / "text").write_bytes(TEXT)
    characters = {"a": 0.5, "b": 0.25, "c": 0.125}
    (folder / "model").write_bytes(to_bytes(unigram({**characters, None: 0.125})))
    (folder / "other").write_bytes(to_bytes(unigram({**characters, None: 0.0625, "d": 0.0625})))
    return folder


def test_a_file_comes_back_and_nothing_is_overwritten(known: Path, charrnn: Command) -> None:
    packed = charrnn("compress", "text", CHARRNN_MODEL="model")
    assert (packed.returncode, packed.stdout) == (0, b"")
    size = (known / "text.crnn").stat().st_size
    assert packed.stderr.decode().splitlines() == [
        "charrnn: model (as asked)",
        f"charrnn: text, 540 bytes, to text.crnn, {size} bytes",
    ]
    assert size < 340

    again = charrnn("decompress", "text.crnn", "--model", "model")
    assert again.returncode == 2
    assert b"text is there already, and nothing is overwritten; name another file" in again.stderr
    (known / "text").rename(known / "was")
    done = charrnn("decompress", "text.crnn", "--model", "model", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (known / "text").read_bytes() == TEXT
    assert charrnn("compress", "text", "--model", "model").returncode == 2
    assert sorted(path.name for path in known.iterdir()) == ["model", "other", "text", "text.crnn", "was"]


def test_pipes_get_bytes_and_nothing_else(known: Path, charrnn: Command) -> None:
    for data in (TEXT, bytes(range(256))):
        packed = charrnn("compress", "-", "--model", "model", "-q", stdin=data)
        assert (packed.returncode, packed.stderr) == (0, b"")
        unpacked = charrnn("decompress", "-", "--model", "model", "-q", stdin=packed.stdout)
        assert (unpacked.returncode, unpacked.stdout, unpacked.stderr) == (0, data, b"")
    assert charrnn("compress", "text", "-o", "-", "--model", "model").stdout[:4] == b"CRNN"
    named = charrnn("compress", "-", "-o", "named", "--model", "model", stdin=TEXT)
    assert (named.returncode, named.stdout) == (0, b"")
    assert charrnn("decompress", "named", "-o", "-", "--model", "model", OPENBLAS_NUM_THREADS="2").stdout == TEXT


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["decompress", "good.crnn", "--model", "other"], 4, "good.crnn was compressed with another model: sha256"),
        (["decompress", "torn.crnn", "--model", "model"], 3, "torn.crnn is damaged: the sha256 does not match"),
        (["decompress", "model", "--model", "model"], 2, "model does not end in .crnn; name the file to write"),
        (["decompress", "model", "-o", "new", "--model", "model"], 3, "model is no archive of charrnn"),
        (["compress", "none", "--model", "model"], 3, "cannot read the text 'none'"),
        (["compress", ".", "--model", "model"], 3, "'.' is a folder; name a file"),
        (["compress", "text", "--model", "none"], 4, "there is no checkpoint at none"),
        (["compress", "text", "-o", "none/new", "--model", "model"], 7, "cannot write none/new: No such file"),
    ],
)
def test_a_mistake_is_told_and_leaves_no_file(
    known: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    with Spool(math.inf) as spool:
        archive = b"".join(compressed(one_source("text", spool), from_file(known / "model")))
    (known / "good.crnn").write_bytes(archive)
    (known / "torn.crnn").write_bytes(archive[:-1])
    before = sorted(known.iterdir())
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # which the command sets, too
    monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    seen = capsys.readouterr()
    assert ended.value.code == code
    assert message in seen.err
    assert seen.out == ""
    assert sorted(known.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_gets_no_archive_and_a_file_that_cannot_drive_it(known: Path, charrnn: Command) -> None:
    code, seen, _ = on_terminal(["compress", "text", "-o", "-", "--model", "model"], known)
    assert code == 2
    assert b"an archive is nothing for a terminal" in seen
    (known / "bell.crnn").write_bytes(charrnn("compress", "-", "--model", "model", stdin=b"ab\x1b[31m\a").stdout)
    code, seen, _ = on_terminal(["decompress", "bell.crnn", "-o", "-", "--model", "model", "-q"], known)
    assert (code, seen) == (0, b"ab\\x1b[31m\\x07\r\n")
