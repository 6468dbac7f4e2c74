"""What can go wrong for a person using charrnn, each with its exit code.

A message says what was received, what is accepted and what to do next, in one to three lines. A programmer's
misuse of the library is a `ValueError`, not one of these.
"""

from charrnn.messages import for_python

OVERFLOW = "its weights are so large that they overflow"


class CharrnnError(Exception):
    """A mistake or mishap to be told in a few lines, without a traceback.

    `str` of it names settings by their Python keywords; `message` still has them marked (see `messages`).
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(for_python(message))
        self.message = message


class UsageError(CharrnnError):
    """A setting, or a combination of settings, that cannot be."""

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
    """Whoever read our output has what they wanted; there is nothing to tell them. 128 + SIGPIPE, as in a shell."""

    exit_code = 141


class ResourceError(CharrnnError):
    """No room on the disk, no memory, or an output that cannot be written."""

    exit_code = 7


class PeerGoneError(ResourceError):
    """Another process has ended, of several that train together."""


def overflow(sign: str) -> CheckpointError:
    """The error for a model of huge weights, by what shows it: a sign such as "a value is no finite number"."""
    return CheckpointError(f"{sign}: {OVERFLOW}; use another model")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory is what lacked, as Python and numpy, torch on a GPU, and torch on a CPU say it."""
    names = {kind.__name__ for kind in type(error).__mro__}  # torch, which may not be loaded, has one of its own
    said = ("can't allocate memory", "bad_alloc", "out of memory", "ALLOC_FAILED")
    is_said = isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or is_said
