"""Every mistake a user can make: its exit code, what was received, what to do, and never a traceback."""

from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.checkpoint.store import Run
from charrnn.settings.model import ModelConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import Command, random_checkpoint

MISTAKES = {
    # usage
    "unknown command": (["trian", "a"], 2, "No such command 'trian'. Did you mean 'train'?"),
    "unknown option": (["train", "a", "--cel", "gru"], 2, "No such option: --cel"),
    "unknown cell": (["train", "good.txt", "--cell", "gur"], 2, "got 'gur'; did you mean gru?"),
    "no text": (["train"], 2, "no text given"),
    "a word for a number": (["train", "good.txt", "--layers", "two"], 2, "--layers"),
    "no layers": (["train", "good.txt", "--layers", "0"], 2, "--layers must be at least 1"),
    "dropout of 1": (["train", "good.txt", "--dropout", "1"], 2, "--dropout must be at least 0 and less than 1, got 1"),
    "a core that reads both ways": (
        ["train", "none.txt", "--cell", "bi-lstm"],
        2,
        "--cell bi-lstm: a bidirectional core",
    ),
    "both ways": (["train", "none.txt", "--bidirectional"], 2, "--bidirectional: a bidirectional core reads the text"),
    "residual with one layer": (["train", "none.txt", "--residual", "--layers", "1"], 2, "it needs --layers 2"),
    "zoneout of 1": (["train", "none.txt", "--zoneout", "1"], 2, "--zoneout must be at least 0 and less than 1"),
    "a huge size": (["train", "good.txt", "--hidden-size", "9" * 30], 2, "--hidden-size must be"),
    "an infinite rate": (["train", "good.txt", "--learning-rate", "inf"], 2, "--learning-rate must be"),
    "a negative seed": (["train", "good.txt", "--seed", "-1"], 2, "--seed must be at least 0"),
    "no time": (["train", "good.txt", "--time", "0"], 2, "time must be a duration such as 90s, 3m or 1h30m, got '0'"),
    "one-hot of a size": (
        ["train", "good.txt", "--encoder", "one-hot", "--embedding-size", "9"],
        2,
        "--embedding-size",
    ),
    "bytes in utf-16": (["train", "good.txt", "--unit", "byte", "--encoding", "utf-16"], 2, "--unit byte"),
    "bytes normalised": (["train", "good.txt", "--unit", "byte", "--normalize", "nfc"], 2, "--normalize"),
    "unknown encoding": (["train", "good.txt", "--encoding", "utf-9"], 2, "got 'utf-9'"),
    "patience for nothing": (["train", "good.txt", "--validation", "0", "--patience", "3"], 2, "--patience needs"),
    "a path for a name": (
        ["train", "good.txt", "--steps", "1", "--name", "a/b"],
        2,
        "--name must be a plain folder name",
    ),
    "a gpu that is not there": (["train", "good.txt", "--device", "mps"], 2, "--device mps is not available"),
    "resume with a cell": (
        ["train", "--resume", "--cell", "gru"],
        2,
        "only the budget and the device can change, not --cell",
    ),
    "a changed text without resume": (["train", "--accept-new-corpus"], 2, "is for a --resume whose text has changed"),
    "no such config": (["train", "--config", "none.toml"], 2, "cannot read the configuration none.toml"),
    "a config that is no toml": (["train", "--config", "good.txt"], 2, "good.txt is not TOML"),
    "a config with a typo": (["train", "--config", "typo.toml"], 2, "unknown key 'cel'; did you mean cell?"),
    "both primes": (["sample", "-p", "a", "--prime-file", "b"], 2, "use one of them"),
    "top-p of 0": (["sample", "--top-p", "0"], 2, "--top-p must be greater than 0 and at most 1, got 0.0"),
    "top-k of 0": (["sample", "--top-k", "0"], 2, "--top-k must be at least 1"),
    "temperature nan": (["sample", "--temperature", "nan"], 2, "--temperature must be at least 0, got nan"),
    "length below 0": (["sample", "--length", "-5"], 2, "--length must be at least 0"),
    "length beyond everything": (["sample", "--length", "1" + "0" * 30], 2, "--length must be"),
    "numpy on a gpu": (["sample", "--model", "good", "--engine", "numpy", "--device", "cuda"], 2, "--engine numpy"),
    # data
    "no such file": (["train", "none.txt"], 3, "cannot read the text 'none.txt': No such file"),
    "a folder without text": (["train", "empty"], 3, "the folder 'empty' has no *.txt"),
    "an empty file": (["train", "empty.txt"], 3, "the text has 0 characters; training needs at least 2"),
    "one character": (["train", "one.txt"], 3, "the text has 1 character; training needs at least 2"),
    "no utf-8": (["train", "latin.txt"], 3, "latin.txt is not utf-8: byte 0xe9 at offset 3, line 1"),
    "a checkpoint for a text": (["train", "good/step-00000001.safetensors"], 3, "is not utf-8"),
    "no such prime": (["sample", "--model", "good", "--prime-file", "none.txt"], 3, "cannot read the prime none.txt"),
    "an unknown prime": (["sample", "--model", "good", "--prime", "aXb"], 3, "'X' (U+0058) at 1"),
    "nothing to score": (["eval", "empty.txt", "--model", "good"], 3, "empty.txt has nothing to score"),
    "no text of its own": (["eval", "--model", "good"], 3, "does not know on which text it was trained"),
    # checkpoints
    "no such model": (["sample", "--model", "none"], 4, "there is no checkpoint at none"),
    "a text for a model": (["sample", "--model", "good.txt"], 4, "good.txt is not a charrnn checkpoint"),
    "a folder for a model": (["eval", "--model", "empty"], 4, "empty has no checkpoint"),
    "a torn model": (["sample", "--model", "torn.safetensors"], 4, "torn.safetensors is not a charrnn checkpoint"),
    "a model with nan": (
        ["sample", "--model", "nan.safetensors"],
        4,
        "not all numbers in it are finite: model.head.bias",
    ),
    "nothing to resume": (["train", "--resume"], 4, "there is no run in ./checkpoints to go on with"),
    "resume from nowhere": (["train", "--resume", "none"], 4, "there is no run and no checkpoint at none"),
    "resume from a sampler's model": (
        ["train", "--resume", "good"],
        4,
        "good is no run to go on with: there is no `latest`",
    ),
}


@pytest.fixture
def mistaken(folder: Path) -> Path:
    """A folder with what is needed to make every mistake."""
    for name, data in {
        "good.txt": b"a good text " * 20,
        "empty.txt": b"",
        "one.txt": b"a",
        "latin.txt": "caf\u00e9".encode("latin-1"),
        "typo.toml": b"[model]\ncel = 'gru'\n",
    }.items():
        (folder / name).write_bytes(data)
    (folder / "empty").mkdir()
    checkpoint = random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), Vocabulary("ab"))
    (folder / "good").mkdir()
    Run(folder / "good").save(to_bytes(checkpoint), 1, best=True)
    (folder / "good" / "latest").unlink()
    (folder / "torn.safetensors").write_bytes(to_bytes(checkpoint)[:-5])
    checkpoint.model["head.bias"][0] = np.nan
    (folder / "nan.safetensors").write_bytes(to_bytes(checkpoint))
    return folder


@pytest.mark.parametrize(("arguments", "code", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_in_three_lines_at_most(
    mistaken: Path, charrnn: Command, arguments: list[str], code: int, message: str
) -> None:
    before = sorted(mistaken.rglob("*"))
    done = charrnn(*arguments)
    error = done.stderr.decode()
    lines = [line for line in error.splitlines() if "(as asked)" not in line]  # which says which model it is
    assert done.returncode == code, error
    assert message in error
    assert 1 <= len(lines) <= 3, error
    assert lines[0].startswith("charrnn: ")
    assert "Traceback" not in error
    assert done.stdout == b""
    assert sorted(mistaken.rglob("*")) == before


def test_a_traceback_is_shown_when_asked_for(mistaken: Path, charrnn: Command) -> None:
    for done in (charrnn("--debug", "train", "none.txt"), charrnn("train", "none.txt", CHARRNN_DEBUG="1")):
        assert b"Traceback" in done.stderr
    assert b"Traceback" not in charrnn("train", "none.txt", CHARRNN_DEBUG="0").stderr


def test_a_bug_is_called_one(mistaken: Path, new_charrnn: Command) -> None:
    (mistaken / "sitecustomize.py").write_text(
        "import charrnn.checkpoint.store as store\ndef broken(*_): raise ZeroDivisionError('oops')\n"
        "store.find_model = broken\n"
    )
    done = new_charrnn("sample", PYTHONPATH=str(mistaken))
    assert done.returncode == 1
    assert b"bug in charrnn: ZeroDivisionError: oops" in done.stderr
    assert b"CHARRNN_DEBUG=1" in done.stderr
    assert b"Traceback" not in done.stderr


def test_control_characters_of_a_file_name_do_not_reach_the_terminal(charrnn: Command) -> None:
    done = charrnn("train", "\x1b]0;owned\x07.txt")
    assert done.returncode == 3
    assert b"\x1b" not in done.stderr
