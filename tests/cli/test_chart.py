"""Charts and maps in characters: every point is where its value says."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.render.chart import chart, scatter

NUMBERS = st.floats(-1e6, 1e6)


def test_a_chart_has_each_point_at_its_value() -> None:
    lines = list(chart("title", ["1", "all"], {"one": [0.0, 2.0], "two": [1.0, 2.0]}, height=3))
    assert lines == [
        "title\n",
        "    2.00 │         o\n",
        "    1.00 │   x\n",
        "    0.00 │   o\n",
        "         └────────────\n",
        "            1    all\n",
        "          o one   x two\n",
    ]


def test_many_curves_are_all_drawn() -> None:
    names = [f"curve{number}" for number in range(20)]
    lines = list(chart("", ["k"], {name: [float(number)] for number, name in enumerate(names)}, height=20))
    assert all(line.split("│")[1].strip() for line in lines[1:21])
    assert lines[-1].split()[1::2] == names


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_any_curve_fits(values: list[float]) -> None:
    lines = list(chart("", ["k"] * len(values), {"curve": values}))
    assert sum(line.count("o") for line in lines[1:13]) == len(values)
    assert len(lines) == 16


@given(st.lists(st.tuples(st.sampled_from(["a", "한", "newline"]), NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_names_on_a_map_never_cover_each_other(points: list[tuple[str, float, float]]) -> None:
    rows = list(scatter(points, 80, 30))
    assert len(rows) == 30
    names = [name for row in rows for name in row.split()]
    assert sorted(names) == sorted(name for name, _, _ in points)


def test_names_stand_where_they_belong() -> None:
    rows = list(scatter([("w", 0, 5), ("n", 5, 10), ("s", 5, 0), ("e", 10, 5)], 21, 11))
    assert (rows[0], rows[10]) == (" " * 10 + "n\n", " " * 10 + "s\n")
    assert rows[5] == "w" + " " * 19 + "e\n"
