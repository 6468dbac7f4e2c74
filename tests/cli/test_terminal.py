"""Nothing that is written to a terminal can drive it; what goes into a pipe is exact to the byte."""

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.cli.app import main
from charrnn.cli.process.terminal import TextWriter, note
from charrnn.errors import ReaderGoneError, ResourceError
from charrnn.messages import safe
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.terminal import on_terminal
from tests.conftest import Command, random_checkpoint

# What could drive a terminal, as ranges: C0 but TAB and LF, DEL and C1, bidirectional overrides and isolates.
DRIVING = {
    *map(chr, [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
}
ATTACKS = {
    "a colour": "\x1b[31m",
    "a title": "\x1b]0;owned\x07",
    "the clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "a link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "a device string": "\x1bP$qm\x1b\\",
    "C1's CSI": "\x9b31m",
    "overwriting": "good\rbad",
    "erasing": "a\b\b\b\x7f",
    "an override": "\u202egnp.exe",
    "isolates": "\u2066\u2067\u2068\u2069",
    "a carriage of NUL": "\0\x0b\x0c",
}
UNICODE = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))


class Console(io.TextIOWrapper):
    """A stdout that is a terminal, or is not, and keeps what was written."""

    def __init__(self, *, terminal: bool) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding="ascii")  # whatever the locale said
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """What reaches stdout when pieces of text are written, one after another."""

    def write(pieces: Sequence[str], *, terminal: bool, encoding: Literal["utf-8", "latin-1"] = "utf-8") -> bytes:
        console = Console(terminal=terminal)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", console)
            writer = TextWriter(encoding)
            for piece in pieces:
                writer.write(piece)
            writer.close()
        return console.written.getvalue()

    return write


@pytest.mark.slow
def test_every_character_of_unicode_is_shown_or_escaped(written: Callable[..., bytes]) -> None:
    for character in UNICODE:
        shown = safe(character)
        assert shown == character or (character in DRIVING and shown == ascii(character)[1:-1])
    seen = written([UNICODE[k : k + 4096] for k in range(0, len(UNICODE), 4096)], terminal=True).decode()
    assert not DRIVING & set(seen)
    assert set(UNICODE) - set(seen) == DRIVING
    assert written([UNICODE], terminal=False) == UNICODE.encode()


@given(st.text() | st.lists(st.sampled_from([*ATTACKS.values(), "한", "\t\n"])).map("".join))
@example("\ud800")
def test_escaping_changes_nothing_else_and_nothing_twice(text: str) -> None:
    shown = safe(text)
    assert not DRIVING & set(shown)
    assert safe(shown) == shown
    assert shown == "".join(ascii(c)[1:-1] if c in DRIVING else c for c in text)
    if not DRIVING & set(text):
        assert shown == text


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_an_attack_cannot_be_split_around_the_escaping(
    written: Callable[..., bytes], attack: str, encoding: Literal["utf-8", "latin-1"]
) -> None:
    text = attack if encoding == "utf-8" else attack.encode().decode("latin-1")
    for cut in range(len(text) + 1):
        pieces = [text[:cut], text[cut:]]
        seen = written(pieces, terminal=True, encoding=encoding)
        assert not DRIVING & set(seen.decode())
        assert seen.endswith(b"\n")
        assert written(pieces, terminal=False, encoding=encoding) == attack.encode()


def test_no_two_bytes_drive_a_terminal_and_a_pipe_gets_both(written: Callable[..., bytes]) -> None:
    for first in range(256):
        row = [character for second in range(256) for character in (chr(first), chr(second), "\n")]
        assert not DRIVING & set(written(row, terminal=True, encoding="latin-1").decode())
        assert written(row, terminal=False, encoding="latin-1") == bytes(map(ord, row))


@given(st.data())
def test_a_terminal_shows_text_in_bytes_whatever_the_pieces(data: st.DataObject) -> None:
    text = data.draw(st.text("a한é\U0001f600\n", max_size=20))
    raw = text.encode().decode("latin-1")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)))))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    console, before = Console(terminal=True), sys.stdout
    sys.stdout = console
    try:
        writer = TextWriter("latin-1")
        for piece in pieces:
            writer.write(piece)
        writer.close()
    finally:
        sys.stdout = before
    seen = console.written.getvalue().decode()
    assert seen == (text if text.endswith("\n") or not text else text + "\n")


@pytest.mark.parametrize("cut", [1, 2])
def test_an_unfinished_character_is_shown_as_one(written: Callable[..., bytes], cut: int) -> None:
    piece = "한".encode()[:cut].decode("latin-1")
    assert written(["a", piece], terminal=True, encoding="latin-1").decode() == "a\ufffd\n"
    assert written(["a", piece], terminal=False, encoding="latin-1") == b"a" + "한".encode()[:cut]


def test_a_note_is_escaped_and_never_fails(capsys: pytest.CaptureFixture[str]) -> None:
    for attack in (*ATTACKS.values(), "[red]text[/red]"):
        note(attack)
        seen = capsys.readouterr()
        assert seen.out == ""
        assert seen.err == f"charrnn: {safe(attack)}\n"
    note("text", quiet=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "kind"), [(BrokenPipeError(32, "gone"), ReaderGoneError), (OSError(28, "full"), ResourceError)]
)
def test_a_failure_to_write_is_told_for_what_it_is(
    monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type[Exception]
) -> None:
    def fail(_: object) -> int:
        raise error

    console = Console(terminal=False)
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(console.buffer, "write", fail)
    with pytest.raises(kind):
        TextWriter("utf-8").write("text")


# A name that would set the title, turn the text around, and colour it, were it not escaped.
HOSTILE = "\x1b]0;owned\x07\u202e\x9b[red]x.txt"
MODEL = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)
STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\x1b\[2K|\r")  # colours, cursor, lines: rich's own


def assert_harmless(seen: str) -> None:
    """Of controls there are only those of the live display, and a hostile name is spelt out."""
    plain = STYLE.sub("", seen)
    assert not DRIVING & set(plain), ascii(plain)
    assert "\\x1b]0;owned\\x07\\u202e\\x9b[red]x" in plain


@pytest.fixture
def hostile(folder: Path) -> Path:
    """A folder where a text, a model, a run and a broken checkpoint have hostile names, and the model such a text."""
    (folder / HOSTILE).write_bytes(b"\xef\xbb\xbf" + b"a\x1b[\n" * 40)
    checkpoint = random_checkpoint(MODEL, Vocabulary("\n\x1b[a"))
    text = TextConfig(corpus=(HOSTILE,))
    whole = to_bytes(Checkpoint(RunConfig(text=text, model=MODEL), checkpoint.vocabulary, checkpoint.model))
    (folder / ("m" + HOSTILE)).write_bytes(whole)
    (folder / ("b" + HOSTILE)).write_bytes(whole[:-7])
    (folder / ("u" + HOSTILE)).write_bytes(b"\xff\xfe\xfd")
    (folder / ("r" + HOSTILE)).mkdir()
    return folder


MISTAKES = {
    "a text that is not there": (["train", "n" + HOSTILE], 3),
    "a text that is no text": (["train", "u" + HOSTILE], 3),
    "a folder without text": (["train", "r" + HOSTILE], 3),
    "a run of such a name": (["train", HOSTILE, "--name", HOSTILE], 2),
    "a configuration that is not there": (["train", "--config", HOSTILE + "n"], 2),
    "a configuration that is none": (["train", "--config", HOSTILE], 2),
    "nothing to resume": (["train", "--resume", "n" + HOSTILE], 4),
    "a folder that is no run": (["train", "--resume", "r" + HOSTILE], 4),
    "a model that is not there": (["sample", "--model", "n" + HOSTILE], 4),
    "a model that is none": (["sample", "--model", HOSTILE], 4),
    "a model that is torn": (["sample", "--model", "b" + HOSTILE], 4),
    "a folder without a model": (["eval", "--model", "r" + HOSTILE], 4),
    "a text to score that is not there": (["eval", "n" + HOSTILE, "--model", "m" + HOSTILE], 3),
    "a text to score that is no text": (["eval", "u" + HOSTILE, "--model", "m" + HOSTILE], 3),
    "a text of its own that has changed": (["eval", "--model", "m" + HOSTILE], 3),
    "a prime that is not there": (["sample", "--model", "m" + HOSTILE, "--prime-file", "n" + HOSTILE], 3),
    "an option that is not there": (["sample", "--" + HOSTILE], 2),
    "a command that is not there": ([HOSTILE], 2),
}


@pytest.mark.parametrize(("arguments", "code"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_with_hostile_names_are_told_harmlessly(
    hostile: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
) -> None:
    monkeypatch.setattr(sys, "argv", ["charrnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    seen = capsys.readouterr()
    assert ended.value.code == code, seen.err
    assert seen.out == ""
    assert_harmless(seen.err)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_commands_with_hostile_names_are_harmless_on_a_terminal(hostile: Path) -> None:
    trained = ["train", HOSTILE, "--steps", "4", "--hidden-size", "4", "--layers", "1", "--name", "[red]run"]
    for arguments in (
        trained,
        ["eval", HOSTILE, "--model", "m" + HOSTILE],
        ["sample", "--model", "m" + HOSTILE, "-n", "40", "--seed", "1", "--prime", "a\x1b["],
        ["sample", "--model", "b" + HOSTILE],
    ):
        code, seen, _ = on_terminal(arguments, hostile)
        assert code == (4 if "b" + HOSTILE in arguments else 0), seen
        assert_harmless(seen.decode())
    assert (hostile / "checkpoints" / "[red]run" / "latest").is_file()


LOCALES = {
    "C": {"LC_ALL": "C"},
    "C without UTF-8 mode": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    "ascii streams": {"PYTHONIOENCODING": "ascii"},
    "strict cp1252 streams": {"PYTHONIOENCODING": "cp1252:strict"},
    "utf-16 streams": {"PYTHONIOENCODING": "utf-16"},
}


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOCALES.values(), ids=LOCALES.keys())
def test_any_locale_gets_the_same_bytes(
    folder: Path, charrnn: Command, new_charrnn: Command, locale: dict[str, str]
) -> None:
    checkpoint = random_checkpoint(MODEL, Vocabulary("\n\x1baé한\U0001f600"))
    (folder / "model").write_bytes(to_bytes(checkpoint))
    arguments = ("sample", "--model", "model", "-n", "200", "--seed", "1", "--prime", "é한\U0001f600\n")
    usual, done = charrnn(*arguments), new_charrnn(*arguments, **locale)
    assert (done.returncode, done.stdout) == (0, usual.stdout)
    assert usual.stdout.startswith("é한\U0001f600\n".encode())
