"""Curves of losses: what is shown of them, and a picture that has every point in it."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint.records import Points
from charrnn.export.curves import curve, thinned, visible

LOSSES = st.lists(st.floats(0, 20), min_size=1, max_size=60)


def steps(losses: list[float]) -> Points:
    return [(float(step), loss) for step, loss in enumerate(losses, 1)]


def test_the_first_losses_do_not_make_the_rest_flat() -> None:
    assert visible([steps([9.0, 8.0, *[1.5, 1.0] * 50])]) == (1.0, 1.5)
    assert visible([[(1.0, 2.0)], [(1.0, 3.0)]]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="no losses"):
        visible([[], []])


@given(LOSSES, st.integers(1, 30))
def test_thinning_keeps_the_mean_and_the_order(losses: list[float], most: int) -> None:
    points = thinned(steps(losses), most)
    assert len(points) == min(len(losses), most)
    assert [step for step, _ in points] == sorted(step for step, _ in points)
    assert min(losses) - 1e-9 <= min(loss for _, loss in points)
    assert max(loss for _, loss in points) <= max(losses) + 1e-9
    if len(losses) % most == 0:  # groups of the same size
        assert math.isclose(sum(p for _, p in points) / len(points), sum(losses) / len(losses), abs_tol=1e-9)


@given(LOSSES, LOSSES)
def test_any_losses_are_a_picture_within_its_frame(training: list[float], validation: list[float]) -> None:
    losses = {"training": steps(training), "validation": steps(validation)}
    picture = ElementTree.fromstring(curve(losses))
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    lines = picture.findall("polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [len(training), len(validation)]
    places = [tuple(map(float, place.split(","))) for line in lines for place in line.attrib["points"].split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    told = [each.findtext("title") for each in picture.findall("circle")]
    assert told == [f"step {k}: {loss:.4f} nats per character" for k, loss in enumerate(validation, 1)]
    assert f"validation ends at {validation[-1]:.4f}" in picture.attrib["aria-label"]


def test_lower_losses_are_lower_and_later_steps_to_the_right() -> None:
    (points,) = re.findall('points="([^"]*)"', curve({"training": steps([3.0, 2.0, 1.0])}))
    places = [tuple(map(float, each.split(","))) for each in points.split()]
    assert places == sorted(places)
    assert places[0][1] == places[1][1] < places[2][1]  # the highest of three is at the edge


@given(st.floats(0, 10), st.floats(0, 10))
def test_every_range_has_a_few_round_losses(low: float, span: float) -> None:
    losses = {"training": steps([low, low + span, low + span, low + span])}
    labels = [each.text for each in ElementTree.fromstring(curve(losses)).findall("text")]
    assert len(labels) <= 6 + 5 + 3


def test_one_loss_is_no_curve() -> None:
    assert curve({}) == curve({"training": [(1.0, 2.0)]}) == ""
