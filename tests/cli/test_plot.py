"""`charrnn plot`: curves of runs in the terminal, in a pipe, as points and as pictures."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.store import Run
from charrnn.cli.process.terminal import shows_all
from charrnn.cli.render.curves import drawn
from charrnn.cli.render.widths import columns
from tests.checkpoint.test_summary import saved
from tests.cli.terminal import on_terminal
from tests.conftest import Command, InProcess

TITLE = "loss in nats per character over steps"


def trained(name: str, *, lower: float = 0.0) -> Run:
    """A run with a loss that falls from 4 to 2, and a validation loss above it."""
    run = saved(name)
    for step in range(1, 41):
        run.append_metrics({"split": "training", "step": step, "loss": 2 + 2 * 0.9**step - lower})
        if step % 10 == 0:
            run.append_metrics({"split": "validation", "step": step, "loss": 2.25 + 2 * 0.9**step - lower})
    return run


def test_a_pipe_gets_a_picture_with_a_mark_for_each_curve(
    folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    trained("r")
    picture, told = in_process("plot")
    assert told == "charrnn: checkpoints/r (the newest run)\n"
    lines = picture.splitlines()
    assert lines[0].strip() == TITLE
    assert lines[-1].split() == ["oo", "training", "xx", "validation"]
    rows = [line.strip("│┌┐└┘─ 0123456789.\n") for line in lines[1:-2]]
    assert rows[1].startswith("oo")  # what is above 95 % of all losses is at the upper edge
    assert set("".join(rows)) == set("ox ")
    assert picture == in_process("plot", "r", "-q")[0] == in_process("plot", "checkpoints/r", "-q")[0]
    assert picture == in_process("plot", "checkpoints/r/step-00000070.safetensors")[0]


@pytest.mark.skipif(os.name != "posix" or not shows_all("stdout"), reason="pseudo-terminals of UTF-8")
def test_a_terminal_gets_colours(folder: Path) -> None:
    trained("r")
    code, seen, told = on_terminal(["plot", "r"], folder, streams=["stdout"])
    assert (code, told) == (0, b"")
    assert "\x1b[36m▀" in seen.decode()
    assert re.sub(r"\x1b\[\d*m", "", seen.decode()).splitlines()[-1].split() == ["██", "training", "██", "validation"]


@pytest.mark.parametrize(
    "surroundings",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1", "FORCE_COLOR": "1"}, {"LC_ALL": "C"}],
)
def test_where_the_encoding_is_not_utf8_all_is_ascii(
    folder: Path, new_charrnn: Command, surroundings: dict[str, str]
) -> None:
    trained("r")
    done = new_charrnn("plot", "r", **surroundings)
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert b"+-----" in done.stdout
    assert (b"\x1b" in done.stdout) == ("FORCE_COLOR" in surroundings)


def test_no_color_is_respected(folder: Path, charrnn: Command) -> None:
    trained("r")
    assert b"\x1b" in charrnn("plot", "r", FORCE_COLOR="1").stdout
    assert b"\x1b" not in charrnn("plot", "r", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_several_runs_are_named(folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    trained("one")
    trained("two", lower=0.5)
    named = "oo one training   xx one validation   ++ two training   ** two validation"
    assert in_process("plot", "one", "two")[0].splitlines()[-1].strip() == named
    Path("other").mkdir()
    Path("checkpoints/two").rename("other/one")
    assert "oo checkpoints/one training" in in_process("plot", "one", "other/one")[0]


@given(
    st.lists(st.lists(st.floats(0, 1e4), min_size=1, max_size=300), min_size=1, max_size=9),
    st.text(max_size=150),
    st.integers(60, 120),
    st.booleans(),
    st.booleans(),
)
def test_any_curves_fit_into_any_width(
    losses: list[list[float]], name: str, width: int, has_colours: bool, is_ascii: bool
) -> None:
    curves = {
        f"{number} {name}": [(float(k), loss) for k, loss in enumerate(each)] for number, each in enumerate(losses)
    }
    for line in drawn(TITLE, curves, width, 12, has_colours=has_colours, is_ascii=is_ascii):
        plain = re.sub(r"\x1b\[\d*m", "", line.removesuffix("\n"))
        assert columns(plain) <= width
        assert not re.search("[\x00-\x1f\x7f-\x9f]", plain)
        assert plain.isascii() or not is_ascii


def test_json_gives_the_points(folder: Path, in_process: InProcess) -> None:
    trained("one")
    run = saved("two")
    run.append_metrics({"split": "training", "step": 3, "loss": 1.5})
    one, two = map(json.loads, in_process("plot", "one", "two", "--json")[0].splitlines())
    assert one["run"] == "checkpoints/one"
    assert [step for step, _ in one["training"]] == list(range(1, 41))
    assert one["validation"][0] == [10.0, pytest.approx(2.25 + 2 * 0.9**10)]
    assert two == {"run": "checkpoints/two", "training": [[3.0, 1.5]], "validation": []}


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG\r\n"), ("a.svg", b"<?xml")])
def test_a_picture_is_a_new_file(folder: Path, in_process: InProcess, name: str, begins: bytes) -> None:
    pytest.importorskip("matplotlib", reason="the plot extra")
    trained("a$x$_1")
    output, told = in_process("plot", "-o", name)
    assert (output, told.splitlines()[-1]) == ("", f"charrnn: the picture is {name}")
    picture = (folder / name).read_bytes()
    assert picture.startswith(begins)
    assert "is there already" in in_process("plot", "-o", name, code=2)[1]
    assert (folder / name).read_bytes() == picture
    in_process("plot", "-o", name, "--force")


def test_a_picture_that_cannot_be_made_is_refused_first(
    folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "-", "a"):
        assert (
            f"--output writes .png or .svg, by the file's ending, not {name}"
            in in_process("plot", "none", "-o", name, code=2)[1]
        )
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'charrnn-text[plot]'" in in_process("plot", "none", "-o", "a.png", code=2)[1]


def test_what_has_no_curve_is_told(folder: Path, in_process: InProcess) -> None:
    assert "there is no run in ./checkpoints; name one" in in_process("plot", code=4)[1]
    assert "there is no run at nix" in in_process("plot", "nix", code=4)[1]
    saved("r")
    assert "checkpoints/r has no losses to draw" in in_process("plot", "r", code=3)[1]
