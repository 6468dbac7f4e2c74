"""The editor: its keys by Textual's pilot, and the whole of it on pseudo-terminals, with signals and in pipes."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.checkpoint.store import load_model
from charrnn.cli.render.widths import columns
from charrnn.cli.render.writing.app import WriteApp
from charrnn.cli.render.writing.dialogs import KEYS, AskName, AskWhich, Keys
from charrnn.cli.render.writing.panel import Fields
from charrnn.export.shading import SURPRISE
from charrnn.guide.pages import page
from charrnn.settings.sampling import SamplingConfig
from charrnn.writing.continuation import Extent
from charrnn.writing.desk import Desk
from charrnn.writing.manuscript import Writer
from charrnn.writing.voice import Voice
from charrnn.writing.worker import Reply
from tests.cli.editor import on_editor
from tests.conftest import Command
from tests.doubles import unigram

ROOT = Path(__file__).parents[2]
DEMO = load_model(str(ROOT / "checkpoints" / "demo"))[1]
CONFIG = SamplingConfig(seed=3)

Steps = Callable[[Pilot[None], WriteApp], Awaitable[None]]


def editor(
    steps: Steps, path: str | None = "text.txt", *, models: tuple[Checkpoint, ...] = (DEMO,), text: str = "",
    extent: Extent = "word", size: tuple[int, int] = (80, 24), is_piped: bool = False,
) -> WriteApp:  # fmt: skip
    """The editor in the current folder, after some steps."""
    desk = Desk(None if path is None else Path(path), text)
    voices = [Voice(f"voice{number}", model, CONFIG) for number, model in enumerate(models, 1)]
    app = WriteApp(desk, voices, CONFIG, extent, is_piped=is_piped)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot, app)
            await steps(pilot, app)

    asyncio.run(run())
    if app.failure is not None:
        raise app.failure
    return app


async def settled(pilot: Pilot[None], app: WriteApp) -> None:
    """Wait until the newest question has been answered: its costs are those of the whole text."""
    for _ in range(600):
        await pilot.pause(0.01)
        costs = app.writing._costs
        if costs is not None and len(costs.bits) == len(app.desk.manuscript.text):
            await pilot.pause(0.03)
            return
    raise AssertionError("the voice does not answer")


async def press(pilot: Pilot[None], app: WriteApp, *keys: str) -> None:
    await pilot.press(*keys)
    await settled(pilot, app)


def told(app: WriteApp) -> str:
    """The two lines below the text."""
    return "  ".join(field.text for line in app.writing.query(Fields) for field in line._fields)


def screen(app: WriteApp) -> str:
    """The rows of the text as they are drawn."""
    return "\n".join(strip.text.rstrip() for strip in app.writing.editor._strips).rstrip()


def test_a_suggestion_is_taken_and_marked_and_undone_and_done_again(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"The ")
        suggested = app.writing.editor.suggestion
        assert suggested
        assert suggested in screen(app)
        assert app.desk.manuscript.text == "The "
        await press(pilot, app, "tab")
        assert app.desk.manuscript.text == f"The {suggested}"
        assert app.desk.manuscript.writers == bytes(4) + bytes([Writer.MODEL]) * len(suggested)
        await press(pilot, app, "ctrl+z")
        assert app.desk.manuscript.text == "The "
        await press(pilot, app, "ctrl+y")
        assert app.desk.manuscript.text == f"The {suggested}"
        assert f"{len(suggested) / (4 + len(suggested)):.0%} by the model" in told(app)

    editor(steps)


def test_one_character_is_taken_and_the_rest_stays(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"The ")
        suggested = app.writing.editor.suggestion
        await press(pilot, app, "right")
        assert app.desk.manuscript.text == f"The {suggested[0]}"
        assert app.writing.editor.suggestion == suggested[1:]
        await press(pilot, app, suggested[1])  # typing what is suggested leaves the rest, too
        assert app.writing.editor.suggestion == suggested[2:]
        assert app.desk.manuscript.writers[-2:] == bytes([Writer.MODEL, Writer.PERSON])

    editor(steps, extent="line")


def test_a_suggestion_is_refused_and_drawn_anew(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"The ")
        first = app.writing.editor.suggestion
        await press(pilot, app, "ctrl+n")
        second = app.writing.editor.suggestion
        assert "draw 1" in told(app)
        await press(pilot, app, "ctrl+p")
        assert app.writing.editor.suggestion == first != second
        await press(pilot, app, "escape")
        assert app.writing.editor.suggestion == ""
        assert screen(app) == "The"
        await press(pilot, app, "tab")  # nothing is suggested, so that something will be
        assert app.desk.manuscript.text == "The "
        assert app.writing.editor.suggestion == first

    editor(steps, extent="sentence")


def test_a_suggestion_is_widened_and_narrowed(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"The ")
        word = app.writing.editor.suggestion
        await press(pilot, app, "ctrl+l")
        line = app.writing.editor.suggestion
        await press(pilot, app, "ctrl+l")
        sentence = app.writing.editor.suggestion
        assert line.startswith(word)
        assert sentence.startswith(word)
        assert len({word, line, sentence}) == 3
        assert "sentence" in told(app)
        await press(pilot, app, "ctrl+k", "ctrl+k", "ctrl+k")
        assert app.writing.editor.suggestion == word

    editor(steps)


def test_settings_change_by_key_and_are_shown(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        assert "temperature 0.8  top-p 1  seed 3" in told(app)
        await press(pilot, app, "ctrl+t", "ctrl+t", "ctrl+g", "ctrl+d", "ctrl+d", "ctrl+u")
        assert "temperature 0.9  top-p 0.95  seed 3" in told(app)
        await press(pilot, app, *["ctrl+g"] * 12, "ctrl+u", "ctrl+u")
        assert "temperature 0  top-p 1" in told(app)
        await press(pilot, app, "ctrl+e")
        assert "seed 3 " not in told(app)

    editor(steps)


def test_the_bars_are_the_distribution_and_each_is_a_key_away(folder: Path) -> None:
    model = unigram({"a": 0.5, " ": 0.25, "\n": 0.125, "b": 0.125})

    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        bars = app.writing.bars.render_line(0).text
        assert bars.startswith("F2 a    50% ███ ")
        assert [bars.index(each) for each in ("F3 ␣    25% █", "F4 ↵    12% ", "F5 b    12% ")]
        await press(pilot, app, "f2")
        await press(pilot, app, "f4")
        await press(pilot, app, "f2")
        assert app.desk.manuscript.text == "a\na"
        assert app.desk.manuscript.model_share == 1
        await press(pilot, app, "f9")
        assert app.desk.manuscript.text == "a\na"
        assert await pilot.click(app.writing.bars, offset=(22, 0))
        await settled(pilot, app)
        assert app.desk.manuscript.text == "a\na "

    editor(steps, models=(model,))


def test_a_stale_answer_is_never_shown(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        writing = app.writing
        await press(pilot, app, *"The ")
        old = Reply(writing._number, writing._likeliest)
        before = writing.bars._candidates
        await press(pilot, app, *"mill")
        now = writing.bars._candidates
        assert now != before
        writing._answered(old)  # one that was on the way
        assert writing.bars._candidates == now
        number = writing._number
        writing.editor.write("x")  # from here on no answer about the text before is shown
        writing._answered(Reply(number, old.answer))
        assert writing.bars._candidates == now

    editor(steps)


def test_who_wrote_what_and_surprises_are_shown_and_hidden(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"xq the ", "tab", "escape")
        plain = [segment.style for segment in app.writing.editor._strips[0]]
        await press(pilot, app, "ctrl+r")
        palette = app.writing._palette
        costs = app.writing._costs
        assert costs is not None
        shaded = list(app.writing.editor._strips[0])
        levels = [SURPRISE.level(bits) for bits in costs.bits]
        assert shaded[0].style == palette.levels[levels[0]]
        assert levels[0] > 3
        assert "bits  1  4  7  10+" in told(app)
        await press(pilot, app, "ctrl+r", "ctrl+w")
        marked = next(segment for segment in app.writing.editor._strips[0] if segment.style == palette.model)
        assert marked.text == app.desk.manuscript.text[7:]
        assert "by the model" in told(app)
        await press(pilot, app, "ctrl+w")
        assert [segment.style for segment in app.writing.editor._strips[0]] == plain

    editor(steps)


def test_unknown_characters_are_written_and_told(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"a한")
        await press(pilot, app, "é")
        assert app.desk.manuscript.text == "a한é"
        assert "unknown: 한 é" in told(app)
        await press(pilot, app, "backspace", "backspace")
        assert "unknown" not in told(app)

    editor(steps)


def test_voices_are_switched(folder: Path) -> None:
    models = (unigram({"a": 1.0}), unigram({"b": 1.0}))

    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        assert "model voice1 (1 of 2)" in told(app)
        assert app.writing.editor.suggestion == "a" * 40
        await press(pilot, app, "ctrl+o")
        assert "model voice2 (2 of 2)" in told(app)
        assert app.writing.editor.suggestion == "b" * 40
        await press(pilot, app, "tab", "ctrl+o")
        assert app.desk.manuscript.text == "b" * 40
        assert "unknown: b" in told(app)

    editor(steps, models=models)


def test_bits_per_character_of_the_selection(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"aab")
        assert "1.33 bits/character  " in told(app)
        await press(pilot, app, "shift+left")
        assert "2.00 bits/character, selected" in told(app)
        assert app.writing.editor.suggestion == ""

    editor(steps, models=(unigram({"a": 0.5, "b": 0.25, " ": 0.25}),))


def test_the_cursor_moves_by_what_is_seen(folder: Path) -> None:
    text = "x\ne\u0301g\n"

    async def check(pilot: Pilot[None], app: WriteApp) -> None:
        manuscript = app.desk.manuscript
        await press(pilot, app, "ctrl+home", "down")
        assert manuscript.cursor == 2
        await press(pilot, app, "right")
        assert manuscript.cursor == 4  # the letter with its accent is one
        await press(pilot, app, "backspace")
        assert manuscript.text == "x\ng\n"
        await press(pilot, app, "ctrl+end", "up", "end")
        assert manuscript.cursor == 3
        await press(pilot, app, "ctrl+a", "ctrl+x")
        assert manuscript.text == ""
        await press(pilot, app, "ctrl+v", "ctrl+v")
        assert manuscript.text == "x\ng\nx\ng\n"
        await press(pilot, app, "pageup", "escape", "ctrl+right", "shift+down")
        assert manuscript.selection == (1, 3)

    editor(check, text=text, path=None)


def test_the_mouse_moves_the_cursor_selects_and_takes(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        manuscript, widget = app.desk.manuscript, app.writing.editor
        await pilot.mouse_down(widget, offset=(2, 0))
        await pilot.mouse_up(widget, offset=(2, 0))
        assert manuscript.cursor == 1  # a wide character has two columns
        await pilot.mouse_down(widget, offset=(0, 1))
        await pilot.hover(widget, offset=(3, 1))
        await pilot.mouse_up(widget, offset=(3, 1))
        assert manuscript.text[manuscript.cursor - 1] in "ordw"
        await press(pilot, app, "ctrl+end")
        suggested = widget.suggestion
        assert suggested
        await pilot.mouse_down(widget, offset=(6, 1))
        await pilot.mouse_up(widget, offset=(6, 1))
        await settled(pilot, app)
        assert manuscript.text == f"漢字\nwords {suggested}"

    editor(steps, path=None, text="漢字\nwords ")


def test_a_text_is_saved_and_left(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"words")
        assert "text.txt *" in told(app)
        await press(pilot, app, "ctrl+s")
        assert Path("text.txt").read_text() == "words"
        assert "saved in text.txt" in told(app)
        assert "text.txt *" not in told(app)
        await pilot.press("ctrl+q")

    assert editor(steps).return_code == 0
    assert [path.name for path in Path().iterdir()] == ["text.txt"]


@pytest.mark.parametrize(("answer", "is_left"), [("d", False), ("s", True)])
def test_leaving_asks_if_the_text_is_not_saved(folder: Path, answer: str, is_left: bool) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"words")
        await pilot.press("ctrl+q")
        assert isinstance(app.screen, AskWhich)
        await pilot.press("escape")
        assert app.screen is app.writing
        await pilot.press("ctrl+q")
        await pilot.press(answer)

    assert editor(steps).return_code == 0
    assert Path("text.txt").exists() == is_left
    assert not list(Path().glob(".*"))


def test_a_file_that_has_changed_meanwhile_is_not_overwritten_unasked(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"mine")
        Path("text.txt").write_text("of another")
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, AskWhich)
        await pilot.press("escape")
        assert Path("text.txt").read_text() == "of another"
        await pilot.press("ctrl+s", "n")
        assert isinstance(app.screen, AskName)
        await pilot.press(*"other.txt", "enter")
        await pilot.pause()
        assert Path("other.txt").read_text() == "mine"
        await press(pilot, app, *"!")
        await pilot.press("ctrl+s")
        assert Path("other.txt").read_text() == "mine!"

    editor(steps)
    assert Path("text.txt").read_text() == "of another"


def test_a_text_without_a_name_asks_for_one_and_overwrites_nothing_unasked(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"words")
        await pilot.press("ctrl+s", *"taken", "enter")
        await pilot.pause()
        assert isinstance(app.screen, AskWhich)
        await pilot.press("escape")
        assert Path("taken").read_text() == "mine"
        await pilot.press("ctrl+s", *"taken", "enter")
        await pilot.pause()
        await pilot.press("o")
        await pilot.pause()
        assert Path("taken").read_text() == "words"

    Path("taken").write_text("mine")
    editor(steps, path=None)


def test_a_text_that_cannot_be_saved_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"words")
        Path("text.txt").mkdir()
        await pilot.press("ctrl+s")
        assert "is no file" in told(app)
        assert not app.desk.is_saved
        await pilot.press("ctrl+c")

    assert editor(steps).return_code == 130
    assert Path(".text.txt.charrnn-recovery").read_text() == "words"


@pytest.mark.parametrize(
    ("answer", "text", "is_kept"), [("escape", "", True), ("r", "lost words", True), ("d", "", False)]
)
def test_what_an_earlier_session_left_is_offered(folder: Path, answer: str, text: str, is_kept: bool) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        assert isinstance(app.screen, AskWhich)
        await pilot.press(answer)
        await settled(pilot, app)
        assert app.desk.manuscript.text == text

    Path(".text.txt.charrnn-recovery").write_text("lost words")
    editor(steps)
    assert [path.read_text() for path in Path().glob(".text*")] == (["lost words"] if is_kept else [])


def test_a_text_that_is_again_as_it_was_saved_leaves_nothing_behind(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, *"words")
        assert app.desk.keep()
        await press(pilot, app, "ctrl+z")
        await pilot.press("ctrl+q")

    assert editor(steps).return_code == 0
    assert not list(Path().iterdir())


def test_the_guide_has_the_keys() -> None:
    rows = page("writing").splitlines()
    assert [row for row in rows if row.startswith("| ")][1:] == [f"| {key} | {told} |" for key, told in KEYS.items()]


def test_the_help_has_the_keys(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await pilot.press("f1")
        assert isinstance(app.screen, Keys)
        await pilot.press("down", "pagedown", "x")
        assert app.screen is app.writing
        assert app.desk.manuscript.text == ""
        app.writing._show_keys()
        await pilot.pause()
        for key in "xyz":  # the first goes back, and the others come so fast that the page is still there
            app.post_message(events.Key(key, key))
        await press(pilot, app)
        assert app.desk.manuscript.text == "yz"

    editor(steps)
    editor(steps, size=(40, 10))


def assert_full(app: WriteApp, width: int) -> None:
    """Every row of every part has just the columns of the screen."""
    for widget in (app.writing.bars, *app.writing.query(Fields), app.writing.editor):
        for y in range(widget.size.height):
            assert columns("".join(segment.text for segment in widget.render_line(y))) == width


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 30), (200, 50)])
def test_it_fits_every_width(folder: Path, size: tuple[int, int]) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, "ctrl+r", "ctrl+w")
        lines = [strip.text for strip in app.writing.editor._strips]
        assert "".join(line.rstrip("↵ ") for line in lines).replace(" ", "").startswith("한국어로쓴글")
        assert_full(app, size[0])
        await press(pilot, app, "ctrl+end", *"ab " * (size[0] // 3 + 2), *"    ")  # white space that hangs
        assert_full(app, size[0])
        await press(pilot, app, "ctrl+r", "escape")
        assert_full(app, size[0])
        assert f"temperature {CONFIG.temperature}" in app.writing.query(Fields)[0].render_line(0).text

    editor(steps, path=None, text="한국어로 쓴 글 👩\u200d👩\u200d👧 שלום e\u0301\t|\n" * 6, size=size)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "xterm-16color"}, {"COLORTERM": "truecolor"}])
def test_shades_are_told_apart_with_any_number_of_colours(
    folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        palette = app.writing._palette
        if "NO_COLOR" in environment:
            assert all(style.color is None and style.bgcolor is None for style in palette.levels)
            assert palette.suggestion.dim
        assert len({str(style) for style in palette.levels}) >= 4
        assert len({str(each) for each in (palette.plain, palette.suggestion, palette.model, palette.cursor)}) == 4

    editor(steps)


def test_the_end_of_a_pipe_needs_no_question(folder: Path) -> None:
    async def steps(pilot: Pilot[None], app: WriteApp) -> None:
        await press(pilot, app, "tab")
        await pilot.press("ctrl+s")
        assert "goes to standard output" in told(app)
        await pilot.press("ctrl+q")

    assert editor(steps, path=None, text="Once ", is_piped=True).return_code == 0


# The whole command


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "message"),
    [
        (["a.txt"], {"TERM": "dumb"}, 2, "TERM=dumb says that this terminal cannot"),
        (["a.txt"], {}, 2, "there is none here; charrnn sample writes without one"),
        (["a.txt", "--temperature", "-1"], {}, 2, "--temperature must be at least 0"),
    ],
)
def test_without_a_terminal_it_says_why_not(
    folder: Path, arguments: list[str], environment: dict[str, str], code: int, message: str
) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "write", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) <= 3


def test_without_the_extra_it_says_how_to_install_it(folder: Path, charrnn: Command) -> None:
    import importlib.util

    real = importlib.util.find_spec
    assert real("textual") is not None  # in the tests it is there
    program = (
        "import importlib.util, sys\n"
        "importlib.util.find_spec = lambda name, *_: None\n"
        "from charrnn.cli.commands import write\n"
        "write.check_terminal = lambda: None\n"
        "from charrnn.cli.app import main\nmain()"
    )
    from tests.prepared import prepared

    done = prepared().run(["write", "a.txt"], folder, program=program)
    assert done.returncode == 2
    assert done.stderr == (
        b"charrnn: the editor needs Textual, which is not installed: pip install 'charrnn-text[write]'\n"
    )


pty_only = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")


@pty_only
@pytest.mark.slow
def test_a_session_on_a_terminal(folder: Path) -> None:
    with on_editor(["text.txt", "--seed", "3"], folder) as session:
        session.until("F1 keys")
        session.type("Words ")
        session.until("bits/character")  # which comes after the suggestion
        session.type("\t")
        session.until("by the model")
        session.type("\x13")
        session.until("saved in text.txt")
        session.type("\x11")
        assert session.ended() == 0
    text = Path("text.txt").read_text()
    assert text.startswith("Words ")
    assert len(text) > len("Words ")
    ended = session.seen.rpartition(b"\x1b[?1049l")[2]  # from here on the terminal is as it was
    assert b"\x1b[?25h" in ended


@pty_only
@pytest.mark.slow
def test_keys_that_come_at_once_are_worked_off_in_order(folder: Path) -> None:
    with on_editor(["text.txt"], folder) as session:
        session.until("F1 keys")
        session.type("One two\x7f\x7f\x7f\x1a\x13 three\x13\x1b[200~, pasted\r\nlines\x1b[201~\x13 gone\x11")
        session.until("leave without it")
        session.type("d")
        assert session.ended() == 0
    assert Path("text.txt").read_text() == "One two three, pasted\nlines"


@pty_only
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (None, 129)]
)
def test_signals_and_a_closed_terminal_keep_the_text(folder: Path, number: int | None, code: int) -> None:
    with on_editor(["text.txt"], folder) as session:
        session.until("F1 keys")
        session.type("Words that must not be lost")
        session.until("27 characters")
        if number is None:
            session.hang_up()
        else:
            session.kill(number)
        assert session.ended() == code
    assert Path(".text.txt.charrnn-recovery").read_text() == "Words that must not be lost"
    assert not Path("text.txt").exists()
    if number is not None:
        assert b"the text is kept in .text.txt.charrnn-recovery; charrnn write text.txt offers it again" in session.seen


@pty_only
@pytest.mark.slow
def test_a_session_that_is_killed_is_recovered(folder: Path) -> None:
    with on_editor(["text.txt"], folder) as session:
        session.until("F1 keys")
        session.type("Words that must not be lost")
        session.wait_for(lambda: Path(".text.txt.charrnn-recovery").exists())
        session.kill(signal.SIGKILL)
        session.ended()
    with on_editor(["text.txt"], folder) as session:
        session.until("recover it")
        session.type("r")
        session.until("recovered")
        session.type("\x13")
        session.until("saved in text.txt")
        session.type("\x11")
        assert session.ended() == 0
    assert Path("text.txt").read_text() == "Words that must not be lost"
    assert [path.name for path in Path().iterdir()] == ["text.txt"]


@pty_only
@pytest.mark.slow
def test_it_stands_in_a_pipeline(folder: Path) -> None:
    Path("in.txt").write_text("Once there was")
    with on_editor(["-", "--seed", "3"], folder, stdin="in.txt", stdout="out.txt") as session:
        session.until("F1 keys")
        session.type(" a man\x1b[3~")
        session.until("20 characters")
        assert Path("out.txt").read_text() == ""
        session.type("\x11")
        assert session.ended() == 0
    assert Path("out.txt").read_text() == "Once there was a man"
    assert not list(Path().glob(".*"))


@pty_only
@pytest.mark.slow
def test_a_result_that_cannot_be_written_is_kept(folder: Path) -> None:
    Path("in.txt").write_text("Once there was")
    with on_editor(["-"], folder, stdin="in.txt", stdout="/dev/full") as session:
        session.until("F1 keys")
        session.type("\x11")
        assert session.ended() == 7
    assert Path(".untitled.charrnn-recovery").read_text() == "Once there was"


@pty_only
@pytest.mark.slow
def test_models_and_texts_that_cannot_be_used_are_told_before_the_screen(folder: Path) -> None:
    Path("latin.txt").write_bytes(b"caf\xe9")
    Path("model").write_bytes(to_bytes(DEMO)[:-9])
    for arguments, code in ((["latin.txt"], 3), (["a.txt", "--model", "model"], 4), (["none/a.txt"], 2)):
        with on_editor(arguments, folder) as session:
            assert session.ended() == code
        assert b"\x1b[?1049h" not in session.seen
