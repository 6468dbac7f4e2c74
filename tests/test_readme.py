"""The README keeps its word: its tables are those of the code, and its Python runs."""

import re
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


def test_the_python_example_runs_as_it_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (folder / "corpora").symlink_to(ROOT / "corpora")
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("hello pytorch. how long can a rnn cell remember? show me your limit!")


def test_every_module_has_its_place_on_the_map() -> None:
    table = README.partition("## How it is built")[2]
    modules = {path.stem for path in (ROOT / "charrnn").rglob("*.py")} - {"__init__", "__main__"}
    in_one_word = {name.replace("-", "_") for name in CORES}  # "one file per core"
    in_one_word |= {"train", "sample", "evaluate", "compare"}  # "one file per command"
    in_one_word |= {"excerpt", "engines", "numpy_engine", "torch_engine"}  # "the two engines"
    assert not {module for module in modules - in_one_word if f"`{module}`" not in table}
    assert not {
        path for path in (ROOT / "corpora").glob("*.txt") if path.name not in (ROOT / "corpora/README.md").read_text()
    }
