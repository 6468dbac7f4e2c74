"""The README keeps its word: its commands run, its links lead somewhere, and so do those of all other pages."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from charrnn.cli.app import application
from tests.guide_examples import GUIDE, ROOT, commands_in, examples, matches, run

README = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted(GUIDE.glob("*.md")),
    *(ROOT / place / "README.md" for place in ("charrnn", "charrnn/checkpoint", "tests/benchmarks", "corpora")),
    ROOT / "checkpoints" / "README.md",
]
COMMANDS = [(page.relative_to(ROOT), words) for page in PAGES for words in commands_in(page.read_text("utf-8"))]
PARSER = typer.main.get_command(application())
PLACEHOLDERS = {"COMMAND", "TOPIC", "PAGE", "WORD", "TEXT", "FILE", "MODEL", "…", "..."}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 160


@pytest.mark.parametrize("mark", ["main-job", "test"])
def test_the_commands_that_ci_runs_are_marked(mark: str) -> None:
    assert re.search(rf"^<!-- ci: {mark} -->\n\n    python3 -m venv ", README, re.MULTILINE)


@pytest.mark.slow
def test_the_python_example_runs_as_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 8
    (folder / "corpora").symlink_to(ROOT / "corpora")
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("hello pytorch. how long can a rnn cell remember? show me your limit!")


def test_the_piece_of_text_is_what_the_demo_writes(folder: Path) -> None:
    (example,) = (each for each in examples(README) if not each.is_python)
    code, output = run(example, folder)
    assert code == 0
    assert matches(example.output, output), output


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 100


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=lambda value: str(value)[:60])
def test_every_command_is_well_formed(page: Path, words: list[str]) -> None:
    """Its name, its options and their values are such as the command line takes; nothing is run."""
    if not words or words[0] in PLACEHOLDERS or words[0].startswith("-"):
        return
    name, *arguments = words
    if arguments[-1:] in (["--help"], ["-h"]):
        arguments = []
    arguments = ["--resume=newest" if each == "--resume" else each for each in arguments]  # with or without a model
    commands = PARSER.commands  # type: ignore[attr-defined]
    assert name in commands, f"{page}: charrnn {shlex.join(words)}"
    try:
        commands[name].make_context(name, arguments)
    except typer.TyperException as error:
        told = str(getattr(error, "format_message", error.__str__)())
        if "Missing argument" not in told and "requires an argument" not in told:  # prose names parts of commands
            pytest.fail(f"{page}: charrnn {shlex.join(words)}: {told}")


def anchors(page: Path) -> set[str]:
    """The anchors that code hosts make of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_room_is_on_the_map() -> None:
    package = ROOT / "charrnn"
    picture = (package / "README.md").read_text("utf-8").partition("## The rooms")[2].partition("\nA module")[0]
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    rooms = {f"{path.parent.relative_to(package)}/" for path in package.rglob("__init__.py")} - {"./"}
    assert not {name for name in modules if not re.search(rf"\b{name}\b", picture)}
    assert not {room for room in rooms if room not in picture and room.rpartition("/kernels/")[0] != "recurrent"}


def test_every_corpus_is_described() -> None:
    told = (ROOT / "corpora/README.md").read_text("utf-8")
    assert not {path.name for path in (ROOT / "corpora").glob("*.txt") if path.name not in told}


def test_no_line_installs_the_other_package_of_that_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "charrnn-text"
    for path in [*(ROOT / "charrnn").rglob("*.py"), *PAGES]:
        for line in re.findall(r"pip install [^`\n)]*", path.read_text("utf-8")):
            assert not re.search(r"install (-\S+ )*['\"]?charrnn(?!-text)", line), f"{path}: {line}"
