"""What a training says of the time that it takes, and how it is drawn on terminals of many kinds."""

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from charrnn.cli.process.terminal import shows_all
from charrnn.cli.render.console import as_shown, own_words
from charrnn.cli.render.display import print_table, score_table, training_display
from charrnn.events import Began, Reported, Sampled, Validated


def reported(step: int, total_steps: int, seconds_left: float) -> Reported:
    return Reported(step, total_steps, step / 100, 2.0, 0.5, 1e-3, 12_345.6, 3.0, seconds_left)


def test_it_says_how_long_it_takes_once_the_pace_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display(quiet=False) as show:
        show(reported(10, 500, 90.0))  # with the warming up in it
        assert "to go" not in capsys.readouterr().err
        show(reported(20, 800, 175.4))
        assert (
            capsys.readouterr().err
            == "charrnn: about 2:55 to go at 12,346 characters/s: 800 steps, 8.0 epochs in all\n"
        )
        show(reported(30, 800, 170.0))
        assert "to go" not in capsys.readouterr().err


def test_a_training_that_is_over_by_then_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display(quiet=False) as show:
        show(reported(10, 20, 1.0))
        show(reported(20, 20, 0.0))
    assert "to go" not in capsys.readouterr().err


@pytest.mark.parametrize(("step", "told"), [(0, "runs/a: gru"), (1200, "runs/a from step 1,200 on: gru")])
def test_a_run_that_goes_on_says_from_where(capsys: pytest.CaptureFixture[str], step: int, told: str) -> None:
    with training_display(quiet=False) as show:
        show(Began(Path("runs/a"), step, "gru", 10, 20, 0, 5, "cpu"))
    assert capsys.readouterr().err.startswith(f"charrnn: {told}")


class Terminal(io.TextIOWrapper):
    """A terminal that takes bytes in an encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")

    def isatty(self) -> bool:
        return True


def drawn(patch: pytest.MonkeyPatch, columns: int, encoding: str = "utf-8", scale: int = 1) -> str:
    """The last picture of a training on a terminal."""
    patch.setattr("locale.getencoding", lambda: "UTF-8")
    patch.setattr("sys.stderr", terminal := Terminal(encoding))
    patch.setenv("COLUMNS", str(columns))
    patch.setenv("TERM", "xterm")
    with training_display(quiet=False) as show:
        show(Began(Path("runs/a"), 0, "gru 2×192", 10, 20, 0, 5, "cpu"))
        for step in range(1, 30):
            losses, pace = scale * 5.6789 / step, 12_345.6 * scale
            show(Reported(step * scale, 30 * scale, 1.5 * scale, losses, 0.5, 1e-3, pace, 3.0, 4000.0 * scale))
            show(Validated(step * scale, losses, best=True))
        show(Sampled(29, "한글 … 👨\u200d👩\u200d👧 a"))
    terminal.flush()
    buffer = terminal.buffer
    assert isinstance(buffer, io.BytesIO)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", buffer.getvalue().decode(encoding)).replace("\r", "\n")
    return shown[shown.rindex("\n", 0, shown.rindex("%")) + 1 :]


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000])
@pytest.mark.parametrize("columns", [40, 45, 50, 55, 60, 65, 70, 80, 90, 100, 120, 150, 200])
def test_the_bar_and_the_losses_are_a_line_each(columns: int, scale: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shown = drawn(patch, columns, scale=scale)
    lines = [line.rstrip() for line in shown.split("\n") if line.strip()]
    bar, training, validation, writes, *_ = lines
    assert re.search(r"[━╸╺]{8}.* 97%  .*left$", bar)
    assert re.search(r"^training    [\d.]+ nats.*[▁-█]{8}", training)
    assert re.search(r"^validation  [\d.]+ nats.*[▁-█]{8}", validation)
    assert writes == "it writes, at step 29:"
    assert max(map(cell_len, lines)) <= columns
    if columns >= 100 and scale == 1:
        assert all(word in bar for word in ("step 29 of 30", "epoch 1.5", "12,346 characters/s", "1:06:40 left"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso-8859-15"])
def test_a_terminal_that_shows_no_utf8_is_drawn_with_ascii(encoding: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shown = drawn(patch, 80, encoding)
    assert re.search("-{8}.* 97%", shown)
    assert re.search(r"validation  .*[#*+=]+.*_", shown)
    assert r"\ud55c\uae00 \u2026 \U0001f468\u200d\U0001f469\u200d\U0001f467" in shown
    assert not re.search(r"\\u2[58]|\\u2501", shown)
    assert all(len(line) <= 80 for line in shown.split("\n"))


def test_a_locale_without_utf8_has_ascii_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal("utf-8"))
    monkeypatch.setattr("locale.getencoding", lambda: "ANSI_X3.4-1968")  # as LC_ALL=C has it
    assert not shows_all("stderr")
    assert own_words("gru 2×9 …", "stderr") == "gru 2x9 ..."
    assert as_shown("한…", "stderr") == "한…"  # which is text
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    assert shows_all("stderr")
    assert own_words("gru 2×9 …", "stderr") == "gru 2×9 …"


def test_a_table_on_a_terminal_without_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("latin-1", "ascii"):
        monkeypatch.setattr("sys.stdout", terminal := Terminal(encoding))
        print_table(("next", "bits"), [("한", "1.00"), ("…", "2.00")])
        score_table("한.txt", {"nats": 1.5})
        terminal.flush()
        assert isinstance(terminal.buffer, io.BytesIO)
        shown = terminal.buffer.getvalue().decode(encoding)
        assert r"\ud55c" in shown
        assert r"\ud55c.txt" in shown
        assert "+--" in shown
