"""Line ends that are kept are told of, where something can be done about them; a terminal shows CRLF as a line end."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.process.terminal import TextWriter
from charrnn.messages import safe
from charrnn.settings.text import TextConfig
from charrnn.text.corpus import read_corpus


@pytest.mark.parametrize(
    ("end", "config", "told"),
    [
        ("\r", TextConfig(), "the lines of the text end in CR, which ends no line here: 9 CR"),
        ("\r\n", TextConfig(), "the lines of the text end in CRLF, kept as two characters: 9 CRLF"),
        ("\n", TextConfig(), None),
        ("\r\n", TextConfig(documents="line"), None),
        ("\r", TextConfig(documents="line"), "the lines of the text end in CR"),
        ("\r\n", TextConfig(newlines="lf"), "made all line ends LF"),
        ("\r\n", TextConfig(unit="byte"), None),
    ],
)
def test_line_ends_are_told_of(folder: Path, end: str, config: TextConfig, told: str | None) -> None:
    (folder / "a.txt").write_bytes(("a line" + end).encode() * 9)
    config = TextConfig(**{**vars(config), "corpus": ("a.txt",)})
    for seed in (1, None):  # to be learned, and to be scored, which has no setting for it
        notices = [each for each in read_corpus(config, seed).notices if "line" in each and "document" not in each]
        assert len(notices) == (told is not None)
        if told:
            assert notices[0].startswith(told)
            assert ("newlines" in notices[0]) == (seed is not None and config.newlines == "keep")


def test_mixed_line_ends_are_told_of_where_they_are_kept(folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"a\r\nb\n" * 9)
    assert any("mixed" in each for each in read_corpus(TextConfig(corpus=("a.txt",)), 1).notices)
    assert read_corpus(TextConfig(corpus=("a.txt",), documents="line"), 1).notices == ()


@given(text=st.text("a\r\n\x1b한"), cuts=st.lists(st.integers(0, 20)))
def test_crlf_is_a_line_end_on_a_terminal(text: str, cuts: list[int]) -> None:
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    written = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(written))
        writer = TextWriter("utf-8", True)
        for start, end in pairwise(borders):
            writer.write(text[start:end])
        writer.close()
        assert written.getvalue().decode() == safe(text.replace("\r\n", "\n"))
