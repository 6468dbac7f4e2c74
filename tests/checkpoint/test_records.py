"""Records of a run are read whatever a crash or a stranger has made of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.records import losses_of, samples_of, to_json


def test_a_torn_line_costs_a_curve_only_a_point(folder: Path) -> None:
    lines = [json.dumps({"split": "training", "step": step, "loss": 1.5}) for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_bytes("\n".join([lines[0], lines[1][:9], lines[2]]).encode() + b"\n\xff{")
    assert losses_of(folder) == {"training": [(1.0, 1.5), (3.0, 1.5)]}
    assert losses_of(folder / "none") == {}


def test_losses_are_told_apart_and_those_that_are_not_finite_left_out(folder: Path) -> None:
    records = [
        {"split": "training", "step": 1, "loss": 2.5},
        {"split": "skipped", "step": 2, "loss": float("nan")},
        {"split": "training", "step": 3, "loss": float("inf")},
        {"split": "validation", "step": 3, "loss": 2.25},
        {"split": ["training"], "step": 3, "loss": 2.0},
        {"step": 3, "loss": 2.0},
    ]
    others = b'{"split": "training"}\n[1]\n3\n{"split": "training", "step": 4, "loss": NaN}\n'
    (folder / "metrics.jsonl").write_bytes(b"".join(map(to_json, records)) + others)
    assert losses_of(folder) == {"training": [(1.0, 2.5)], "validation": [(3.0, 2.25)]}


@given(st.lists(st.tuples(st.integers(0, 10**9), st.text())))
def test_any_sample_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, str]]
) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / "samples.jsonl").write_bytes(b"".join(to_json({"step": step, "text": text}) for step, text in samples))
    assert samples_of(run) == samples
