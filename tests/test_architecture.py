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
    ["errors", "events", "machine"],
    ["files"],
    ["recurrent.registry"],
    ["settings"],
    ["text"],
    ["recurrent", "ngrams"],
    ["layout"],
    ["encoders", "network"],
    ["model"],
    ["checkpoint"],
    ["distributed"],
    ["runtime"],
    ["sampling", "evaluation"],
    ["export"],
    ["writing"],
    ["training", "compression"],
    ["api"],
    ["guide"],
    ["cli.process"],
    ["cli.render"],
    ["cli"],  # its options, and those that commands share
    ["cli.commands"],
    ["cli.app"],
]
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LIGHT = (
    "messages",
    "errors",
    "events",
    "machine",
    "files",
    "settings",
    "export",
    "api",
    "guide",
    "cli",
)  # quick to import
TORCH_FREE = (*LIGHT, "text", "ngrams", "layout", "network", "checkpoint", "writing")
SOURCES = {path: path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(source) for path, source in SOURCES.items()}


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


def imports_that_rise() -> Iterator[str]:
    for module, tree in MODULES.items():
        if module in ("", "__main__", "__init__"):
            continue
        for imported in at_run_time(tree):
            own, _, name = imported.partition(".")
            target = room_of(name)
            if own == "charrnn" and target and target != room_of(module) and ROOMS[target] >= ROOMS[room_of(module)]:
                yield f"{module} imports {name}"


def test_imports_point_down() -> None:
    assert list(imports_that_rise()) == []


def heavy_imports() -> Iterator[str]:
    for module, tree in MODULES.items():
        room = module.partition(".")[0]
        imported = {name.partition(".")[0] for name in imports(tree)}
        top = {name.partition(".")[0] for name in at_import_time(tree)}
        if "torch" in imported and (room in TORCH_FREE or module in ("sampling.numpy_engine", "sampling.generate")):
            yield f"{module} imports torch"
        if "numpy" in top and room in LIGHT:
            yield f"{module} imports numpy when it is imported"
        if "rich" in imported and not module.startswith("cli.render."):
            yield f"{module} imports rich"
        if "textual" in imported and not module.startswith("cli.render.writing."):
            yield f"{module} imports textual"


def test_heavy_libraries_stay_in_their_rooms() -> None:
    assert list(heavy_imports()) == []


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


def test_nothing_unpickles_or_evaluates() -> None:
    assert [(module, found) for module, tree in MODULES.items() for found in what_runs_files(tree)] == []


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


def test_rooms_are_small() -> None:
    assert [name_of(path) for path, source in SOURCES.items() if len(source.splitlines()) > 450] == []


def test_packages_are_empty_inside_but_for_the_door() -> None:
    assert [path for path, source in SOURCES.items() if path.name == "__init__.py" and source] == [
        PACKAGE / "__init__.py"
    ]


# The program's commands, as somebody would type them.
COMMANDS = re.compile(
    r"(?<![\w-])--[a-z]|\bcharrnn (?:train|sample|write|eval|next|fill|compare|memory|inspect|compress|decompress)\b"
    r"|\bcharrnn (?:page|runs|plot|report|info|export|verify)\b"
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


def test_nothing_below_the_command_line_names_a_flag_or_a_command() -> None:
    below = {name: tree for name, tree in MODULES.items() if not name.startswith("cli")}
    assert [(name, text) for name, tree in below.items() for text in texts(tree) if COMMANDS.search(text)] == []


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{name}.{node.name}", node


def test_functions_are_short_and_take_few_parameters() -> None:
    assert [name for name, node in functions() if (node.end_lineno or 0) - node.lineno >= 50] == []
    assert [name for name, node in functions() if len(node.args.args) + len(node.args.kwonlyargs) > 15] == []


def documented() -> Iterator[tuple[str, str | None]]:
    """Modules, classes and functions by name, each with its documentation."""
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield f"{name}.{getattr(node, 'name', '')}", ast.get_docstring(node)


def test_public_names_are_documented_and_no_first_line_is_a_riddle() -> None:
    """A first line names the thing or the action."""
    public = [(name, text) for name, text in documented() if not name.rpartition(".")[2].startswith("_")]
    lacking = [name for name, text in public if not text and name.rpartition(".")[2]]
    assert len(lacking) <= len(public) * 0.01, lacking
    riddle = re.compile(r"(What|How|Which|Where|Whether|Who)\b")
    assert [name for name, text in documented() if text and riddle.match(text)] == []


def test_commands_write_json_in_one_way() -> None:
    """Which makes null of what JSON has not; `dry_run` quotes a text with it, too."""
    writers = {
        name_of(path)
        for path, source in SOURCES.items()
        if name_of(path).startswith("cli.") and "json.dumps(" in source
    }
    assert writers == {"cli.render.score_rows", "cli.commands.dry_run"}


NUMBER_AND_PLURAL = re.compile(
    r"\} (character|byte|step|document|line|file|thread|text|trial|run|label|sample|token|parameter)s\b(?!/)"
)


def test_messages_count_in_words_that_are_right_for_one_thing() -> None:
    """By `counted`, but in these modules, where there are always several."""
    several = {"evaluation.memory", "training.loss_monitor", "checkpoint.header", "checkpoint.store", "sampling.fill"}
    found = [
        (name, node.lineno)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and NUMBER_AND_PLURAL.search(as_written(node)) and name not in several
    ]
    assert found == []


def as_written(text: ast.JoinedStr) -> str:
    """The text with {} for whatever is filled in."""
    parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in text.values]
    return "".join(map(str, parts))


def test_the_python_versions_are_those_that_torch_has() -> None:
    """So that an installer says which Python it takes, and not that something cannot be resolved."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.15"
    assert "torch>=2.11,<2.14" in project["dependencies"]  # 2.15 is the first for Python 3.15
