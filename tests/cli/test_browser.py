"""The page of shaded text in a real browser, where there is one."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from charrnn.export.shaded_page import page
from charrnn.export.shading import SURPRISE, Shaded, cells

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
TEXT = (
    "the\tcat 한국 \u1112\u1161\u11ab e\u0301 <b>&amp;\"'</pre><script>document.title = 'run'</script>\x1b[31m\n\nend"
)


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")
def test_a_browser_shows_the_text_and_runs_nothing(folder: Path) -> None:
    shown = list(cells([Shaded(c, k % 12, repr(c)) for k, c in enumerate(TEXT)], SURPRISE))
    source = "".join(page(shown, SURPRISE, "the title", lambda: "the sum"))
    (folder / "p.html").write_text(source, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}"]
    done = subprocess.run(
        [str(BROWSER), *options, "--dump-dom", (folder / "p.html").as_uri()], capture_output=True, timeout=120
    )
    seen = done.stdout.decode()
    (text,) = re.findall(r"<pre>(.*)</pre>", seen, re.DOTALL)
    assert html.unescape(re.sub(r"<[^>]*>", "", text)) == "".join(cell.text + "\n" * cell.ends_line for cell in shown)
    assert text.count("<span") == len(shown)
    assert "<title>the title</title>" in seen
    assert "<script" not in seen
    for line in (line for line in source.splitlines() if line.startswith("<meta")):
        assert line in seen
