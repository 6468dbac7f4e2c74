"""What goes on beside a training: no second one in its run, and whoever reads the run finds a whole model, always."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from charrnn.checkpoint import store
from charrnn.checkpoint.format import to_bytes
from charrnn.checkpoint.store import FoundModel, Run, find_model, load_model
from charrnn.errors import CheckpointError
from charrnn.evaluation.evaluate import evaluate
from charrnn.sampling.engines import open_engine
from charrnn.sampling.generate import generate
from charrnn.settings.model import ModelConfig
from charrnn.settings.sampling import SamplingConfig
from charrnn.text.vocabulary import Vocabulary
from tests.cli.processes import TINY, command_at, shell_code
from tests.conftest import Command, random_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="POSIX signals and locks")]

TRAIN = ("train", "small.txt", *TINY, "--validate-every", "1", "--name", "r")
RUN = Path("checkpoints/r")
IMPORTS = (
    "import sys\nfrom charrnn.cli.app import main\ntry: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
)


def test_a_second_training_is_refused_until_the_first_is_gone(small_text: Path, charrnn: Command) -> None:
    arguments = (*TRAIN, "--steps", "9")
    with command_at("charrnn.training.loop.learning_rate", 4, arguments, small_text.parent, seconds=60) as first:
        command = [sys.executable, "-c", IMPORTS, "train", "--resume", str(RUN)]
        second = subprocess.run(command, capture_output=True, timeout=30)
        assert second.returncode == 5
        told, loaded = second.stderr.decode().splitlines()
        assert f"another training is writing {RUN} (process {first.pid} on {os.uname().nodename} since " in told
        assert loaded == "False"  # which is why it takes no second
        assert charrnn("sample", "-n", "5").returncode == 0
        first.send_signal(signal.SIGKILL)
        assert shell_code(first) == 137
    third = charrnn("train", "--resume", str(RUN))
    assert third.returncode == 0, third.stderr
    assert b"finished at step 9" in third.stderr


def test_a_run_can_be_read_while_it_is_written(small_text: Path) -> None:
    config = SamplingConfig(length=5, seed=0)
    endless = (*TRAIN, "--steps", "1000000", "--report-every", "1000", "-q")
    used = set()
    with command_at("charrnn.training.loop.learning_rate", 3, endless, small_text.parent, seconds=0) as process:
        for call in range(500):
            found, checkpoint = load_model((None, str(RUN))[call % 2])
            used.add(found.path.name)
            if call % 10:
                engine = open_engine(checkpoint, config, "numpy", "cpu").engine
                text = "".join(generate(engine, checkpoint.vocabulary, config, checkpoint.vocabulary.encode("the ")))
                assert len(text) == 5
            else:
                assert evaluate(checkpoint, ("small.txt",), device="cpu").score.characters > 0
        assert process.poll() is None
    assert len(used) > 5
    assert Run(RUN).checkpoints()


@pytest.mark.parametrize("why", ["a newer one is saved", "it is removed"])
def test_a_checkpoint_that_goes_between_finding_and_reading_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    data = to_bytes(random_checkpoint(ModelConfig("gru", 1, 4, "embedding", 3, 0.0), Vocabulary("ab")))
    RUN.mkdir(parents=True)
    old = Run(RUN).save(data, 1, best=True)
    steps = iter([2, 3, 4])

    def find_and_lose(model: str | None) -> FoundModel:
        found = find_model(model)
        for step in steps:
            if why == "a newer one is saved":
                Run(RUN).save(data, step, best=True)
        old.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(store, "find_model", find_and_lose)
    if why == "a newer one is saved":
        assert load_model(str(RUN))[0].path == RUN / "step-00000004.safetensors"
    else:
        with pytest.raises(CheckpointError, match=f"there is no checkpoint at {old}"):
            load_model(str(RUN))
