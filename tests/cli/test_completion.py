"""Completion in real shells: every command, option and value, and runs whatever their names are."""

import os
import re
import select
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from charrnn.cli.app import application
from charrnn.recurrent.registry import CORES
from tests.conftest import Command

COMMANDS = typer.main.get_command(application()).commands  # type: ignore[attr-defined]
SHELLS = ("bash", "zsh", "fish")
HOSTILE = "a b'\"`touch owned`$(touch owned);\\$(touch owned)"

# Each asks a shell for the words that may follow; no process can be started meanwhile.
QUESTIONS = {
    "bash": 'PATH=/none; source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _charrnn; '
    '((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"; true',
    "fish": 'set PATH /none; source ./script; complete -C (string join " " -- $argv)',
}


def shell(name: str) -> str:
    """The path of a shell."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def script(folder: Path, charrnn: Command, request: pytest.FixtureRequest) -> str:
    """The name of a shell whose script is in the current folder."""
    name: str = request.param
    done = charrnn("completion", name)
    assert (done.returncode, done.stderr) == (0, b"")
    (folder / "script").write_bytes(done.stdout)
    return name


def answers(name: str, *words: str) -> list[str]:
    """What a shell offers for the last of the words."""
    command = [shell(name), "--norc", "-c", QUESTIONS[name], "bash", *words]
    if name == "fish":
        command = [shell(name), "--no-config", "-c", QUESTIONS[name], *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


def names_of(command: str) -> set[str]:
    """All options of a command, as its own parser has them."""
    shown = [each for each in COMMANDS[command].params if not getattr(each, "hidden", False)]
    names = {name for each in shown for name in (*each.opts, *each.secondary_opts) if name.startswith("-")}
    return names | {"--help", "-h"}


@pytest.mark.parametrize("script", ["bash", "fish"], indirect=True)
def test_every_command_and_every_option_is_offered(script: str) -> None:
    assert set(answers(script, "charrnn", "")) == set(COMMANDS)
    assert answers(script, "charrnn", "tr") == ["train"]
    assert {"--help", "--version"} <= set(answers(script, "charrnn", "--"))
    for command in COMMANDS:
        long = {name for name in names_of(command) if name.startswith("--")}
        assert set(answers(script, "charrnn", command, "--")) >= long
    assert set(answers(script, "charrnn", "sample", "-")) >= names_of("sample")
    assert answers(script, "charrnn", "train", "--cel") == ["--cell"]


def test_zsh_is_told_of_every_command_and_every_option(charrnn: Command) -> None:
    told = charrnn("completion", "zsh").stdout.decode()
    for command in COMMANDS:
        assert f"\n        '{command}:" in told
        own = told.partition(f"        command{command})\n")[2].partition(" ;;\n")[0]
        assert set(re.findall(r"'\*(-[\w-]+)[=+]?\[", own)) == names_of(command)


@pytest.mark.parametrize("script", ["bash", "fish"], indirect=True)
def test_values_are_offered(script: str) -> None:
    assert set(answers(script, "charrnn", "train", "--cell", "")) == {"auto", *CORES}
    assert set(answers(script, "charrnn", "compare", "--cells", "r")) == {c for c in CORES if c.startswith("r")}
    assert answers(script, "charrnn", "train", "a.txt", "--device", "cu") == ["cuda"]
    assert set(answers(script, "charrnn", "completion", "")) == set(SHELLS)
    assert answers(script, "charrnn", "train", "--layers", "") == []


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_takes_an_option_with_its_value_for_three_words(script: str) -> None:
    assert answers(script, "charrnn", "train", "--cell", "=", "ls") == ["lstm"]
    assert answers(script, "charrnn", "train", "--cell", "=") == ["auto", *CORES]


def make_runs(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "checkpoints" / name).mkdir(parents=True)
        (folder / "checkpoints" / name / "latest").touch()


@pytest.mark.parametrize("script", ["bash", "fish"], indirect=True)
def test_runs_with_a_checkpoint_are_offered(folder: Path, script: str) -> None:
    make_runs(folder, "one", "two")
    (folder / "checkpoints" / "none").mkdir()
    for option in ("--model", "--resume", "--from"):
        command = "sample" if option == "--model" else "train"
        found = set(answers(script, "charrnn", command, option, "ch"))
        assert {"checkpoints/one", "checkpoints/two"} <= found <= {"checkpoints/one", "checkpoints/two", "checkpoints/"}
    shutil.rmtree(folder / "checkpoints")
    assert answers(script, "charrnn", "sample", "--model", "ch") == []


SESSIONS = {
    "bash": (["--norc", "--noprofile", "-i"], "PS1='ready''> '"),
    "zsh": (["-f", "-i"], "PS1='ready''> '; autoload -Uz compinit; compinit -D -u"),
    "fish": (["--no-config", "-i"], "function fish_prompt; echo -n 'ready''> '; end"),
}


def typed(name: str, keys: bytes, folder: Path) -> list[str]:
    """The arguments that `charrnn` gets when keys are typed into an interactive shell."""
    import pty

    options, set_up = SESSIONS[name]
    define = "function charrnn; printf '%s\\0' $argv > got; end" if name == "fish" else None
    define = define or "charrnn() { printf '%s\\0' \"$@\" > got; }"
    executable = shell(name)
    child, master = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb", HOME=str(folder))
        os.execv(executable, [name, *options])

    def read_until(word: bytes) -> bytes:
        seen = b""
        while word not in seen:
            assert select.select([master], [], [], 60)[0], seen
            seen += os.read(master, 4096)
        return seen

    try:
        os.write(master, f"{set_up}; {define}; source ./script\n".encode())
        read_until(b"ready> ")
        os.write(master, keys)
        while select.select([master], [], [], 0.5)[0]:  # what Tab does is done
            os.read(master, 4096)
        os.write(master, b"\n")
        read_until(b"ready> ")
        return (folder / "got").read_text().rstrip("\0").split("\0")
    finally:
        os.close(master)
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_a_run_is_completed_as_one_word_and_its_name_is_never_run(folder: Path, script: str) -> None:
    make_runs(folder, HOSTILE)
    (folder / "checkpoints" / HOSTILE / "step-1").touch()
    got = typed(script, b"charrnn sam\t --mod\t chec\t", folder)
    assert [each.rstrip("/") for each in got] == ["sample", "--model", f"checkpoints/{HOSTILE}"]
    assert not (folder / "owned").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_commands_options_cores_and_files_are_completed(folder: Path, script: str) -> None:
    (folder / "hamlet.txt").touch()
    assert typed(script, b"charrnn tra\t ham\t --cel\t mog\t", folder) == [
        "train",
        "hamlet.txt",
        "--cell",
        "mogrifier-lstm",
    ]
