"""The clock of a training, with a clock of our own."""

import pytest

from charrnn.config import TrainingConfig
from charrnn.training import clock as pace_module
from charrnn.training.clock import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace_module, "time", clock)
    return clock


def run(clock: Clock, pace: Pace, step_seconds: list[float], validation_seconds: float = 0.0) -> int:
    """Train with steps of given durations, the last one repeated; the number of steps."""
    step = 0
    while step < pace.total(step):
        clock.now += step_seconds[min(step, len(step_seconds) - 1)]
        step += 1
        validates = pace.validation_is_due(step)
        if validates or pace.report_is_due(step) or step >= pace.total(step):
            pace.lap(step)
        if validates or step >= pace.total(step):
            clock.now += validation_seconds
            pace.interrupted()
    return step


@pytest.mark.parametrize("seconds_each", [0.003, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("validation_seconds", [0.0, 2.0])
def test_a_time_budget_is_met(clock: Clock, seconds_each: float, validation_seconds: float) -> None:
    pace = Pace(TrainingConfig(time=120.0), (), None, validation_steps=validation_seconds / seconds_each)
    run(clock, pace, [seconds_each], validation_seconds)
    assert 120 - 3 * seconds_each - 2 <= pace.seconds <= 120 + seconds_each + 0.6


def test_a_machine_that_slows_down_meets_it_too(clock: Clock) -> None:
    pace = Pace(TrainingConfig(time=60.0), (), None)
    run(clock, pace, [0.01] * 1000 + [0.03] * 500 + [0.015])
    assert pace.seconds == pytest.approx(60, abs=1)
    assert len(pace.plan) > 3


def test_a_step_longer_than_the_budget_is_the_only_one(clock: Clock) -> None:
    pace = Pace(TrainingConfig(time=5.0), (), None)
    assert run(clock, pace, [30.0]) == 1


def test_the_recorded_plan_is_followed_whatever_the_clock_says(clock: Clock) -> None:
    first = Pace(TrainingConfig(time=30.0), (), None)
    steps = run(clock, first, [0.01])
    again = Pace(TrainingConfig(time=30.0), first.plan, None, repeats=True)
    assert run(clock, again, [1.7]) == steps
    assert again.plan == first.plan


def test_a_budget_of_steps_needs_no_plan_changes(clock: Clock) -> None:
    pace = Pace(TrainingConfig(steps=700), (), 700)
    assert run(clock, pace, [0.01]) == 700
    assert pace.plan == ((0, 700),)


def test_of_time_and_steps_the_first_to_end_counts(clock: Clock) -> None:
    assert run(clock, Pace(TrainingConfig(time=10.0), (), 200), [0.01]) == 200
    assert run(clock, Pace(TrainingConfig(time=1.5), (), 200), [0.01]) == pytest.approx(150, abs=5)


def test_reports_come_every_second_and_validations_twenty_times(clock: Clock) -> None:
    pace = Pace(TrainingConfig(time=100.0), (), None)
    run(clock, pace, [0.02])
    assert pace.report_every == 50
    assert pace.validate_every == pytest.approx(250, rel=0.05)


def test_validation_takes_a_twentieth_of_the_time_at_most(clock: Clock) -> None:
    pace = Pace(TrainingConfig(time=100.0), (), None, validation_steps=100)
    run(clock, pace, [0.02], validation_seconds=2.0)
    assert pace.validate_every == pytest.approx(2000, rel=0.05)


def test_in_a_long_run_validation_is_never_far_away(clock: Clock) -> None:
    pace = Pace(TrainingConfig(time=36_000.0), (), None)
    run(clock, pace, [5.0])
    assert pace.validate_every == 24


def test_intervals_that_are_given_are_kept(clock: Clock) -> None:
    pace = Pace(TrainingConfig(steps=300, report_every=7, validate_every=31), (), 300)
    run(clock, pace, [0.02])
    assert (pace.report_every, pace.validate_every) == (7, 31)


def test_time_left_is_told(clock: Clock) -> None:
    timed = Pace(TrainingConfig(time=100.0), (), None, spent=30.0)
    assert timed.seconds_left(0) == pytest.approx(70)
    counted = Pace(TrainingConfig(steps=100, report_every=10), (), 100)
    clock.now += 5.0
    counted.lap(10)
    assert counted.seconds_left(10) == pytest.approx(45)
