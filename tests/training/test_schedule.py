"""Learning rates and plans as functions of the step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.settings.training import TrainingConfig
from charrnn.training.schedule import extended, learning_rate, step_limit, total_at

CONFIG = TrainingConfig(learning_rate=1.0, warmup_steps=10)


@given(st.integers(1, 5000))
def test_the_rate_rises_to_its_peak_and_falls_to_nearly_nothing(total: int) -> None:
    rates = [learning_rate(step, total, CONFIG) for step in range(total)]
    peak = rates.index(max(rates))
    assert peak <= max(total // 10, 1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1, rel=1e-3)
    assert 0 < rates[-1] < (0.03 if total > 100 else 1.1)


def test_warm_up_is_linear() -> None:
    assert [learning_rate(step, 1000, CONFIG) for step in range(10)] == pytest.approx([0.1 * k for k in range(1, 11)])


def test_beyond_the_plan_the_rate_stays_at_its_end() -> None:
    assert learning_rate(2000, 1000, CONFIG) == learning_rate(1000, 1000, CONFIG)


def test_the_first_budget_that_ends_counts() -> None:
    assert step_limit(TrainingConfig(), 7) is None
    assert step_limit(TrainingConfig(steps=50), 7) == 50
    assert step_limit(TrainingConfig(epochs=2.5), 7) == 18
    assert step_limit(TrainingConfig(steps=50, epochs=2), 7) == 14
    assert step_limit(TrainingConfig(epochs=0.001), 7) == 1


def test_a_plan_holds_from_its_step_on() -> None:
    plan = ((0, 1000), (8, 200), (90, 210))
    assert [total_at(plan, step) for step in (0, 7, 8, 89, 90, 500)] == [1000, 1000, 200, 200, 210, 210]


def test_a_new_budget_replaces_what_was_planned_from_here_on() -> None:
    plan = ((0, 1000), (8, 200), (90, 210))
    assert extended(plan, 90, 45.0, None, 400) == ((0, 1000), (8, 200), (90, 400))
    assert extended(plan, 100, 50.0, 200.0, None) == (*plan, (100, 400))  # 150 seconds more at 2 steps a second
    assert extended(plan, 100, 50.0, 200.0, 300) == (*plan, (100, 300))
    assert extended(plan, 100, 50.0, 20.0, None) == (*plan, (100, 100))
