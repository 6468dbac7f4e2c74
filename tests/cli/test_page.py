"""`charrnn page` in real processes: the file that it writes, and what it refuses."""

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charrnn.checkpoint.format import Checkpoint, Counters, to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.conftest import Command, random_checkpoint
from tests.export.engine import payload

MODEL = ModelConfig("gru", 1, 4, "embedding", 3, 0.0)


def made(checkpoint: Checkpoint, path: str = "a-model.safetensors") -> str:
    Path(path).write_bytes(to_bytes(checkpoint))
    return path


@pytest.fixture
def model(folder: Path) -> str:
    return made(random_checkpoint(MODEL, Vocabulary.of("abc", "character")))


def test_the_demo_is_a_page_of_at_most_1_1_megabytes(folder: Path, charrnn: Command) -> None:
    done = charrnn("page", "-o", "tales.html")
    assert done.returncode == 0
    assert done.stdout == b""
    page = (folder / "tales.html").read_text("utf-8")
    size = len(page.encode())
    assert size <= 1_100_000
    assert f"the page is tales.html, {size:,} bytes".encode() in done.stderr
    assert "<h1>demo</h1>" in page
    assert "1.8242 bits per character (loss 1.2645)" in page
    assert stat.S_IMODE((folder / "tales.html").stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_model_is_found_by_argument_option_and_variable(model: str, charrnn: Command) -> None:
    pages = [
        charrnn("page", model, "-o", "-", "-q"),
        charrnn("page", "--model", model, "-o", "-", "-q"),
        charrnn("page", "-o", "-", "-q", CHARRNN_MODEL=model),
    ]
    assert [page.returncode for page in pages] == [0, 0, 0]
    assert pages[0].stdout == pages[1].stdout == pages[2].stdout
    assert b"<title>a-model</title>" in pages[0].stdout
    assert pages[0].stderr == b""


def test_a_page_is_the_same_each_time_and_fetches_nothing(model: str, charrnn: Command) -> None:
    first, second = (charrnn("page", model, "-o", "-").stdout.decode() for _ in range(2))
    assert first == second
    assert "://" not in first
    assert not re.search(r"\b(src|href|srcset|action)=|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", first)
    (policy,) = re.findall('Content-Security-Policy" content="(.*)">', first)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_single_precision_is_exact_and_half_takes_half_the_room(model: str, charrnn: Command) -> None:
    half, single = (
        payload(charrnn("page", model, "-o", "-", "--precision", each).stdout.decode()) for each in ("fp16", "fp32")
    )
    assert (half[0]["precision"], single[0]["precision"]) == ("fp16", "fp32")
    assert len(single[1]) == pytest.approx(2 * len(half[1]), abs=8)


def test_a_title_is_given(model: str, charrnn: Command) -> None:
    page = charrnn("page", model, "-o", "-", "--title", "Tales <of> a river").stdout.decode()
    assert "<title>Tales &lt;of&gt; a river</title>" in page
    assert "<h1>Tales &lt;of&gt; a river</h1>" in page


def test_the_page_tells_no_folder_of_the_disk(folder: Path, charrnn: Command) -> None:
    checkpoint = random_checkpoint(MODEL, Vocabulary.of("abc", "character"))
    text = TextConfig(corpus=("/home/karenina/secret/tales.txt", "-"), validation_file="/home/karenina/secret/more.txt")
    told = replace(checkpoint, config=RunConfig(text=text, model=MODEL), counters=Counters(step=5, best_loss=None))
    page = charrnn("page", made(told), "-o", "-").stdout.decode()
    assert "tales.txt, standard input" in page
    assert "not measured, as no text was held out" in page
    assert "karenina" not in page
    assert str(folder) not in page


def test_nothing_is_overwritten_unless_asked(model: str, folder: Path, charrnn: Command) -> None:
    (folder / "there.html").write_text("mine")
    done = charrnn("page", model, "-o", "there.html")
    assert done.returncode == 2
    assert b"there.html is there already" in done.stderr
    assert (folder / "there.html").read_text() == "mine"
    assert charrnn("page", model, "-o", "there.html", "--force").returncode == 0
    assert (folder / "there.html").read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "say where the page goes: --output FILE.html, or - for standard output"),
        (["none", "-o", "a.html"], 4, "there is no checkpoint at none"),
        (["a", "--model", "b", "-o", "-"], 2, "MODEL and --model both name the model"),
        (["-o", "-", "--precision", "bf16"], 2, "'bf16' is not one of 'fp16', 'fp32'"),
        (["-o", "no/folder/a.html"], 7, "cannot write no/folder/a.html"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_are_told(arguments: list[str], code: int, told: str, charrnn: Command) -> None:
    done = charrnn("page", *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in " ".join(done.stderr.decode().split())


def test_a_weight_beyond_half_precision_is_told(folder: Path, charrnn: Command) -> None:
    checkpoint = random_checkpoint(MODEL, Vocabulary.of("abc", "character"))
    checkpoint.model["head.bias"][0] = np.float32(70_000)
    done = charrnn("page", made(checkpoint), "-o", "a.html")
    assert done.returncode == 2
    assert b"head.bias has a weight beyond 65,504" in done.stderr
    assert b"--precision fp32" in done.stderr
    assert not (folder / "a.html").exists()
    assert charrnn("page", "a-model.safetensors", "-o", "a.html", "--precision", "fp32").returncode == 0


def test_the_precision_of_trainings_is_not_that_of_pages(model: str, charrnn: Command) -> None:
    assert charrnn("page", model, "-o", "-", CHARRNN_PRECISION="bf16").returncode == 0
