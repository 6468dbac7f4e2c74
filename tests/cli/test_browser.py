"""The page of shaded text in a real browser, where there is one."""

import html
import re
from pathlib import Path

import charrnn
from charrnn.export.shaded_page import page
from charrnn.export.shading import SURPRISE, Shaded, cells
from tests.browser import Browser, needs_browser

TEXT = (
    "the\tcat 한국 \u1112\u1161\u11ab e\u0301 <b>&amp;\"'</pre><script>document.title = 'run'</script>\x1b[31m\n\nend"
)


def dom(source: str, folder: Path, browser: Browser) -> str:
    """The page as the browser has it after it has loaded and run what it would."""
    (folder / "p.html").write_text(source, encoding="utf-8")
    with browser.open(folder / "p.html") as tab:
        assert tab.problems() == []
        return str(tab.value("document.documentElement.outerHTML"))


def read(source: str) -> str:
    """What a person reads of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", source))


@needs_browser
def test_a_notebook_shows_what_a_model_a_score_and_a_training_are(small_text: Path, browser: Browser) -> None:
    settings = {"cell": "gru", "layers": 1, "hidden_size": 8, "batch_size": 3, "sequence_length": 7}
    training = charrnn.train(small_text, steps=6, validate_every=2, report_every=1, device="cpu", **settings)
    model = training.run()
    score = model.score(TEXT)
    pieces = [each._repr_html_() for each in (model, score, training)]
    seen = dom(f"<!DOCTYPE html><title>a</title><body>{'<hr>'.join(pieces)}</body>", small_text.parent, browser)
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
def test_a_browser_shows_the_text_and_runs_nothing(folder: Path, browser: Browser) -> None:
    shown = list(cells([Shaded(c, k % 12, repr(c)) for k, c in enumerate(TEXT)], SURPRISE))
    source = "".join(page(shown, SURPRISE, "the title", lambda: "the sum"))
    seen = dom(source, folder, browser)
    (text,) = re.findall(r"<pre dir=\"auto\">(.*)</pre>", seen, re.DOTALL)
    assert read(text) == "".join(cell.text + "\n" * cell.ends_line for cell in shown)
    assert text.count("<span") == len(shown)
    assert "<title>the title</title>" in seen
    assert "<script" not in seen
    for line in (line for line in source.splitlines() if line.startswith("<meta")):
        assert line in seen
