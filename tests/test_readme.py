"""The README keeps its word: its tables are those of the code, and its Python runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.recurrent.registry import CORES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def core_table() -> str:
    """The README's table of cores, from the registry."""
    rows = [f"| `{name}` | {entry.summary} | {entry.paper} |" for name, entry in CORES.items()]
    return "\n".join(["| `--cell` | core | paper |", "|---|---|---|", *rows])


def test_the_table_of_cores_is_the_registry() -> None:
    assert core_table() in README, f"put this into the README:\n{core_table()}"


@pytest.mark.parametrize("mark", ["main-job", "test"])
def test_the_commands_that_ci_runs_are_marked(mark: str) -> None:
    assert re.search(rf"^<!-- ci: {mark} -->\n\n    python3 -m venv ", README, re.MULTILINE)


@pytest.mark.slow
def test_the_python_example_runs_as_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (folder / "corpora").symlink_to(ROOT / "corpora")
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("hello pytorch. how long can a rnn cell remember? show me your limit!")


PIPELINES = re.findall("^    (.*)$", README.partition("## Pipelines")[2].partition("For commands")[0], re.MULTILINE)


def test_there_are_pipelines() -> None:
    assert PIPELINES


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell with pipefail and <( )")
@pytest.mark.parametrize("line", PIPELINES)
def test_a_pipeline_runs_as_it_stands(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    (folder / "corpora").symlink_to(ROOT / "corpora")
    (folder / "bin").mkdir()
    (folder / "bin" / "charrnn").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    (folder / "bin" / "charrnn").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    made = [path for path in folder.iterdir() if path.is_file()]
    assert all(path.stat().st_size for path in made)
    assert made or done.stdout or "cmp" in line


def test_every_text_is_told_of_beside_it() -> None:
    told = (ROOT / "corpora" / "README.md").read_text("utf-8")
    assert not [path.name for path in (ROOT / "corpora").glob("*.txt") if path.name not in told]
