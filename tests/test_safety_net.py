"""The net is tested: with any of the promises broken on purpose, some test turns red."""

import re
from pathlib import Path

import pytest

from tests.prepared import prepared
from tests.sabotage import BREAKS

pytestmark = pytest.mark.slow

PYTEST = """
import os, sys
sys.path.insert(0, os.getcwd())
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("sabotage", BREAKS)
def test_a_broken_promise_turns_a_test_red(sabotage: str) -> None:
    done = prepared().run(
        ["-p", "tests.sabotage", "-q", "-x", "-n0", "-p", "no:cacheprovider", BREAKS[sabotage].tests],
        Path(__file__).parents[1],
        program=PYTEST,
        environment={"SABOTAGE": sabotage},
    )
    told = done.stdout.decode()
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, told[-2000:]
    assert re.search(r"^1 failed", told.splitlines()[-1])  # a test that failed, and none that could not run
