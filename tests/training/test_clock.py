"""The fake_time of a training, with a fake_time of our own."""

import pytest

from charrnn.settings.training import TrainingConfig
from charrnn.training import clock as clock_module
from charrnn.training.clock import Clock


class FakeTime:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake_time = FakeTime()
    monkeypatch.setattr(clock_module, "time", fake_time)
    return fake_time


def run(fake_time: FakeTime, clock: Clock, step_seconds: list[float], validation_seconds: float = 0.0) -> int:
    """Train with steps of given durations, the last one repeated; the number of steps."""
    step = 0
    while step < clock.total(step):
        fake_time.now += step_seconds[min(step, len(step_seconds) - 1)]
        step += 1
        validates = clock.validation_is_due(step)
        if validates or clock.report_is_due(step) or step >= clock.total(step):
            clock.lap(step)
        if validates or step >= clock.total(step):
            fake_time.now += validation_seconds
            clock.interrupted()
    return step


@pytest.mark.parametrize("seconds_each", [0.003, 0.1, 0.7, 3.0])
@pytest.mark.parametrize("validation_seconds", [0.0, 2.0])
def test_a_time_budget_is_met(fake_time: FakeTime, seconds_each: float, validation_seconds: float) -> None:
    clock = Clock(TrainingConfig(time=120.0), (), None, validation_steps=validation_seconds / seconds_each)
    run(fake_time, clock, [seconds_each], validation_seconds)
    assert 120 - 3 * seconds_each - 2 <= clock.seconds <= 120 + seconds_each + 0.6


def test_a_machine_that_slows_down_meets_it_too(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(time=60.0), (), None)
    run(fake_time, clock, [0.01] * 1000 + [0.03] * 500 + [0.015])
    assert clock.seconds == pytest.approx(60, abs=1)
    assert len(clock.plan) > 3


def test_a_step_longer_than_the_budget_is_the_only_one(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(time=5.0), (), None)
    assert run(fake_time, clock, [30.0]) == 1


def test_the_recorded_plan_is_followed_whatever_the_clock_says(fake_time: FakeTime) -> None:
    first = Clock(TrainingConfig(time=30.0), (), None)
    steps = run(fake_time, first, [0.01])
    again = Clock(TrainingConfig(time=30.0), first.plan, None, repeats=True)
    assert run(fake_time, again, [1.7]) == steps
    assert again.plan == first.plan


def test_a_budget_of_steps_needs_no_plan_changes(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(steps=700), (), 700)
    assert run(fake_time, clock, [0.01]) == 700
    assert clock.plan == ((0, 700),)


def test_of_time_and_steps_the_first_to_end_counts(fake_time: FakeTime) -> None:
    assert run(fake_time, Clock(TrainingConfig(time=10.0), (), 200), [0.01]) == 200
    assert run(fake_time, Clock(TrainingConfig(time=1.5), (), 200), [0.01]) == pytest.approx(150, abs=5)


def test_reports_come_every_second_and_validations_twenty_times(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(time=100.0), (), None)
    run(fake_time, clock, [0.02])
    assert clock.report_every == 50
    assert clock.validate_every == pytest.approx(250, rel=0.05)


def test_validation_takes_a_twentieth_of_the_time_at_most(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(time=100.0), (), None, validation_steps=100)
    run(fake_time, clock, [0.02], validation_seconds=2.0)
    assert clock.validate_every == pytest.approx(2000, rel=0.05)


def test_in_a_long_run_validation_is_never_far_away(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(time=36_000.0), (), None)
    run(fake_time, clock, [5.0])
    assert clock.validate_every == 24


def test_intervals_that_are_given_are_kept(fake_time: FakeTime) -> None:
    clock = Clock(TrainingConfig(steps=300, report_every=7, validate_every=31), (), 300)
    run(fake_time, clock, [0.02])
    assert (clock.report_every, clock.validate_every) == (7, 31)


def test_time_left_is_told(fake_time: FakeTime) -> None:
    timed = Clock(TrainingConfig(time=100.0), (), None, spent=30.0)
    assert timed.seconds_left(0) == pytest.approx(70)
    counted = Clock(TrainingConfig(steps=100, report_every=10), (), 100)
    fake_time.now += 5.0
    counted.lap(10)
    assert counted.seconds_left(10) == pytest.approx(45)
    both = Clock(TrainingConfig(time=1000.0, steps=100, report_every=10), (), 100)
    fake_time.now += 5.0
    both.lap(10)
    assert both.seconds_left(10) == pytest.approx(45)


@pytest.mark.parametrize("start_up", [0.0, 3.0, 20.0])
def test_the_start_up_of_a_gpu_counts_for_nothing(fake_time: FakeTime, start_up: float) -> None:
    clock = Clock(TrainingConfig(time=120.0), (), None, starts_up=True)
    run(fake_time, clock, [start_up + 0.01, 0.01])
    usual = (120 - start_up) / 0.01
    assert all(total == 1000 or total == pytest.approx(usual, rel=0.03) for _, total in clock.plan)
    assert clock.report_every == 100
    assert clock.validate_every == pytest.approx(usual / 20, rel=0.1)
    assert clock.seconds == pytest.approx(120, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("estimated", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("measured", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("starts_up", [False, True])
@pytest.mark.parametrize("seconds_each", [0.002, 0.05])
def test_a_twentieth_of_a_run_is_not_learning_whatever_was_estimated(
    fake_time: FakeTime, estimated: float, measured: float, starts_up: bool, seconds_each: float
) -> None:
    """But for the first validation, of which nothing was known, and the last, which a run always has."""
    clock = Clock(TrainingConfig(time=180.0), (), None, validation_steps=estimated / seconds_each, starts_up=starts_up)
    start = fake_time.now
    steps = run(fake_time, clock, [seconds_each], measured)
    not_learning = fake_time.now - start - steps * seconds_each
    assert not_learning <= 0.05 * 180 + 2 * measured
    assert clock.validate_every is not None
    assert clock.validate_every >= 0.95 * 20 * measured / seconds_each  # as measured, not as estimated
    assert clock.validate_every <= 1.05 * max(20 * measured, 180 / 20) / seconds_each


def test_validations_stay_where_they_were_if_patience_counts_them(fake_time: FakeTime) -> None:
    intervals = []
    for patience in (None, 3):
        clock = Clock(TrainingConfig(time=180.0, patience=patience), (), None, validation_steps=1)
        run(fake_time, clock, [0.01], validation_seconds=2.0)
        intervals.append(clock.validate_every)
    assert intervals == [pytest.approx(4000, rel=0.05), pytest.approx(900, rel=0.05)]
