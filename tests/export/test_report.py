"""The report of a run, as a person reads it: everything is there, and nothing in it does anything."""

import html
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Checkpoint, from_file, model_sha256
from charrnn.checkpoint.records import samples_of
from charrnn.checkpoint.store import Run
from charrnn.errors import DataError
from charrnn.evaluation.novelty import SIZES, written_novelty
from charrnn.export.report import report
from charrnn.text.training_text import own_text
from charrnn.training.loop import train
from tests.conftest import tiny_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
COMMAND = "charrnn train --config run.toml"


@pytest.fixture
def trained(small_text: Path) -> tuple[Checkpoint, Path]:
    """A run's best checkpoint and its path."""
    for _ in train(tiny_run(small_text)):
        pass
    return opened(Path("checkpoints/small-gru"))


def opened(run: Path) -> tuple[Checkpoint, Path]:
    path = Run(run).pointed("best") or Run(run).pointed("latest")
    assert path
    return from_file(path, training=True), path


def page(checkpoint: Checkpoint, path: Path) -> str:
    return "".join(report(checkpoint, path, COMMAND, "cpu"))


def read(source: str) -> str:
    """What a person reads of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub("<(style|title)>.*?</\\1>", "", source, flags=re.DOTALL)))


def sections(source: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    parts = re.split("<h2>(.*?)</h2>", source)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_a_report_tells_all_of_a_run(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    source = page(checkpoint, path)
    assert "<title>small-gru: report of a training</title>" in source
    assert f"gru 2×8 that learned {checkpoint.config.text.corpus[0]}, character by character" in read(source)
    assert f"{checkpoint.counters.best_loss:.4f} nats" in read(source)
    found = sections(source)
    assert list(found) == [
        "How it went",
        "What it wrote while it learned",
        "The held-out text, shaded by surprise",
        "How much it copies",
        "How to repeat it",
    ]
    assert found["How it went"].count("<polyline") == 2
    samples = samples_of(path.parent)
    assert [step for step, _ in samples] == [4, 8, 12]
    assert all(f"Step {step}" in read(found["What it wrote while it learned"]) for step, _ in samples)
    assert all(text in read(found["What it wrote while it learned"]) for _, text in samples)
    repeat = read(found["How to repeat it"])
    facts = (
        COMMAND,
        str(checkpoint.config.record.corpus_sha256),
        model_sha256(checkpoint),
        checkpoint.versions["torch"],
    )
    assert all(each in repeat for each in facts)
    assert (path.parent / "run.toml").read_text() in repeat


def test_it_shades_the_held_out_text(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    shaded = sections(page(checkpoint, path))["The held-out text, shaded by surprise"]
    corpus = own_text(checkpoint.config, checkpoint.vocabulary, checkpoint.folder, "")
    assert corpus.validation
    text = checkpoint.vocabulary.decode(corpus.validation.ids[1:-1])
    (picture,) = re.findall("<pre[^>]*>(.*)</pre>", shaded, re.DOTALL)
    assert read(picture) == text.replace("\n", "↵\n") + "∎\n"
    assert re.search(rf"\d\.\d{{4}} bits per character over the first {len(text) + 1} characters", read(shaded))


def test_it_compares_what_was_written_with_what_was_learned(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    rows = re.findall("<tr>(.*?)</tr>", sections(page(checkpoint, path))["How much it copies"])
    assert [read(row) for row in rows[1:]] != []
    assert [int(re.findall("<td>(.*?)</td>", row)[0]) for row in rows[1:]] == list(SIZES)


def test_a_copy_is_a_copy_and_noise_is_none(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, _ = trained
    copied = written_novelty(checkpoint, ["the cat sat on the mat\n"], "")
    assert [each.share for each, _ in copied] == [1.0] * 4 + [None] * 3  # 23 characters
    noise = written_novelty(checkpoint, ["", "zqzqzqzqzqzqzqzqzqzq"], "")
    assert [each.share for each, _ in noise][:3] == [0.0, 0.0, 0.0]
    assert all(held_out is not None for _, held_out in noise)
    Path(checkpoint.config.text.corpus[0]).unlink()
    with pytest.raises(DataError, match="name another"):
        written_novelty(checkpoint, ["a"], "name another")


@pytest.mark.parametrize(
    "changes",
    [{"documents": "line", "batch_size": 4}, {"unit": "byte"}, {"validation": 0.0}, {"cell": "min-gru", "layers": 1}],
)
def test_runs_of_every_kind_have_reports(small_text: Path, changes: dict[str, object]) -> None:
    for _ in train(tiny_run(small_text, steps=4, **changes), "r"):
        pass
    found = sections(page(*opened(Path("checkpoints/r"))))
    assert ("Not shown" in found["The held-out text, shaded by surprise"]) == ("validation" in changes)
    copies = re.findall("<td>(.*?)</td>", found["How much it copies"])
    assert (copies[2::3] == ["-"] * len(SIZES)) == ("validation" in changes)
    assert "Not shown" not in found["How much it copies"]


def test_what_is_missing_is_said(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    for name in ("metrics.jsonl", "samples.jsonl", "run.toml"):
        (path.parent / name).unlink()
    Path(checkpoint.config.text.corpus[0]).unlink()
    found = sections(page(checkpoint, path))
    assert "no record of its losses" in found["How it went"]
    assert "no samples" in found["What it wrote while it learned"]
    assert "cannot be read again: cannot read the text" in found["How much it copies"]
    assert "Not shown" in found["The held-out text, shaded by surprise"]
    assert checkpoint.config.to_toml() in read(found["How to repeat it"])
    assert f"<h1>{path.stem}</h1>" in page(checkpoint, path)  # it may lie anywhere


def hostile(checkpoint: Checkpoint) -> Iterator[Checkpoint]:
    """The checkpoint with names that others may have chosen."""
    for name in ("</pre><script>alert(1)</script>", "-", "a\x1b[31m\u202eb"):
        yield replace(checkpoint, config=checkpoint.config.override({"corpus": (name,)}))


def test_nothing_in_it_does_anything(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    Run(path.parent).append_sample({"step": 12, "text": "<script>alert(2)</script><img src=http://x>\x1b[31m\u202e"})
    folder = path.parent.rename("checkpoints/-")
    for each in hostile(checkpoint):
        source = page(each, folder / path.name)
        assert "<title>-: report of a training</title>" in source
        assert not re.search(r"<script|<img|\x1b|\u202e|<[^>]* (src|href|style|on\w+)=", source)
        assert "default-src 'none'" in source
    assert "that learned standard input" in page(list(hostile(checkpoint))[1], folder / path.name)


def test_many_samples_are_shown_in_twelve_stages(trained: tuple[Checkpoint, Path]) -> None:
    checkpoint, path = trained
    for step in range(20, 1020, 10):
        Run(path.parent).append_sample({"step": step, "text": "text"})
    steps = re.findall("<h3>Step ([0-9,]*)</h3>", page(checkpoint, path))
    assert len(steps) == 12
    assert (steps[0], steps[-1]) == ("4", "1,010")


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium, which is not installed")
def test_a_browser_shows_all_of_it(trained: tuple[Checkpoint, Path], folder: Path) -> None:
    source = page(*trained)
    (folder / "report.html").write_text(source, encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'browser'}", "--dump-dom"]
    address = (folder / "report.html").as_uri()
    seen = subprocess.run([str(BROWSER), *options, address], capture_output=True, timeout=120).stdout.decode()
    assert seen.count("<polyline") == 2
    assert len(re.findall("<h3>Step ", seen)) == 3
    assert read(seen.partition("<body>")[2]).split() == read(source.partition("<body>")[2]).split()
