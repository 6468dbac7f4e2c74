"""The guide says what is so: its examples give what stands there, its pages are found, and help shows them."""

import ast
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.cli.app import COMMANDS
from charrnn.guide import pages
from charrnn.recurrent.registry import CORES
from tests.cli.test_start import LIGHT
from tests.conftest import Command, InProcess
from tests.guide_examples import GUIDE, Example, examples, matches, prepare, run
from tests.reference import PATH, reference

# What people ask, by words that they would search for, and the page and heading that answer.
QUESTIONS = {
    "ctrl-c": ("resuming", "How do I go on after Ctrl-C?"),
    "unknown": ("texts-and-languages", "Why does it say that a character is unknown?"),
    "gpu": ("gpu", "How do I use my GPU?"),
    "korean": ("texts-and-languages", "How do I train on Korean?"),
    "same text": ("sampling", "How do I get the same text again?"),
    "python": ("python", "Can I use it from Python?"),
    "bits per character": ("scoring", "What is bits per character?"),
    "repetitive": ("sampling", "How do I make it less repetitive?"),
    "share": ("sharing", "How do I share my model?"),
    "own cell": ("comparing", "How do I add my own cell?"),
}


def test_the_pages_are_those_in_the_folder() -> None:
    assert {path.stem for path in GUIDE.glob("*.md")} == set(pages.PAGES)


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_has_a_title_a_summary_and_questions(name: str) -> None:
    title, *others = pages.sections(name)
    assert pages.page(name).startswith("# ")
    assert title.text.strip()
    assert len(pages.summary(name)) < 200
    assert len(others) >= 4


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="examples are for a shell")
@pytest.mark.parametrize("name", pages.PAGES)
def test_examples_give_what_stands_below_them(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    prepare(folder)
    for example in examples(pages.page(name)):
        if example.mark == "not run":
            continue
        code, output = run(example, folder)
        assert code == 0, f"{example.source}\n{output}"
        same = example.mark == "output varies" or matches(example.output, output)
        assert same, f"{example.source}\n{output}\nto write it anew: python -m tests.guide_examples {name}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="a shell with pipefail and <( )")
def test_the_six_pipelines_run_as_they_stand(folder: Path) -> None:
    prepare(folder)
    lines = re.findall(
        "^    (.*)$", pages.page("pipelines").partition("<!-- pipelines -->")[2].partition("##")[0], re.M
    )
    assert len(lines) == 6
    for line in lines:
        files = set(folder.iterdir())
        code, output = run(Example("", False, f"{line} # in a shell", "", 0, 0), folder)
        assert code == 0, line
        made = [path for path in folder.iterdir() if path not in files]
        assert all(path.stat().st_size for path in made)
        assert bool(output) != (bool(made) or "cmp" in line), line


def test_the_reference_is_that_of_the_declarations() -> None:
    assert PATH.read_text("utf-8") == reference(), "write it anew: python -m tests.reference"


def test_a_command_in_the_reference_begins_with_what_it_does() -> None:
    for name, (_, summary) in COMMANDS.items():
        told, example = summary.split(": ", 1)
        assert f"\n## charrnn {name}\n\n{told}.\n\n    {example}\n\n" in reference()
    assert not re.search(r"[^.]\.\.$|^ +$", reference(), re.MULTILINE)


def test_the_sentence_of_an_option_stands_once() -> None:
    sentences = []
    for path in (GUIDE.parent / "settings").rglob("*.py"), (GUIDE.parent / "cli").rglob("*.py"):
        for node in (each for file in path for each in ast.walk(ast.parse(file.read_text("utf-8")))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "setting" and len(node.args) > 1:
                sentences += [node.args[1].value] if isinstance(node.args[1], ast.Constant) else []
    assert len(sentences) > 80
    assert [each for each in sentences if sentences.count(each) > 1] == []


def test_the_table_of_cores_is_the_registry() -> None:
    rows = [f"| `{name}` | {entry.summary} | {entry.paper} |" for name, entry in CORES.items()]
    table = "\n".join(["| `--cell` | core | paper |", "|---|---|---|", *rows])
    assert table in pages.page("training"), f"put this into guide/training.md:\n{table}"


@pytest.mark.parametrize("words", QUESTIONS)
def test_what_people_ask_is_found(words: str) -> None:
    name, heading = QUESTIONS[words]
    found = [(section.page, section.heading) for section, _ in pages.search(words)]
    assert (name, heading) in found[:3]


def test_help_lists_shows_and_searches(in_process: InProcess) -> None:
    listed, told = in_process("help")
    assert told == ""
    assert all(f"`{name}`" in listed for name in pages.PAGES)
    shown, _ = in_process("help", "sampling")
    assert shown == pages.plain(pages.page("sampling"))
    assert "<!--" not in shown
    assert ".md" not in shown
    assert in_process("help", "Sampling.md")[0] == shown
    assert in_process("help", "train")[0].startswith("## charrnn train\n")
    found, _ = in_process("help", "--search", "Same Text")
    assert found.startswith("# How do I get the same text again?\n\nGive the same seed.")
    assert "This is in `charrnn help sampling`." in found


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["traning"], "did you mean training?"),
        (["nonsense"], "list the pages: charrnn help"),
        (["--search", "xyzzy"], "no page of the guide has 'xyzzy'"),
        (["sampling", "--search", "seed"], "leave 'sampling' out"),
    ],
)
def test_a_topic_that_is_not_there_is_a_mistake(in_process: InProcess, arguments: list[str], told: str) -> None:
    assert told in in_process("help", *arguments, code=2)[1]


@pytest.mark.parametrize("arguments", [["help"], ["help", "training"], ["help", "--search", "seed"], ["help", "no"]])
def test_help_loads_nothing_heavy(folder: Path, arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, *arguments], capture_output=True, cwd=folder)
    assert done.stderr.splitlines()[-1] == b""


@pytest.mark.parametrize("pager", ["cat", None])
def test_a_terminal_gets_a_drawn_page_in_the_pager(folder: Path, pager: str | None) -> None:
    surroundings = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color", "PAGER": f"{pager or 'sed s/^/paged:/'}"}
    surroundings.pop("MANPAGER", None)
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "help", "sampling"], stdin=other, stdout=other, stderr=other, env=surroundings
    )
    os.close(other)
    seen = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:
            break
        if not read:
            break
        seen += read
    os.close(main)
    assert process.wait(60) == 0
    text = seen.decode()
    assert "How do I get the same text again?" in text
    assert "\x1b[" in text
    assert "## " not in text
    assert ("paged:" in text) == (pager is None)


def test_pages_are_offered_by_completion(charrnn: Command) -> None:
    script = charrnn("completion", "bash").stdout.decode()
    assert "texts-and-languages" in script
    assert "'help '*)" in script


def test_outputs_are_compared() -> None:
    assert matches("a 1.0000\nb …", "a 1.0001\nb /a/path\n")
    assert not matches("a 1.0", "a 1.1")
    assert not matches("a 1.0 …", "a 2.0 b")
    assert not matches("a b", "a c")


def test_the_line_that_installs_an_extra_has_its_brackets(in_process: InProcess) -> None:
    for command in ("memory", "inspect"):
        shown = re.sub(r"[\s│]+", " ", in_process(command, "--help")[0])
        assert "pip install 'charrnn-text[plot]'" in shown
    assert "pip install '\\''charrnn-text[plot]'\\''" in in_process("completion", "bash")[0] + in_process(
        "completion", "zsh"
    )[0].replace("\\[", "[").replace("\\]", "]")
