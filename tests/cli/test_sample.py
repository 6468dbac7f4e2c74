"""`charrnn sample` in real processes: what goes to which stream, and exactly what."""

import os
from pathlib import Path

import pytest

from charrnn.checkpoint.format import Checkpoint, to_bytes
from charrnn.settings.model import ModelConfig
from charrnn.settings.run import RunConfig
from charrnn.settings.text import TextConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.terminal import on_terminal
from tests.conftest import Command, random_checkpoint

MODEL = ModelConfig("gru", 2, 6, "embedding", 4, 0.0)
MODEL_FILE = ("--model", "model.safetensors")


def write_model(folder: Path, characters: str = "ab한\n", text: TextConfig | None = None, **bias: float) -> Checkpoint:
    """A model in `folder`, with the given additions to the logits of characters and tokens."""
    text = text or TextConfig()
    vocabulary = Vocabulary.of(characters, text.unit)
    made = random_checkpoint(MODEL, vocabulary)
    checkpoint = Checkpoint(RunConfig(text=text, model=MODEL), vocabulary, made.model)
    for name, value in bias.items():
        token = vocabulary.end if name == "end" else int(vocabulary.encode(name)[0])
        checkpoint.model["head.bias"][token] += value
    (folder / "model.safetensors").write_bytes(to_bytes(checkpoint))
    return checkpoint


def test_stdout_is_the_text_and_nothing_else(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    done = charrnn("sample", *MODEL_FILE, "--prime", "한a", "-n", "40", "--seed", "1")
    assert done.returncode == 0
    assert done.stdout.decode().startswith("한a")
    assert len(done.stdout.decode()) == 42
    assert b"seed 1" in done.stderr
    assert b"numpy on the CPU" in done.stderr
    assert b"model.safetensors" in done.stderr
    quiet = charrnn("sample", *MODEL_FILE, "--prime", "한a", "-n", "40", "--seed", "1", "-q")
    assert quiet.stdout == done.stdout
    assert quiet.stderr == b""


def test_engines_write_the_same_text(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "-n", "60", "--temperature", "0")
    assert charrnn(*arguments, "--engine", "torch").stdout == charrnn(*arguments, "--engine", "numpy").stdout


def test_a_seed_is_chosen_and_told_so_that_the_text_can_be_had_again(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    first = charrnn("sample", *MODEL_FILE)
    seed = first.stderr.decode().split("seed ")[1].split()[0]
    assert charrnn("sample", *MODEL_FILE, "--seed", seed).stdout == first.stdout
    assert charrnn("sample", *MODEL_FILE).stdout != first.stdout


def test_the_prime_can_stay_unwritten(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "--prime", "ab", "-n", "9", "--seed", "1")
    assert charrnn(*arguments, "--no-echo").stdout == charrnn(*arguments).stdout[2:]


def test_the_prime_can_come_from_a_file_or_a_pipe_newline_and_all(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    (folder / "prime.txt").write_bytes(b"ab\n")
    arguments = ("sample", *MODEL_FILE, "-n", "9", "--seed", "1")
    from_file = charrnn(*arguments, "--prime-file", "prime.txt").stdout
    assert from_file.startswith(b"ab\n")
    assert charrnn(*arguments, "--prime-file", "-", stdin=b"ab\n").stdout == from_file
    assert charrnn(*arguments, "--prime", "ab\n").stdout == from_file


def test_unknown_characters_can_be_left_out(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "-n", "9", "--seed", "1")
    skipped = charrnn(*arguments, "--prime", "aXb", "--unknown", "skip")
    assert skipped.stdout == charrnn(*arguments, "--prime", "ab").stdout
    assert charrnn(*arguments, "--prime", "aXb", "--unknown", "token").returncode == 0


def test_several_samples_each_end_with_a_newline(folder: Path, charrnn: Command) -> None:
    write_model(folder, characters="ab")
    three = charrnn("sample", *MODEL_FILE, "-n", "9", "--seed", "1", "--num-samples", "3").stdout.decode()
    assert [len(line) for line in three.split("\n")] == [9, 9, 9, 0]
    assert len(set(three.split("\n"))) == 4
    five = charrnn("sample", *MODEL_FILE, "-n", "9", "--seed", "1", "--num-samples", "5").stdout.decode()
    assert five.startswith(three)


def test_a_document_ends_where_the_model_ends_it(folder: Path, charrnn: Command) -> None:
    write_model(folder, characters="ab", text=TextConfig(documents="line"), end=2.0)
    arguments = ("sample", *MODEL_FILE, "-n", "200", "--seed", "1", "--num-samples", "4")
    lengths = [len(line) for line in charrnn(*arguments).stdout.split(b"\n")[:-1]]
    assert len(lengths) == 4
    assert max(lengths) < 200
    assert [len(line) for line in charrnn(*arguments, "--no-until-end").stdout.split(b"\n")[:-1]] == [200] * 4


def test_a_model_of_bytes_writes_bytes(folder: Path, charrnn: Command) -> None:
    write_model(folder, text=TextConfig(unit="byte"))
    done = charrnn("sample", *MODEL_FILE, "-n", "300", "--prime", b"\xff\xfe", "--seed", "1")
    assert done.stdout.startswith(b"\xff\xfe")
    assert len(done.stdout) == 302
    with pytest.raises(UnicodeDecodeError):
        done.stdout.decode()


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}])
def test_any_locale_gets_utf8(folder: Path, charrnn: Command, new_charrnn: Command, locale: dict[str, str]) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "-n", "40", "--seed", "1")
    assert new_charrnn(*arguments, **locale).stdout == charrnn(*arguments).stdout


def test_the_environment_names_the_model(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    done = charrnn("sample", CHARRNN_MODEL="model.safetensors", CHARRNN_LENGTH="5", CHARRNN_SEED="3")
    assert len(done.stdout.decode()) == 5
    assert b"seed 3" in done.stderr
    assert len(charrnn("sample", "-n", "6", CHARRNN_MODEL="model.safetensors", CHARRNN_LENGTH="5").stdout.decode()) == 6


def test_the_demo_writes_right_after_installation(charrnn: Command) -> None:
    done = charrnn("sample", "--prime", "hello")
    assert done.returncode == 0
    assert done.stdout.startswith(b"hello")
    assert b"(the demo, as there is no run in ./checkpoints; train one of your own)" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_on_a_terminal_controls_are_shown_and_cannot_drive_it(folder: Path) -> None:
    write_model(folder, characters="a\x1b\x9b\u202e[", **{"\x1b": 2.0})
    code, seen, piped = on_terminal(["sample", *MODEL_FILE, "--seed", "1"], folder, streams=["stdout"])
    assert code == 0
    assert b"\\x1b" in seen
    assert b"\\x9b" in seen
    assert not {b"\x1b", b"\xc2\x9b", b"\xe2\x80\xae"} & {seen[k : k + n] for n in (1, 2, 3) for k in range(len(seen))}
    assert seen.endswith(b"\n")
    assert b"\x1b" not in piped
    _, _, raw = on_terminal(["sample", *MODEL_FILE, "--seed", "1"], folder, streams=["stderr"])
    assert raw.count(b"\x1b") > 100


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_on_a_terminal_an_incomplete_character_is_shown_as_such(folder: Path) -> None:
    korean = "한".encode()
    write_model(folder, text=TextConfig(unit="byte"))
    arguments = ["sample", *MODEL_FILE, "--prime", "한한", "-n", "1", "-t", "0", "-q"]
    _, seen, _ = on_terminal(arguments, folder, streams=["stdout"])
    assert seen.startswith(korean * 2)
    assert seen.decode()


@pytest.mark.slow
def test_a_long_prime_is_read(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    prime = "ab" * 50_000
    done = charrnn("sample", *MODEL_FILE, "--prime-file", "-", "--no-echo", "-n", "5", stdin=prime.encode())
    assert len(done.stdout.decode()) == 5


def test_the_controls_reach_the_text(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "-n", "80", "--seed", "1")
    whole = charrnn(*arguments).stdout.decode()
    assert charrnn(*arguments, "--stop", "한a", "--stop", "aaaaaaaa").stdout.decode() == whole[: whole.find("한a")]
    assert charrnn(*arguments, "--lines", "2").stdout.decode() == "".join(whole.splitlines(keepends=True)[:2])
    assert set(charrnn(*arguments, "--ban", r"\s\p{Hangul}").stdout.decode()) == {"a", "b"}
    others = ("--min-p", "0.9", "--typical", "0.5", "--repetition-penalty", "1.5", "--repetition-window", "3")
    assert len(charrnn(*arguments, *others).stdout.decode()) == 80


def test_a_stop_text_is_found_in_bytes(folder: Path, charrnn: Command) -> None:
    write_model(folder, text=TextConfig(unit="byte"))
    arguments = ("sample", *MODEL_FILE, "-n", "300", "--seed", "1")
    whole = charrnn(*arguments).stdout
    assert charrnn(*arguments, "--stop", whole[100:102]).stdout == whole[: whole.find(whole[100:102])]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--stop", ""], b"--stop must be some text"),
        (["--min-length", "9", "-n", "8"], b"--min-length 9 is more than --length 8"),
        (["--min-p", "0"], b"--min-p must be"),
        (["--typical", "nan"], b"--typical must be"),
        (["--repetition-penalty", "inf"], b"--repetition-penalty must be"),
        (["--allow", "z", "--prime", "ab"], b"leave none"),
        (["--ban", r"\q"], b"unknown class"),
    ],
)
def test_what_cannot_be_sampled_is_refused(folder: Path, charrnn: Command, arguments: list[str], reason: bytes) -> None:
    write_model(folder)
    done = charrnn("sample", *MODEL_FILE, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stdout == b""


def test_samples_can_end_with_nul(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = ("sample", *MODEL_FILE, "-n", "30", "--seed", "1")
    one = charrnn(*arguments).stdout
    assert charrnn(*arguments, "-0").stdout == one + b"\0"
    three = charrnn(*arguments, "-0", "--num-samples", "3", "--escape").stdout
    assert [len(sample.decode()) for sample in three.split(b"\0")] == [30, 30, 30, 0]
    assert three.startswith(one + b"\0")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_raw_and_escape_force_either(folder: Path, charrnn: Command) -> None:
    write_model(folder, characters="a\x1b", **{"\x1b": 2.0})
    arguments = ["sample", *MODEL_FILE, "--seed", "1", "-q"]
    plain = charrnn(*arguments).stdout
    escaped = charrnn(*arguments, "--escape").stdout
    assert b"\x1b" not in escaped
    assert escaped == plain.replace(b"\x1b", b"\\x1b")
    assert on_terminal([*arguments, "--raw"], folder, streams=["stdout"])[1].startswith(plain)
