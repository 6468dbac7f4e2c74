"""`charrnn sample` with many samples: primes from pipes and lines, JSON lines, states kept in files."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charrnn.checkpoint.format import to_bytes
from charrnn.settings.text import TextConfig
from tests.cli.terminal import on_terminal
from tests.cli.test_sample import MODEL_FILE, write_model
from tests.conftest import Command
from tests.doubles import unigram
from tests.prepared import PROGRAM, prepared

SAMPLE = ("sample", *MODEL_FILE, "--seed", "1", "-q")

# What README says of a line.
SCHEMA = {"sample": int, "seed": int, "prime": str, "text": str, "finish": str, "characters": int, "nats": float}


def records(output: bytes) -> list[dict[str, Any]]:
    assert output.isascii()
    return [json.loads(line) for line in output.splitlines()]


def test_json_lines_have_what_is_documented(folder: Path, charrnn: Command) -> None:
    write_model(folder, a=0.5, **{"\n": -1.0})
    arguments = (*SAMPLE, "-n", "9", "--until-end", "--lines", "2", "--stop", "aa", "--num-samples", "80")
    found = records(charrnn(*arguments, "--json", "--prime", "한b").stdout)
    for index, record in enumerate(found):
        assert {key: type(value) for key, value in record.items()} == SCHEMA
        assert (record["sample"], record["seed"], record["prime"]) == (index, 1, "한b")
        assert len(record["text"]) == record["characters"]
        assert record["finish"] != "length" or record["characters"] == 9
        assert record["finish"] != "lines" or record["text"].count("\n") == 2
        assert "aa" not in record["text"]
    assert {record["finish"] for record in found} == {"end", "stop", "length", "lines"}
    plain = charrnn(*arguments, "-0", "--no-echo", "--prime", "한b").stdout.decode().split("\0")
    assert [record["text"] for record in found] == plain[:-1]


def test_json_of_a_model_of_bytes_loses_nothing(folder: Path, charrnn: Command) -> None:
    write_model(folder, text=TextConfig(unit="byte"))
    arguments = (*SAMPLE, "-n", "50", "--prime", "한")
    (record,) = records(charrnn(*arguments, "--json").stdout)
    exact = base64.b64decode(record["bytes"])
    assert exact == charrnn(*arguments, "--no-echo").stdout
    assert record["prime"] == "한"
    assert record["text"] == exact.decode(errors="replace")
    assert record["characters"] == 50


def test_nats_are_the_models_own(folder: Path, charrnn: Command) -> None:
    (folder / "model.safetensors").write_bytes(to_bytes(unigram({"a": 0.5, "b": 0.5})))
    (record,) = records(charrnn(*SAMPLE, "--json", "-n", "30", "--ban", "b", "-t", "0.1").stdout)
    assert record["text"] == "a" * 30
    assert record["nats"] == pytest.approx(30 * 0.693147, rel=1e-4)


def test_what_is_piped_in_is_the_prime(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = (*SAMPLE, "-n", "9")
    piped = charrnn(*arguments, stdin="한a\n".encode()).stdout
    assert piped == charrnn(*arguments, "--prime", "한a\n").stdout
    empty = charrnn(*arguments, stdin=b"").stdout
    assert empty == charrnn(*arguments, "--prime", "", stdin=b"ab").stdout
    assert len(empty.decode()) == 9
    with prepared().start(arguments, folder, stdout=subprocess.PIPE) as from_nothing:
        assert from_nothing.stdout is not None
        assert from_nothing.stdout.read() == empty
    with (folder / "prime.txt").open("w+b") as file:
        file.write(b"ab")
        file.seek(0)
        with prepared().start(arguments, folder, stdin=file.fileno(), stdout=subprocess.PIPE) as from_file:
            assert from_file.stdout is not None
            assert from_file.stdout.read() == charrnn(*arguments, "--prime", "ab").stdout


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_terminal_is_not_read(folder: Path) -> None:
    write_model(folder)
    code, seen, _ = on_terminal([*SAMPLE, "-n", "9"], folder, streams=["stdout"], timeout=30)
    assert code == 0
    assert seen


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_it_says_that_it_waits_for_a_prime(folder: Path) -> None:
    write_model(folder)
    arguments = [*SAMPLE[:-1], "-n", "9"]
    reading, writing = os.pipe()
    with prepared().start(arguments, folder, stdin=reading, stdout=subprocess.PIPE) as process:
        os.close(reading)
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"waiting for a prime on standard input" in process.stderr.readline()
        os.write(writing, b"ab")
        os.close(writing)
        assert process.stdout.read().startswith(b"ab")


def test_each_line_is_gone_on_from(folder: Path, charrnn: Command) -> None:
    write_model(folder, characters="ab한 ")
    lines = ["한a", "", "b", "a b" * 20] * 6
    (folder / "lines.txt").write_bytes("\r\n".join(lines).encode())
    arguments = (*SAMPLE, "-n", "9", "--prime-lines")
    from_file = charrnn(*arguments, "lines.txt").stdout.decode()
    written = from_file.split("\n")
    assert [line[:-9] for line in written[:-1]] == lines
    assert charrnn(*arguments, "-", stdin=("\n".join(lines) + "\n").encode()).stdout.decode() == from_file
    found = records(charrnn(*arguments, "lines.txt", "--json").stdout)
    assert [record["prime"] + record["text"] for record in found] == written[:-1]
    assert [record["prime"] for record in found] == lines
    assert (
        charrnn(*arguments, "-", stdin="\n".join(lines[:5]).encode()).stdout.decode()
        == from_file[: len("\n".join(written[:5])) + 1]
    )
    nothing = charrnn(*arguments, "-", stdin=b"")
    assert (nothing.returncode, nothing.stdout) == (0, b"")


def test_a_line_that_the_model_cannot_read_is_named(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    done = charrnn(*SAMPLE, "--prime-lines", "-", stdin=b"ab\nb\naXb\n")
    assert done.returncode == 3
    assert b"line 3 has 1 character that the model never saw: 'X' (U+0058) at 1" in done.stderr
    assert done.stdout == b""
    assert b"line 2 is not UTF-8" in charrnn(*SAMPLE, "--prime-lines", "-", stdin=b"ab\n\xff\n").stderr
    assert charrnn(*SAMPLE, "--prime-lines", "-", "--unknown", "skip", stdin=b"aXb\n").stdout.startswith(b"ab")


def test_a_state_is_kept_and_gone_on_from(folder: Path, charrnn: Command) -> None:
    write_model(folder)
    arguments = (*SAMPLE, "-n", "30", "--num-samples", "3", "--repetition-penalty", "1.5")
    whole = charrnn(*arguments, "--prime", "abab한b", "--no-echo").stdout
    kept = charrnn(*arguments, "--prime", "abab한", "--no-echo", "--save-state", "state")
    assert kept.stdout == charrnn(*arguments, "--prime", "abab한", "--no-echo").stdout
    assert charrnn(*arguments, "--load-state", "state").stdout == kept.stdout
    assert charrnn(*arguments, "--load-state", "state", "--prime", "b", "--no-echo").stdout == whole
    again = charrnn(*arguments, "--prime", "a", "--save-state", "state")
    assert again.returncode == 2
    assert b"nothing is overwritten" in again.stderr
    write_model(folder, a=1.0)
    other = charrnn(*arguments, "--load-state", "state")
    assert other.returncode == 4
    assert b"saved with another model" in other.stderr
    assert other.stdout == b""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--prime", "a", "--prime-lines", "x"], b"--prime and --prime-lines both give the prime"),
        (["--prime-lines", "-", "--num-samples", "2"], b"cannot go with --num-samples"),
        (["--prime-lines", "-", "--save-state", "s"], b"cannot go with --prime-lines"),
        (["--load-state", "s", "--label", "x"], b"cannot go with --label"),
        (["--json", "-0"], b"cannot go with --null"),
        (["--json", "-n", "0"], b"give a --length"),
    ],
)
def test_what_does_not_go_together_is_refused(
    folder: Path, charrnn: Command, arguments: list[str], reason: bytes
) -> None:
    write_model(folder)
    done = charrnn(*SAMPLE, *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stdout == b""
    assert not (folder / "s").exists()


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
@pytest.mark.parametrize("more", [(), ("--num-samples", "30")], ids=["one", "many"])
def test_an_endless_text_goes_to_a_reader_until_that_goes(folder: Path, more: tuple[str, ...]) -> None:
    write_model(folder)
    command = f"{sys.executable} -m charrnn {' '.join([*SAMPLE, *more])} -n 0 </dev/null"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 100; echo ${{PIPESTATUS[0]}}"], capture_output=True, cwd=folder, timeout=60
    )
    assert done.stdout.endswith(b"141\n")
    assert len(done.stdout) == 104
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("more", [(), ("--num-samples", "30")], ids=["one", "many"])
def test_an_interrupt_ends_it_at_once(folder: Path, more: tuple[str, ...]) -> None:
    write_model(folder)
    with prepared().start([*SAMPLE, *more, "-n", "0", "--prime", ""], folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)  # what is written is seen while more is being written
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) == 130
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_a_slow_text_is_seen_in_a_pipe_while_it_is_written(folder: Path) -> None:
    write_model(folder)
    slow = "import time; from charrnn.sampling.stream import Stream; take = Stream.take\n"
    slow += "Stream.take = lambda *arguments: time.sleep(0.02) or take(*arguments)\n"
    arguments = [*SAMPLE, "-n", "200", "--prime", ""]
    with prepared().start(arguments, folder, program=slow + PROGRAM, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        assert process.poll() is None  # four seconds of writing lie ahead of it, which a full buffer would wait for
        process.kill()
