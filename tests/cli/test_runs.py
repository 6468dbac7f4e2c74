"""`charrnn runs`: the list as people and programs see it, and what is said where there is none."""

import json
import os
import time
from pathlib import Path

import pytest

from charrnn.checkpoint.store import Run
from charrnn.cli.process.terminal import shows_all
from charrnn.cli.render.columns import aligned
from charrnn.cli.render.widths import columns
from tests.checkpoint.test_summary import CONFIG, saved
from tests.cli.terminal import on_terminal
from tests.conftest import InProcess

VALUES = {
    "name": "r",
    "path": "checkpoints/r",
    "cell": "gru",
    "layers": 2,
    "hidden_size": 5,
    "text": ["a.txt", "b.txt"],
    "step": 70,
    "best_loss": 1.25,
    "best_bits_per_character": pytest.approx(1.8034, abs=1e-4),
    "best_step": 60,
    "characters_per_second": 2000.0,
    "when": "2023-11-14T22:13:20+00:00",
    "trouble": None,
}


def test_json_has_a_line_for_each_run(folder: Path, in_process: InProcess) -> None:
    saved("r")
    saved("s", when=1_600_000_000)
    output, told = in_process("runs", "--json")
    first, second = map(json.loads, output.splitlines())
    assert first == VALUES
    assert (second["name"], second["when"]) == ("s", "2020-09-13T12:26:40+00:00")
    assert told == ""


def test_a_pipe_gets_columns(folder: Path, in_process: InProcess) -> None:
    saved("r")
    output, told = in_process("runs")
    assert told == f"charrnn: columns: {', '.join(VALUES)}\n"
    row = output.rstrip("\n").split("\t")
    assert row[:7] == ["r", "checkpoints/r", "gru", "2", "5", "a.txt, b.txt", "70"]
    assert row[-2:] == [VALUES["when"], "-"]
    assert in_process("runs", "-q") == (output, "")


@pytest.mark.skipif(os.name != "posix" or not shows_all("stdout"), reason="pseudo-terminals of UTF-8")
def test_a_terminal_gets_a_table(folder: Path) -> None:
    now = int(time.time())
    saved("tales-gru", when=now - 130)
    saved("other", when=now - 3 * 86400).path.rename("checkpoints/한국어-gru\x1b[31m")
    Run.create("begun").write_config(CONFIG.to_toml())
    os.utime("checkpoints/begun/run.toml", (86400, 86400))
    code, seen, told = on_terminal(["runs"], folder, streams=["stdout"])
    assert (code, told) == (0, b"")
    assert seen.decode().replace("\r\n", "\n") == (
        "name                network  steps    best  chars/s  when           text\n"
        "tales-gru           gru 2×5     70  1.2500    2,000  2 minutes ago  a.txt, b.txt\n"
        "한국어-gru\\x1b[31m  gru 2×5     70  1.2500    2,000  3 days ago     a.txt, b.txt\n"
        "begun               gru 2×5      -       -        -  1970-01-02     a.txt, b.txt\n"
    )


def test_a_run_that_cannot_be_read_is_listed_and_told(folder: Path, in_process: InProcess) -> None:
    saved("r", content=b"damaged!")
    output, told = in_process("runs", "--json")
    assert json.loads(output)["trouble"] in told
    assert "cannot read the checkpoint checkpoints/r/step-00000070.safetensors" in told


def test_another_folder_can_be_named(folder: Path, in_process: InProcess) -> None:
    saved("r")
    Path("checkpoints").rename("other")
    assert json.loads(in_process("runs", "other", "--json")[0])["path"] == "other/r"
    (folder / "file").touch()
    assert "cannot read the folder file" in in_process("runs", "file", code=4)[1]


def test_a_folder_without_runs_says_so_and_where_it_looked(
    folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = f"charrnn: there are no runs in {folder}/checkpoints; a training makes one\n"
    assert in_process("runs") == ("", nothing)
    Path("checkpoints").mkdir()
    assert in_process("runs", "--json") == ("", nothing)
    assert in_process("runs", "-q") == ("", "")
    saved("r")
    near = f"there are some in {folder}/checkpoints\n"
    (folder / "texts" / "old").mkdir(parents=True)
    monkeypatch.chdir(folder / "texts" / "old")
    assert in_process("runs")[1] == f"charrnn: there are no runs in {folder}/texts/old/checkpoints; {near}"
    monkeypatch.chdir(folder.parent)
    assert in_process("runs", folder.name)[1].endswith(f"; there are some in {folder.name}/checkpoints\n")


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_below_a_folder_with_runs_it_is_said_that_the_demo_is_taken(
    folder: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch, quiet: list[str]
) -> None:
    told = f"charrnn: this is the demo: there is no run in this folder, but {folder}/checkpoints has some; "
    sample = ("sample", "-n", "5", "--seed", "1", *quiet)
    assert told not in in_process(*sample)[1]  # as long as no run has saved
    Run.create("r").write_config(CONFIG.to_toml())
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    assert told not in in_process(*sample)[1]
    monkeypatch.chdir(folder)
    saved("s")
    assert told not in in_process(*sample)[1]
    monkeypatch.chdir(folder / "sub")
    assert in_process(*sample)[1].startswith(f"{told}name one by --model\n")
    assert told not in in_process(*sample, "--model", str(folder / "checkpoints" / "s"), "--prime", "a")[1]
    monkeypatch.setenv("CHARRNN_MODEL", str(folder / "checkpoints" / "s"))
    assert told not in in_process(*sample, "--prime", "a")[1]


def test_a_table_fits_narrow_terminals() -> None:
    rows = [("name", "steps", "text"), ("a" * 50, "1,000", "corpora/" + "b" * 50 + ".txt"), ("한" * 20, "-", "")]
    for width in range(30, 140):
        lines = list(aligned(rows, width))
        assert all(columns(line.rstrip()) <= width for line in lines)
        assert len(lines) == 3
    assert next(aligned(rows, 30)).split() == ["name", "steps"]  # the text would have been cut to nothing
    assert list(aligned(rows, 60))[1].split()[2] == "…bbbbbbbbbbbbbbbb.txt"
    assert list(aligned(rows, 60))[2].startswith("한" * 14 + "…  ")
    assert "".join(aligned([("name", "text"), ("한국어", "2×64 " * 9)], 30, is_ascii=True)).isascii()
