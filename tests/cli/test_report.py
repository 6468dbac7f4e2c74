"""`charrnn report`: into a file or a pipe, of the newest run or another, and what is told when it cannot be made."""

import re
from pathlib import Path

import pytest

from charrnn.training.loop import train
from tests.conftest import InProcess, tiny_run


@pytest.fixture
def run(small_text: Path) -> Path:
    for _ in train(tiny_run(small_text, steps=4), "r"):
        pass
    return Path("checkpoints/r")


def test_a_report_is_a_new_file(run: Path, folder: Path, in_process: InProcess) -> None:
    output, told = in_process("report", "r", "-o", "r.html", "--device", "cpu")
    assert output == ""
    assert f"{run}/step-00000004.safetensors (as asked)" in told
    assert re.search(r"charrnn: the page is r\.html, [\d,]+ bytes; open it in a browser\n\Z", told)
    written = (folder / "r.html").read_text("utf-8")
    assert written.startswith("<!DOCTYPE html>")
    assert written.endswith("</html>\n")
    assert "r.html is there already" in in_process("report", "r", "-o", "r.html", code=2)[1]
    assert in_process("report", "-o", "-", "-q", "--device", "cpu") == (written, "")  # the newest run
    assert in_process("report", str(run), "-o", "r.html", "--force", "-q", "--device", "cpu") == ("", "")
    assert (folder / "r.html").read_text("utf-8") == written


def test_what_is_wrong_is_told_at_once(folder: Path, in_process: InProcess) -> None:
    assert "say where the page goes: --output FILE.html, or - for standard output" in in_process("report", code=2)[1]
    assert "there is no run in ./checkpoints; name one" in in_process("report", "-o", "r.html", code=4)[1]
    assert "there is no checkpoint at nix" in in_process("report", "nix", "-o", "r.html", code=4)[1]
    assert not (folder / "r.html").exists()
