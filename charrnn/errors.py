"""Errors for a person who uses charrnn, each with its exit code.

A message says what was received, what is accepted and what to do next, in one to three lines. A programmer's
misuse of the library is a `ValueError`, not one of these.
"""

from charrnn.messages import for_python

OVERFLOW = "its weights are so large that they overflow"


class CharrnnError(Exception):
    """A mistake or mishap to be reported in a few lines, without a traceback.

    Its `str` names settings by their Python keywords; in `message` they are marked (see `messages`).
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(for_python(message))
        self.message = message


class UsageError(CharrnnError):
    """A setting, or a combination of settings, that is not allowed."""

    exit_code = 2


class DataError(CharrnnError):
    """A text that is missing, empty, too short, undecodable, or has characters the model does not know."""

    exit_code = 3


class CheckpointError(CharrnnError):
    """A checkpoint that is missing, damaged, or not one of ours."""

    exit_code = 4


class BusyError(CharrnnError):
    """A run that another training is writing."""

    exit_code = 5


class DivergedError(CharrnnError):
    """Losses, gradients or weights that are no longer finite numbers."""

    exit_code = 6


class ReaderGoneError(CharrnnError):
    """The reader of our output has closed it, so nothing is reported. Exits with 128 + SIGPIPE, as in a shell."""

    exit_code = 141


class ResourceError(CharrnnError):
    """No room on the disk, no memory, or an output that cannot be written."""

    exit_code = 7


class PeerGoneError(ResourceError):
    """Another of the processes that train together has ended."""


def overflow(sign: str) -> CheckpointError:
    """The error for a model of huge weights, given a sign of it such as "a value is no finite number"."""
    return CheckpointError(f"{sign}: {OVERFLOW}; use another model")


def is_out_of_memory(error: Exception) -> bool:
    """True if an error of Python, numpy, or torch on a GPU or a CPU says that memory ran out."""
    names = {kind.__name__ for kind in type(error).__mro__}  # torch, which may not be loaded, has one of its own
    said = ("can't allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED")
    is_said = isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or is_said
