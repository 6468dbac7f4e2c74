"""Words that no file is called by, and very long ones: told in a few words with the right exit code, never as a bug."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.render.score_rows import json_line
from tests.conftest import Command, InProcess

LONG, NAME, BYTES = "a" * 100_000, "b" * 300, "x\udcff"
MIXED = "가'\"\\ \t\x1b é" * 5000
TRAIN = ("train", "small.txt", "--steps", "1", "--hidden-size", "4", "--layers", "1")
PLACES: list[tuple[str, ...]] = [
    *[
        ("train", "X"),
        (*TRAIN, "--name", "X"),
        (*TRAIN, "--from", "X"),
        (*TRAIN, "--config", "X"),
        (*TRAIN, "--cell", "X"),
    ],
    *[("train", "--resume", "X"), ("train", "--resume", "auto", "--name", "X"), (*TRAIN, "--steps", "X")],
    *[("sample", "--model", "X"), ("sample", "--prime-file", "X"), ("sample", "--output", "X", "-n", "1")],
    *[("sample", "--load-state", "X"), ("sample", "--save-state", "X", "-n", "1"), ("sample", "--label", "X")],
    *[
        ("sample", "--allow", "\\p{X}"),
        ("sample", "--ban", "ab\\p{X}"),
        ("sample", "--novel", "5", "--corpus", "X"),
        ("sample", "-nX"),
        ("sample", "--X"),
    ],
    *[("eval", "X"), ("eval", "--encoding", "X", "small.txt"), ("eval", "small.txt", "--html", "X"), ("eval", "--X=1")],
    *[("next", "--model", "X"), ("fill", "X"), ("compare", "X"), ("compare", "small.txt", "--cells", "X")],
    *[("memory", "X"), ("inspect", "--find", "X"), ("inspect", "--model", "X"), ("compress", "X"), ("decompress", "X")],
    *[("completion", "X"), ("help", "X"), ("help", "--search", "X"), ("eval", "small.txt", "--label", "X"), ("X",)],
    *[(*TRAIN, "--time", "X"), (*TRAIN, "--learning-rate", "X"), ("compare", "small.txt", "--learning-rates", "X")],
    *[("eval", "small.txt", "--protocol", "X"), ("sample", "a", "X"), ("train", "small.txt", "--seed=X")],
    *[("page", "X", "-o", "-"), ("page", "-o", "X"), ("page", "-o", "-", "--precision", "X")],
]


@pytest.mark.usefixtures("small_text")
@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_no_message_repeats_a_long_word(in_process: InProcess, place: tuple[str, ...]) -> None:
    for word in (LONG, NAME, MIXED):
        arguments = [each.replace("X", word) for each in place]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "100")
            out, told = run(in_process, arguments)
        assert len(told) < 3000
        forms = (word, repr(word), ascii(word), repr(word).replace("\\", "\\\\"))
        assert not [told[k : k + 81] for k in range(len(told)) if any(told[k : k + 81] in each for each in forms)][:-81]
        assert word not in out


def run(in_process: InProcess, arguments: list[str]) -> tuple[str, str]:
    for code in (2, 3, 4, 7):
        try:
            return in_process(*arguments, code=code)
        except AssertionError as error:
            seen = str(error)
    raise AssertionError(seen[:500])


@pytest.mark.parametrize("place", [(*TRAIN, "--name", "X"), ("sample", "--model", "X"), ("eval", "X")])
def test_bytes_that_are_no_text_are_no_bug(charrnn: Command, small_text: Path, place: tuple[str, ...]) -> None:
    ended = charrnn(*(each.replace("X", BYTES).encode("utf-8", "surrogateescape") for each in place))
    assert ended.returncode in (2, 3, 4)
    assert b"bug" not in ended.stderr


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), values))
def test_what_is_written_is_json(record: dict[str, object]) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    line = json_line(record)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line, parse_constant=refuse).keys() == record.keys()


def test_a_number_that_is_not_finite_is_null() -> None:
    assert json_line({"a": [math.inf, -math.inf, (math.nan, 1.5)]}) == '{"a": [null, null, [null, 1.5]]}\n'
