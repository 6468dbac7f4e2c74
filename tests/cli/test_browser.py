"""The page of shaded text in a real browser, where there is one."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import charrnn
from charrnn.export.shaded_page import page
from charrnn.export.shading import SURPRISE, Shaded, cells

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
TEXT = (
    "the\tcat 한국 \u1112\u1161\u11ab e\u0301 <b>&amp;\"'</pre><script>document.title = 'run'</script>\x1b[31m\n\nend"
)


needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")


def dom(source: str, folder: Path) -> str:
    """The page as the browser has it after it has loaded and run what it would."""
    (folder / "p.html").write_text(source, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    done = subprocess.run(
        [str(BROWSER), *options, "--dump-dom", (folder / "p.html").as_uri()], capture_output=True, timeout=120
    )
    return done.stdout.decode()


def read(source: str) -> str:
    """What a person reads of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", source))


@needs_browser
def test_a_notebook_shows_what_a_model_a_score_and_a_training_are(small_text: Path) -> None:
    settings = {"cell": "gru", "layers": 1, "hidden_size": 8, "batch_size": 3, "sequence_length": 7}
    training = charrnn.train(small_text, steps=6, validate_every=2, report_every=1, device="cpu", **settings)
    model = training.run()
    score = model.score(TEXT)
    pieces = [each._repr_html_() for each in (model, score, training)]
    seen = dom(f"<!DOCTYPE html><title>a</title><body>{'<hr>'.join(pieces)}</body>", small_text.parent)
    of_model, of_score, of_training = seen.partition("<body>")[2].split("<hr>")
    assert str(model.path) in read(of_model)
    assert model.sample(length=200, seed=1)[:40] in read(of_model)
    assert of_model.count("<polyline") == of_training.count("<polyline") == 2  # training and validation
    (shaded,) = re.findall(r"<pre[^>]*>(.*)</pre>", of_score, re.DOTALL)
    assert read(shaded).startswith("the")
    assert f"{score.bits_per_character:.4f} bits per character" in read(of_score)
    assert "step 6" in read(of_training)
    assert "<title>a</title>" in seen  # no script has run
    assert "<script" not in seen


@needs_browser
def test_a_browser_shows_the_text_and_runs_nothing(folder: Path) -> None:
    shown = list(cells([Shaded(c, k % 12, repr(c)) for k, c in enumerate(TEXT)], SURPRISE))
    source = "".join(page(shown, SURPRISE, "the title", lambda: "the sum"))
    seen = dom(source, folder)
    (text,) = re.findall(r"<pre>(.*)</pre>", seen, re.DOTALL)
    assert read(text) == "".join(cell.text + "\n" * cell.ends_line for cell in shown)
    assert text.count("<span") == len(shown)
    assert "<title>the title</title>" in seen
    assert "<script" not in seen
    for line in (line for line in source.splitlines() if line.startswith("<meta")):
        assert line in seen
