"""What must be quick and light: help, version and every usage error, without torch or numpy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.recurrent.registry import CORES
from tests.conftest import Command

LIGHT = (
    "import sys; sys.argv = ['charrnn', *sys.argv[1:]]\n"
    "from charrnn.cli.app import main\n"
    "try: main()\n"
    "finally: print(*({'torch', 'numpy', 'safetensors', 'regex', 'textual'} & set(sys.modules)), file=sys.stderr)"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["-h"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["sample", "-h"], 0),
        (["eval", "--help"], 0),
        (["completion", "bash"], 0),
        ([], 2),
        (["trian"], 2),
        (["train", "--cel", "gru"], 2),
        (["train", "a.txt", "--cell", "gur"], 2),
        (["train", "a.txt", "--time", "soon"], 2),
        (["train", "a.txt", "--config", "none.toml"], 2),
        (["sample", "--temperature", "-1"], 2),
        (["sample", "-n", "many"], 2),
        (["sample", "--prime", "a", "--prime-file", "b"], 2),
        (["eval", "--window", "0"], 2),
        (["decompress", "a.txt"], 2),
        (["eval", "--heat", "--json"], 2),
        (["next", "--help"], 0),
        (["next", "--top", "0"], 2),
        (["memory", "--help"], 0),
        (["memory", "--targets", "0"], 2),
        (["inspect", "--help"], 0),
        (["inspect"], 2),
        (["info", "--json", "--markdown"], 2),
        (["export", "run"], 2),
        (["verify"], 2),
        (["train", "--resume", "--keep-text"], 2),
        (["write", "--help"], 0),
        (["write", "a.txt", "--suggest", "chapter"], 2),
        (["eval", "--dynamic", "--heat"], 2),
        (["page", "--help"], 0),
        (["page"], 2),
        (["runs"], 0),
        (["plot", "-o", "a.jpg"], 2),
        (["report"], 2),
        (["plot", "--json"], 4),
        (["eval", "--model", "a", "--model", "b", "--heat"], 2),
        (["eval", "--model", "a", "--model", "b:0.3"], 2),
        (["sample", "--blend", "product"], 2),
        (["sample", "--model", "a", "--model", "b:2"], 2),
        (["train", "a.txt", "--validation-file", "-"], 2),
    ],
)
def test_help_and_usage_errors_import_nothing_heavy(folder: Path, arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, *arguments], capture_output=True, cwd=folder)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == b""


def test_help_leads_with_examples_and_names_every_core(charrnn: Command) -> None:
    assert b"charrnn train corpus.txt --time 3m" in charrnn("--help").stdout
    shown = charrnn("train", "--help").stdout.decode()
    listed = re.search(r"Recurrent core: ([^.]*)\.", " ".join(re.findall(r"[\w:,.-]+", shown)))
    assert listed
    assert listed[1].split(", ") == list(CORES)


def test_version(charrnn: Command) -> None:
    import charrnn as package

    assert charrnn("--version").stdout == f"charrnn {package.__version__}\n".encode()
