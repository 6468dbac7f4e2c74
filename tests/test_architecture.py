"""The floor plan: imports point down, heavy libraries stay in their rooms, and nothing unpickles or evaluates."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "charrnn"

# From the ground up; a module imports from lower floors and from its own room.
FLOORS = [
    ["messages"],
    ["errors", "events"],
    ["files"],
    ["recurrent.registry"],
    ["settings"],
    ["text"],
    ["recurrent"],
    ["layout"],
    ["encoders"],
    ["model"],
    ["checkpoint"],
    ["distributed"],
    ["runtime"],
    ["sampling", "evaluation"],
    ["export"],
    ["training", "compression"],
    ["api"],
    ["cli.process"],
    ["cli.render"],
    ["cli"],  # its options
    ["cli.commands"],
    ["cli.app"],
]
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LIGHT = ("messages", "errors", "events", "files", "settings", "export", "api", "cli")  # quick to import
TORCH_FREE = (*LIGHT, "text", "layout", "checkpoint")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The room that a module, or a name in one, belongs to: the longest that it begins with."""
    parts = module.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in ROOMS), "")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_run_time(tree: ast.Module) -> Iterator[str]:
    """All imports, in functions too, but for those that only a type checker makes."""
    for node in tree.body:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from imports(node)


def at_import_time(tree: ast.Module) -> Iterator[str]:
    """Imports that run when the module is imported, outside of functions and of type checking."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    module = name_of(path)
    if module in ("", "__main__", "__init__"):
        return
    for imported in at_run_time(ast.parse(path.read_text("utf-8"))):
        own, _, name = imported.partition(".")
        if own != "charrnn" or not name:
            continue
        target = room_of(name)
        if target and target != room_of(module):
            assert ROOMS[target] < ROOMS[room_of(module)], f"{module} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    module, imported = name_of(path), {name.partition(".")[0] for name in imports(ast.parse(path.read_text("utf-8")))}
    top = {name.partition(".")[0] for name in at_import_time(ast.parse(path.read_text("utf-8")))}
    if module.partition(".")[0] in TORCH_FREE or module in ("sampling.numpy_engine", "sampling.generate"):
        assert "torch" not in imported
    if module.partition(".")[0] in LIGHT:
        assert "numpy" not in top
    if not module.startswith("cli.render."):
        assert "rich" not in imported


# Modules that make objects or run code as a file says, and names by which others offer the same.
RUNNING_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "runpy",
}
RUNNING_CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
LOADING_CALLS = {f"{library}.{name}" for library in ("torch", "np", "numpy") for name in ("load", "save", "savez")} | {
    *("torch.jit.load", "torch.package", "torch.hub.load", "numpy.lib.format.read_array", "np.fromfile"),
    *("numpy.fromfile", "np.memmap", "numpy.memmap", "pd.read_pickle", "pandas.read_pickle"),
}


def what_runs_files(tree: ast.AST) -> Iterator[str]:
    """Whatever in a module could turn a file's bytes into running code, by import, call, mention or argument."""
    for name in imports(tree):
        if name.partition(".")[0] in RUNNING_MODULES or name in LOADING_CALLS:
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node, ast.Name) and node.id in RUNNING_CALLS:
                yield node.id
            if ast.unparse(node) in LOADING_CALLS:
                yield ast.unparse(node)
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only"):
            yield node.arg


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_unpickles_or_evaluates(path: Path) -> None:
    assert list(what_runs_files(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from marshal import loads",
        "import shelve as s",
        "from dill import *",
        "eval('1')",
        "f = exec",
        "map(compile, texts)",
        "import torch\ntorch.load('a')",
        "load = torch.load",
        "torch.save({}, 'a')",
        "from torch import load",
        "from numpy import load as read",
        "np.load('a', allow_pickle=True)",
        "numpy.load('a')",
        "read('a', allow_pickle=False)",
    ],
)
def test_what_unpickles_or_evaluates_is_found(source: str) -> None:
    assert list(what_runs_files(ast.parse(source)))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_are_small(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 450


def test_packages_are_empty_inside_but_for_the_door() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert path.parent == PACKAGE or not path.read_text("utf-8")


# The program's commands, as somebody would type them.
COMMANDS = re.compile(
    r"(?<![\w-])--[a-z]|\bcharrnn (?:train|sample|eval|next|fill|compare|memory|inspect|compress|decompress)\b"
)


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts in a module that are no documentation, and no names of options in a declaration."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    names = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        for keyword in [node]
        if keyword.arg in ("flag", "off", "short")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | names:
            yield node.value


@pytest.mark.parametrize("path", [path for path in MODULES if not name_of(path).startswith("cli")], ids=name_of)
def test_nothing_below_the_command_line_names_a_flag_or_a_command(path: Path) -> None:
    assert [text for text in texts(ast.parse(path.read_text("utf-8"))) if COMMANDS.search(text)] == []


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).startswith("cli")], ids=name_of)
def test_commands_are_short_and_take_few_parameters(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
            assert len(node.args.args) + len(node.args.kwonlyargs) <= 15, node.name


def test_commands_write_json_in_one_way() -> None:
    """Which makes null of what JSON has not; `dry_run` quotes a text with it, too."""
    writers = {
        name_of(path)
        for path in MODULES
        if name_of(path).startswith("cli.") and "json.dumps(" in path.read_text("utf-8")
    }
    assert writers == {"cli.render.score_rows", "cli.commands.dry_run"}


def test_the_python_versions_are_those_that_torch_has() -> None:
    """So that an installer says which Python it takes, and not that something cannot be resolved."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    assert "torch>=2.11,<2.14" in project["dependencies"]  # 2.15 is the first for Python 3.15
