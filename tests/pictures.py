"""Make the pictures of the README and the guide anew: python -m tests.pictures [training] [page] [model] [writing]

`training` is what the display of `charrnn train corpora/tales.txt --epochs 8` shows, as rich exports it; `page` is
the page that `charrnn eval --html` writes, and `model` that of `charrnn page`, as Chromium shows them; `writing` is the
editor of `charrnn write`, as Textual exports it. Run it from the repository's root.
"""

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

import charrnn
from charrnn.cli.render.display import _LiveDisplay
from charrnn.events import Event, Sampled
from tests.browser import Browser

IMAGES = Path("charrnn/guide/images")
SHOWN_AT = 0.7  # of the training's steps
WIDTH = 96


def training() -> None:
    """Train a run in ./checkpoints and draw what was seen most of the way through."""
    events = list(charrnn.train("corpora/tales.txt", epochs=8, name="tales8"))
    steps = events[-1].step  # type: ignore[union-attr]
    seen = max(
        place for place, event in enumerate(events) if isinstance(event, Sampled) and event.step <= SHOWN_AT * steps
    )
    (IMAGES / "training.svg").write_text(picture(events[: seen + 1]), "utf-8")


def picture(events: Sequence[Event]) -> str:
    """The display after some events, as SVG without fonts from elsewhere."""
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
    console.print("[green]$[/] charrnn train corpora/tales.txt --epochs 8 --name tales8", highlight=False)
    display = _LiveDisplay(console)
    for event in events:
        display.show(event)
    console.print(display.render())
    start, _, rest = CONSOLE_SVG_FORMAT.partition("@font-face")
    layout = start + rest[rest.rindex("@font-face") :].partition("}\n")[2]
    return console.export_svg(title="charrnn train", code_format=layout)


def page() -> None:
    """Shade some lines of the tales with the demo, and photograph the page."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path("corpora/tales.txt").read_text("utf-8").splitlines()[4191:4201]
        Path(folder, "held-out.txt").write_text("\n".join(lines), "utf-8")
        model, target = Path("checkpoints/demo").resolve(), (IMAGES / "page.png").resolve()
        command = [sys.executable, "-m", "charrnn", "eval", "held-out.txt", "--model", str(model), "-q"]
        subprocess.run([*command, "--html", "page.html"], check=True, cwd=folder)
        with Browser(Path(folder, "browser")) as browser, browser.open(Path(folder, "page.html")) as tab:
            tab.look(760, 430)
            tab.picture(target)


def model() -> None:
    """Let the demo write on its page, and photograph the page."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "charrnn", "page", "checkpoints/demo", "-q", "--title", "Tales of a river"]
        subprocess.run([*command, "-o", f"{folder}/tales.html"], check=True)
        with Browser(Path(folder, "browser")) as browser, browser.open(Path(folder, "tales.html")) as tab:
            tab.click("#text")
            tab.type("The river ")
            tab.value("byId('seed').value = 1, byId('length').value = 420, byId('pace').value = 0")
            tab.click("#write")
            tab.wait("byId('write').textContent == 'Write'")
            tab.value("byId('pace').value = 60, byId('progress').textContent = '420 characters, seed 1'")
            tab.value("document.activeElement.blur(), scrollTo(0, 0)")
            tab.look(1080, 650)
            tab.picture(IMAGES / "model-page.png")


def writing() -> None:
    """Write some lines with the demo, its suggestions among them, and draw the editor."""
    from charrnn.cli.render.writing.app import WriteApp
    from charrnn.settings.sampling import SamplingConfig
    from charrnn.writing.desk import Desk
    from charrnn.writing.voice import Voice

    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}
    config = SamplingConfig(seed=8)
    voice = Voice("demo", charrnn.load("checkpoints/demo").checkpoint, config)
    voice.learn()
    desk = Desk(Path("story.txt"), "The ferryman of Axholme never learned to swim, and said so.\n")
    app = WriteApp(desk, [voice], config, "word")

    async def written() -> None:
        async with app.run_test(size=(WIDTH, 16)) as pilot:
            for keys in (
                *"The river ",
                "tab",
                *" in the evening ",
                "tab",
                *", and",
                "ctrl+l",
                "ctrl+l",
                "ctrl+r",
                "ctrl+w",
            ):
                await pilot.press(keys)
                await pilot.pause(0.3)
            svg = app.export_screenshot(title="charrnn write story.txt")
        (IMAGES / "writing.svg").write_text(re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL), "utf-8")

    asyncio.run(written())
    desk.give_up()


if __name__ == "__main__":
    makers = {"training": training, "page": page, "model": model, "writing": writing}
    for name in sys.argv[1:] or makers:
        makers[name]()
