"""The examples of the guide: how they are found, run and written anew.

An example is an indented block whose first line begins with `$ `, or Python in a fence with its output in a fence of
`text` below it. Each page's examples run in one folder that has the repository's `corpora`, with the demo as the only
model at first. In an output `…` stands for anything. A comment above a block says what is special:

    <!-- output varies -->   it is run, and its output is not compared
    <!-- not run -->         it takes too long, or needs what is not there; its commands must be well-formed

`python -m tests.guide_examples [PAGE]...` writes the outputs of all examples that are compared anew.
"""

import contextlib
import io
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from charrnn.cli.app import main

__all__ = ["GUIDE", "ROOT", "Example", "charrnn_command", "commands_in", "examples", "matches", "prepare", "run"]

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "charrnn" / "guide"

_INDENTED = re.compile(r"(?:^<!-- ([a-z ]+) -->\n\n)?((?:^    .*\n|^\n(?=(?:\n)*    ))+)", re.MULTILINE)
_PYTHON = re.compile(r"(?:^<!-- ([a-z ]+) -->\n\n)?^```python\n(.*?)^```\n(?:\n^```text\n(.*?)^```\n)?", re.M | re.S)
_FIGURE = re.compile(r"\d+\.\d+")
_SHELL = re.compile(r"[|<>&;$`*]")


class Example(NamedTuple):
    """Commands, or Python, with the output that stands below; `start` and `end` are where it stands in the page."""

    mark: str
    is_python: bool
    source: str
    output: str
    start: int
    end: int


def examples(markdown: str) -> list[Example]:
    """The examples of a page, one for each command."""
    found = []
    for block in _INDENTED.finditer(markdown):
        lines = block[2].splitlines(keepends=True)
        place = block.start(2)
        for line in lines:
            text = line[4:]
            if text.startswith("$ "):
                found.append(Example(block[1] or "", False, text[2:].strip(), "", place, place + len(line)))
            elif found and found[-1].end == place:
                found[-1] = found[-1]._replace(output=found[-1].output + (text or "\n"), end=place + len(line))
            place += len(line)
    for block in _PYTHON.finditer(markdown):
        place = (block.end(), block.end()) if block[3] is None else block.span(3)
        found.append(Example(block[1] or "", True, block[2], block[3] or "", *place))
    return sorted(found, key=lambda each: each.start)


def commands_in(markdown: str) -> Iterator[list[str]]:
    """The arguments of every command `charrnn` in a page's code, wherever it stands in a line."""
    code = [line[4:] for line in markdown.splitlines() if line.startswith("    ")]
    code += re.findall(r"`(charrnn [^`\n]+)`", re.sub(r"(?<!`)`([^`]*?)\n *([^`]*?)`", r"`\1 \2`", markdown))
    for line in code:
        line = re.sub(r"^\$ ", "", line)
        for start in re.finditer(r"(?:^|[|&;] *|(?<=\.venv/bin/)|^[A-Z_]+=\S+ |-m )charrnn(?= )", line):
            lexer = shlex.shlex(line[start.end() :], posix=True, punctuation_chars=True)
            lexer.commenters, lexer.whitespace_split = "#", True
            words = []
            for word in lexer:
                if set(word) & set("|<>&;()"):
                    if words and words[-1] in ("1", "2") and word.startswith(">"):
                        words.pop()  # the number of a stream
                    break
                words.append(word)
            yield words


def matches(expected: str, actual: str) -> bool:
    """Whether an output is the one that stands in the page, where … stands for anything.

    Figures with a point may differ a little, as other processors and numbers of threads sum in another order.
    """
    parts = [re.escape(part) for part in _FIGURE.sub("0.0", expected.strip()).split("…")]
    if re.fullmatch(".*?".join(parts), _FIGURE.sub("0.0", actual.strip()), re.DOTALL) is None:
        return False
    known = _FIGURE.findall(expected.partition("…")[0])
    pairs = zip(known, _FIGURE.findall(actual), strict=False)
    return all(math.isclose(float(one), float(other), rel_tol=1e-3) for one, other in pairs)


def prepare(folder: Path) -> None:
    """Put into an empty folder what examples find: the corpora, and a command `charrnn` for a shell."""
    (folder / "corpora").symlink_to(ROOT / "corpora")
    (folder / "bin").mkdir()
    (folder / "bin" / "charrnn").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    (folder / "bin" / "charrnn").chmod(0o755)


def run(example: Example, folder: Path) -> tuple[int, str]:
    """Run an example in a folder, which is the current one: its exit code and all that a terminal would show."""
    if example.is_python:
        done = subprocess.run([sys.executable, "-c", example.source], cwd=folder, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr
    if example.source.startswith("charrnn ") and not _SHELL.search(re.sub(r"'[^']*'|\"[^\"$`]*\"", "", example.source)):
        return charrnn_command(*shlex.split(example.source, comments=True)[1:])
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-o", "pipefail", "-c", f"{example.source}"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


def charrnn_command(*arguments: str) -> tuple[int, str]:
    """Run a command in this process: its exit code and what it writes on both streams."""
    seen = io.BytesIO()
    streams = sys.stdin, sys.stdout, sys.stderr, sys.argv
    out, err = (io.TextIOWrapper(seen, "utf-8", newline="\n", write_through=True) for _ in range(2))
    code = 0
    with open(os.devnull) as nothing:  # noqa: PTH123
        sys.stdin, sys.stdout, sys.stderr, sys.argv = nothing, out, err, ["charrnn", *arguments]
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdin, sys.stdout, sys.stderr, sys.argv = streams
    text = seen.getvalue().decode()
    out.detach()
    err.detach()
    return code, text


def _write_anew(path: Path) -> None:
    """Put the real outputs into a page."""
    markdown = path.read_text("utf-8")
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        prepare(Path(name))
        changes = []
        for example in examples(markdown):
            if example.mark == "not run":
                continue
            code, text = run(example, Path(name))
            print(path.name, code, example.source.partition("\n")[0])
            if example.mark or matches(example.output, text):
                continue
            text = re.sub(rf"{re.escape(str(ROOT))}\S*", "…", text)  # a path of this machine
            if example.is_python:
                changes.append((example.start, example.end, text))
                continue
            shown = "".join(f"    {line}".rstrip(" ") + "\n" for line in text.rstrip("\n").split("\n") if text)
            changes.append((example.start, example.end, f"    $ {example.source}\n{shown}"))
    for start, end, text in reversed(changes):
        markdown = markdown[:start] + text + markdown[end:]
    path.write_text(markdown, "utf-8")


if __name__ == "__main__":
    os.environ |= {"COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    for each in sys.argv[1:] or sorted(path.stem for path in GUIDE.glob("*.md")):
        if shutil.which("bash"):
            _write_anew(GUIDE / f"{each}.md")
