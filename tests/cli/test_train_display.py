"""What a training that is not watched says of the time that it takes."""

from pathlib import Path

import pytest

from charrnn.cli.render.display import training_display
from charrnn.events import Began, Reported


def reported(step: int, total_steps: int, seconds_left: float) -> Reported:
    return Reported(step, total_steps, step / 100, 2.0, 0.5, 1e-3, 12_345.6, 3.0, seconds_left)


def test_it_says_how_long_it_takes_once_the_pace_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display(quiet=False) as show:
        show(reported(10, 500, 90.0))  # with the warming up in it
        assert "to go" not in capsys.readouterr().err
        show(reported(20, 800, 175.4))
        assert (
            capsys.readouterr().err
            == "charrnn: about 2:55 to go at 12,346 characters/s: 800 steps, 8.0 epochs in all\n"
        )
        show(reported(30, 800, 170.0))
        assert "to go" not in capsys.readouterr().err


def test_a_training_that_is_over_by_then_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with training_display(quiet=False) as show:
        show(reported(10, 20, 1.0))
        show(reported(20, 20, 0.0))
    assert "to go" not in capsys.readouterr().err


@pytest.mark.parametrize(("step", "told"), [(0, "runs/a: gru"), (1200, "runs/a from step 1,200 on: gru")])
def test_a_run_that_goes_on_says_from_where(capsys: pytest.CaptureFixture[str], step: int, told: str) -> None:
    with training_display(quiet=False) as show:
        show(Began(Path("runs/a"), step, "gru", 10, 20, 0, 5, "cpu"))
    assert capsys.readouterr().err.startswith(f"charrnn: {told}")
