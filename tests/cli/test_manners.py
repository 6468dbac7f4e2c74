"""What every command owes a shell: its product on stdout, silence when asked for it, and the right end."""

import re
from pathlib import Path

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.cli import app
from tests.checkpoint.test_summary import saved
from tests.cli.processes import TINY
from tests.cli.streams import Commands
from tests.doubles import unigram
from tests.prepared import prepared

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="pseudo-terminals and /dev/full")

# Each as it writes to stdout, which but for a training all of them can.
COMMANDS = {
    "train": ["train", "text", *TINY, "--steps", "3", "--device", "cpu"],
    "sample": ["sample", "--model", "model", "-n", "200", "--seed", "1"],
    "eval": ["eval", "text", "--model", "model", "--device", "cpu"],
    "eval --heat": ["eval", "text", "--heat", "--model", "model", "--device", "cpu"],
    "next": ["next", "--model", "model", "--prime", "ab"],
    "fill": ["fill", "a__a", "--model", "model", "--device", "cpu"],
    "compare": ["compare", "text", *TINY[2:], "--cells", "rnn", "--hidden-sizes", "8", "--learning-rates", "1e-3"],
    "memory": ["memory", "text", "--model", "model", "--targets", "5", "--device", "cpu"],
    "inspect": ["inspect", "text", "--neuron", "1", "--model", "model"],
    "info": ["info", "model", "--check"],
    "export": ["export", "model", "exported", "--force"],
    "verify": ["verify", "run"],
    "compress": ["compress", "text", "-o", "-", "--model", "model"],
    "decompress": ["decompress", "packed", "-o", "-", "--model", "model"],
    "page": ["page", "--model", "model", "-o", "-"],
    "runs": ["runs", "runs"],
    "plot": ["plot", "runs/r"],
    "report": ["report", "model", "-o", "-", "--device", "cpu"],
    "completion": ["completion", "bash"],
    "help": ["help", "sampling"],
    "--help": ["--help"],
    "sample --help": ["sample", "--help"],
    "--version": ["--version"],
}
COMMANDS["compare"] += ["--steps", "3", "--trial-steps", "0", "--device", "cpu"]
SILENT = ["train"]
BINARY = ["compress"]

WRITING = [name for name in COMMANDS if name not in SILENT]
READING_A_MODEL = [name for name, arguments in COMMANDS.items() if "--model" in arguments or name == "report"]
COLOUR = re.compile(rb"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-7]|10[0-7])[0-9;]*m")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Commands in a folder with a text, a model of its characters and an archive."""
    folder = tmp_path_factory.mktemp("manners")
    (folder / "text").write_bytes(b"abacabad\n" * 60)
    probabilities = {"a": 0.4, "b": 0.2, "c": 0.1, "d": 0.1, "\n": 0.1, None: 0.1}
    (folder / "model").write_bytes(to_bytes(unigram(probabilities)))
    run = saved("r", folder / "runs")
    for step in (1, 2, 3):
        run.append_metrics({"split": "training", "step": step, "loss": 1 / step})
    running = Commands(folder)
    assert running.run(*COMMANDS["train"], "--name", "run").code == 0
    packed = running.run(*COMMANDS["compress"])
    assert packed.code == 0, packed.stderr
    (folder / "packed").write_bytes(packed.stdout)
    return running


def quiet(name: str) -> list[str]:
    has_nothing_to_tell = COMMANDS[name][0].startswith("--") or name in ("completion", "help", "sample --help")
    return COMMANDS[name] if has_nothing_to_tell else [*COMMANDS[name], "-q"]


def test_every_command_is_looked_at() -> None:
    assert set(app.COMMANDS) - {"write"} <= set(COMMANDS)  # tests/cli/test_write.py looks at the editor


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_terminal_there_are_no_escapes_and_quiet_is_silent(commands: Commands, name: str) -> None:
    told = commands.run(*COMMANDS[name])
    hushed = commands.run(*quiet(name))
    assert (told.code, hushed.code, hushed.stderr) == (0, 0, b"")
    assert (name in SILENT) == (not told.stdout)
    assert not re.search(rb"[\x1b\r]", told.stderr)
    assert name in BINARY or not re.search(rb"[\x1b\r]", told.stdout + hushed.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_each_stream_is_judged_by_itself(commands: Commands, name: str) -> None:
    seen = commands.run(*COMMANDS[name], stderr="terminal")
    assert seen.code == 0
    assert name in BINARY or not re.search(rb"[\x1b\r]", seen.stdout)
    if name not in BINARY:
        seen = commands.run(*COMMANDS[name], stdout="terminal")
        assert seen.code == 0
        assert not re.search(rb"[\x1b\r]", seen.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_without_colours_or_skills_is_respected(commands: Commands, name: str) -> None:
    stdout = "file" if name in BINARY else "terminal"
    plain = commands.run(*COMMANDS[name], stdout=stdout, stderr="terminal", environment={"NO_COLOR": "1"})
    assert plain.code == 0
    assert not COLOUR.search(plain.stdout + plain.stderr)
    dumb = commands.run(*COMMANDS[name], stdout=stdout, stderr="terminal", environment={"TERM": "dumb"})
    assert dumb.code == 0
    told = b"" if name in BINARY else dumb.stdout
    assert b"\x1b" not in told + dumb.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_told_and_a_reader_that_has_gone_is_not(commands: Commands, name: str) -> None:
    full = commands.run(*quiet(name), stdout="full")
    assert full.code == 7
    assert full.stderr == b"charrnn: cannot write to standard output: No space left on device\n"
    gone = commands.run(*quiet(name), stdout="no reader")
    assert (gone.code, gone.stderr) == (141, b"")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_nobody_need_listen_to_what_is_told(commands: Commands, name: str) -> None:
    for stderr in ("full", "no reader"):
        assert commands.run(*COMMANDS[name], stderr=stderr).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", READING_A_MODEL)
def test_an_interruption_is_silent(commands: Commands, name: str) -> None:
    ended = commands.run(*COMMANDS[name], interrupt_at="charrnn.checkpoint.store.load_model")
    assert (ended.code, ended.stdout, ended.stderr) == (130, b"", b"")


def test_an_endless_sample_and_a_training_are_interrupted_and_leave_the_terminal_as_it_was(commands: Commands) -> None:
    endless = ["sample", "--model", "model", "-n", "0", "-q"]
    ended = commands.run(*endless, interrupt_at="charrnn.cli.process.terminal.safe", stdout="terminal")
    assert (ended.code, ended.stderr) == (130, b"")
    trained = commands.run(*COMMANDS["train"], interrupt_at="charrnn.training.loop.learning_rate", stderr="terminal")
    assert trained.code == 130
    assert trained.stderr.rfind(b"\x1b[?25h") > trained.stderr.rfind(b"\x1b[?25l") >= 0  # the cursor


@pytest.mark.parametrize("name", ["sample", "next", "compress", "decompress", "completion", "--version"])
def test_a_closed_output_is_told(commands: Commands, name: str) -> None:
    with prepared().start(quiet(name), commands.folder, stdout=None) as process:
        assert process.stderr is not None
        assert process.stderr.read().startswith(b"charrnn: standard output is closed")
        assert process.wait() == 7
