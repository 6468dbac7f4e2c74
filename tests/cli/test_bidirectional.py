"""A generator cannot read both ways: asked for one, the command says in one line why."""

from pathlib import Path

import pytest

from tests.conftest import Command


@pytest.mark.parametrize(
    "asked", ["--bidirectional", "--cell bidirectional-lstm", "--cell bi-gru", "--cell bilstm", "--cell birnn-relu"]
)
def test_one_line_says_why_before_anything_is_read(folder: Path, charrnn: Command, asked: str) -> None:
    done = charrnn("train", "none.txt", *asked.split())
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert line.startswith(f"charrnn: {asked}: a bidirectional core reads the text that comes after")
    assert line.endswith("it can classify (charrnn.recurrent.classifier), not generate")
    assert done.stdout == b""
    assert not list(folder.iterdir())


@pytest.mark.parametrize("word", ["bi", "bigram", "bison-gru"])
def test_a_word_that_merely_begins_so_is_an_unknown_cell(charrnn: Command, word: str) -> None:
    done = charrnn("train", "none.txt", "--cell", word)
    assert done.returncode == 2
    assert b"--cell must be one of auto, rnn, rnn-relu, lstm, gru" in done.stderr
    assert b"bidirectional" not in done.stderr


def test_the_help_does_not_offer_it(charrnn: Command) -> None:
    assert b"bidirectional" not in charrnn("train", "--help").stdout
