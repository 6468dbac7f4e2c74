"""Help as a person sees it at 80 columns: a snapshot of each command, in which no option's name is cut.

After a change that is meant: python -m tests.cli.test_help
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.cli.app import COMMANDS

PROGRAM = "import sys; sys.argv[0] = 'charrnn'; from charrnn.cli.app import main; main()"
SNAPSHOTS = Path(__file__).parent / "help"


def shown(*arguments: str) -> str:
    surroundings = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--help"], capture_output=True, env=surroundings, check=True
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.decode().splitlines())


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_as_it_was(command: str) -> None:
    text = shown(*command.split())
    assert text == (SNAPSHOTS / f"{command or 'charrnn'}.txt").read_text("utf-8")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not re.search(r"--[a-z-]*…", text)


def test_options_are_in_panels_by_what_they_are_for() -> None:
    panels = re.findall(r"^╭─ (.*?) ─+╮$", (SNAPSHOTS / "sample.txt").read_text("utf-8"), re.MULTILINE)
    asked = ["What goes in", "How it is drawn", "Where it stops", "What comes out", "Machine"]
    assert [panel for panel in panels if panel not in ("Arguments", "Options")] == asked


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for name in ["", *COMMANDS]:
        (SNAPSHOTS / f"{name or 'charrnn'}.txt").write_text(shown(*name.split()), "utf-8")
