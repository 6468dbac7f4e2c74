"""The net is tested: with any of the promises broken on purpose, some test turns red."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sabotage import BREAKS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("sabotage", BREAKS)
def test_a_broken_promise_turns_a_test_red(sabotage: str) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.sabotage", "-q", "-x", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, BREAKS[sabotage].tests],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "SABOTAGE": sabotage},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-2000:]
    assert re.search(r"^1 failed", done.stdout.splitlines()[-1])  # a test that failed, and none that could not run
