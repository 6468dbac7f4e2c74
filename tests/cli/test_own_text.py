"""Commands that need the text of a model find it: the demo's in an empty folder, a run's from any folder."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import charrnn
from tests.cli.processes import TINY
from tests.conftest import Command, InProcess

ROOT = Path(__file__).parents[2]

OF_THE_DEMO = {
    "eval": ["eval", "--protocol", "windowed", "--json"],
    "eval --novelty": ["eval", "--novelty"],
    "inspect": ["inspect", "--neuron", "1", "--characters", "50"],
    "memory": ["memory", "--targets", "2", "--json"],
    "sample --novel": ["sample", "--novel", "20", "-n", "20", "--seed", "1"],
    "eval --dynamic": ["eval", "--dynamic", "--json"],
}


@pytest.fixture
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH that has what the wheel has."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(Path(charrnn.__file__).parent, site / "charrnn", ignore=shutil.ignore_patterns("__pycache__"))
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    for source, target in build["targets"]["wheel"]["force-include"].items():
        shutil.copytree(ROOT / source, site / target)
    return site


@pytest.mark.slow
def test_an_installed_demo_has_its_text_in_an_empty_folder(folder: Path, installed: Path) -> None:
    surroundings = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{os.environ['PYTHONPATH']}"}
    for name, arguments in OF_THE_DEMO.items():
        command = [sys.executable, "-m", "charrnn", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, env=surroundings)
        assert done.returncode == 0, (name, done.stderr)
        assert str(installed).encode() in done.stderr, name
        assert done.stdout
    assert list(folder.iterdir()) == []


def test_the_demo_is_called_demo_unless_something_else_is(folder: Path, in_process: InProcess) -> None:
    named = in_process("eval", "--model", "demo", "--json")[0]
    assert json.loads(named)["nats_per_character"] == pytest.approx(1.2644, abs=1e-4)
    (folder / "demo").mkdir()
    assert "demo has no checkpoint" in in_process("eval", "--model", "demo", code=4)[1]


def test_a_run_is_scored_from_another_folder(folder: Path, small_text: Path, charrnn: Command) -> None:
    charrnn("train", "small.txt", *TINY, "--steps", "2", "--name", "far")
    here = json.loads(charrnn("eval", "--model", "far", "--json").stdout)
    (folder / "empty").mkdir()
    os.chdir(folder / "empty")
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "eval", "--model", "../checkpoints/far", "--json"], capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["nats"] == here["nats"]


def test_standard_input_is_kept_if_asked_and_else_told(small_text: Path, charrnn: Command) -> None:
    text, train = small_text.read_bytes(), ("train", "-", *TINY, "--steps", "2")
    told = charrnn(*train, "--name", "lost", stdin=text).stderr
    assert b"of it the run records only a digest; --keep-text keeps a copy in the run" in told
    told = charrnn(*train, "--keep-text", "--name", "kept", stdin=text).stderr
    assert b"digest" not in told
    assert Path("checkpoints/kept/text.txt").read_bytes() == text
    assert b"trained on standard input" in charrnn("eval", "--model", "lost").stderr
    for arguments in (["eval"], ["sample", "--novel", "5", "-n", "9"], ["memory", "--targets", "2"]):
        done = charrnn(*arguments, "--model", "kept")
        assert done.returncode == 0, done.stderr
    done = charrnn("train", "--resume", "kept", "--steps", "3")
    assert done.returncode == 0, done.stderr


def test_a_text_is_kept_by_a_new_run_alone(in_process: InProcess) -> None:
    told = in_process("train", "--resume", "--keep-text", code=2)[1]
    assert "--keep-text is for a new run; leave it out to go on with one" in told
