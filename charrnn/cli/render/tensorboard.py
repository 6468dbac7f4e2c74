"""Events of a training as scalars for TensorBoard, in an event file in the run's folder; by tensorboardX, an extra."""

import importlib.util
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from charrnn.errors import ResourceError, UsageError
from charrnn.events import Began, Event, Finished, Reported, Validated
from charrnn.messages import named

__all__ = ["TensorBoard", "check_tensorboard"]


def check_tensorboard() -> None:
    """Raise UsageError if tensorboardX is not installed."""
    if importlib.util.find_spec("tensorboardX") is None:
        needed = f"{named('tensorboard')} needs tensorboardX, which is not installed"
        raise UsageError(f"{needed}: pip install 'charrnn-text[tensorboard]'")


class TensorBoard:
    """Writes the event file of a training.

    It writes each event at once, by the library's parts. Its `SummaryWriter` does so in a thread, and where the disk is
    full that thread ends, and the training would wait for it for ever.
    """

    def __init__(self) -> None:
        self._path = Path()
        self._writer: Any = None

    def take(self, event: Event) -> None:
        """Write the scalars of an event, if it has any.

        Raises:
            ResourceError: the file cannot be written.
        """
        try:
            match event:
                case Began():
                    self._open(event.run, event.step)
                case Reported():
                    self._write(
                        event.step,
                        {
                            "loss/training": event.loss,
                            "gradient_norm": event.gradient_norm,
                            "learning_rate": event.learning_rate,
                            "characters_per_second": event.characters_per_second,
                        },
                    )
                case Validated():
                    self._write(event.step, {"loss/validation": event.loss})
                case Finished():
                    self._writer.close()
                case _:
                    pass
        except OSError as error:
            raise ResourceError(f"cannot write an event file in {self._path}: {error.strerror or error}") from error

    def _open(self, run: Path, step: int) -> None:
        """Begin a file; of a training that goes on, it takes what older files have after the step out of sight."""
        self._path = run
        own = f".{os.getpid()}.{step}"  # the name has only seconds, and a file of that name would be overwritten
        self._writer = import_module("tensorboardX.event_file_writer").EventsWriter(str(run / "events"), own)
        if step:
            proto = import_module("tensorboardX.proto.event_pb2")
            log = proto.SessionLog(status=proto.SessionLog.START)
            self._put(proto.Event(wall_time=time.time(), step=step + 1, session_log=log))

    def _write(self, step: int, values: dict[str, float]) -> None:
        proto, scalar = import_module("tensorboardX.proto.event_pb2"), import_module("tensorboardX.summary").scalar
        event = proto.Event(wall_time=time.time(), step=step)
        for name, value in values.items():
            event.summary.MergeFrom(scalar(name, value))
        self._put(event)

    def _put(self, event: Any) -> None:
        self._writer.write_event(event)
        self._writer.flush()
