"""Write and remove files that must survive on the disk: at any moment a file is whole or absent."""

import contextlib
import errno
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO

from charrnn.errors import ResourceError, UsageError
from charrnn.messages import counted

if sys.platform != "win32":  # where nobody can remove a file that another has open
    import fcntl

__all__ = [
    "DISK_FULL",
    "NotAFileError",
    "append",
    "check_new",
    "leftovers",
    "make_folder",
    "open_new",
    "open_own",
    "open_strange",
    "remove",
    "remove_abandoned",
    "rewrite",
    "write_file",
    "write_new",
    "write_placed",
]

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp")

# A symbolic link at a path where we write is never followed to another file.
_OWN = os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

_PAUSES = (0.05, 0.1, 0.2, 0.4)  # seconds, in case a virus scanner or a file server holds a file for a moment

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash or a power cut at any instant leaves the old content or the new, never a part.

    Once this has returned, the new content survives both. A symbolic link at `path` is replaced, not followed.

    Raises:
        ResourceError: the disk is full or fails, or the folder cannot be written; the old content is still there,
            unless the new was in place already and only its durability is in doubt.
    """
    try:
        _write_aside(path, _in_order([data]), _replace)
    except OSError as error:
        raise _cannot_write(path, f" ({counted(len(data), 'byte')})", error) from error


def write_new(path: Path, pieces: Iterable[bytes], *, replaces: bool = False) -> None:
    """Write a new file in the same way; if the pieces stop with an error, nothing of it is left.

    Temporary files that dead writers of this name have left are removed.

    Raises:
        UsageError: there is something at `path`, which stays as it is, unless the new file `replaces` it.
        ResourceError: as `write_file`.
    """
    if not replaces:
        check_new(path)
    remove_abandoned(path.parent, lambda name: name == path.name)
    try:
        _write_aside(path, _in_order(pieces), _replace if replaces else _put_new)
    except OSError as error:
        raise _cannot_write(path, "", error) from error


def write_placed(path: Path, pieces: Iterable[tuple[int, bytes]], size: int, *, mode: int) -> None:
    """Write a file of `size` bytes from pieces, each at its place, as `write_file` does.

    Raises:
        OSError: the disk is full or fails, or the folder cannot be written.
    """

    def fill(descriptor: int) -> None:
        """Write the pieces at their places into a descriptor."""
        for place, data in pieces:
            os.lseek(descriptor, place, os.SEEK_SET)
            _write(descriptor, data)
        os.truncate(descriptor, size)  # in case no piece reaches the end

    _write_aside(path, fill, _replace, mode)


def rewrite(path: Path, data: bytes) -> None:
    """Write a file as `write_file` does, but as an editor saves one: through a symbolic link, and with its permissions.

    Raises:
        ResourceError: as `write_file`.
    """
    try:
        target = path.resolve()
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        _write_aside(target, _in_order([data]), _replace, mode=0o666 if mode is None else 0o600, keeps=mode)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise _cannot_write(path, f" ({counted(len(data), 'byte')})", OSError(*error.args)) from error


def check_new(path: Path) -> None:
    """Raise UsageError if there is something at `path`, as it is not to be overwritten."""
    if os.path.lexists(path):
        raise _taken(path)


def _in_order(pieces: Iterable[bytes]) -> Callable[[int], None]:
    def fill(descriptor: int) -> None:
        """Write the pieces one after the other into a descriptor."""
        for data in pieces:
            _write(descriptor, data)

    return fill


def _write_aside(
    path: Path,
    fill: Callable[[int], None],
    put: Callable[[Path, Path], None],
    mode: int = 0o666,
    keeps: int | None = None,
) -> None:
    """Write a file with a mode of which the umask takes its part; or with the permissions that it `keeps`."""
    temporary, descriptor, lock = _open_temporary(path, mode)
    with lock:
        try:
            try:
                fill(descriptor)
                if keeps is not None and os.name == "posix":
                    os.fchmod(descriptor, keeps)
                os.fsync(descriptor)  # never tried again on the same file: the second call may lie
            finally:
                os.close(descriptor)
            put(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                remove(temporary)
            raise
    _sync_folder(path.parent)


def _open_temporary(path: Path, mode: int) -> tuple[Path, int, contextlib.AbstractContextManager[object]]:
    """Open a new file beside `path`; path, descriptor, and a lock that is held until its writer is done or dead."""
    while True:
        temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
        descriptor = os.open(temporary, _OWN | os.O_WRONLY | os.O_EXCL, mode)
        if sys.platform == "win32":
            return temporary, descriptor, contextlib.nullcontext()
        lock: IO[bytes] = os.fdopen(os.dup(descriptor), "ab", buffering=0)
        with contextlib.suppress(OSError):  # a file system that has no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor, lock
        lock.close()  # before it was locked, somebody removed it as abandoned
        os.close(descriptor)


def append(path: Path, data: bytes) -> None:
    """Append to a file; readers see it at once. As this does not wait for the disk, a power cut may lose the end.

    Raises:
        ResourceError: the disk is full or fails, or the file cannot be written.
    """
    try:
        descriptor = open_own(path, os.O_WRONLY | os.O_APPEND)
        try:
            _write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _cannot_write(path, f" ({counted(len(data), 'byte')})", error) from error


def open_own(path: Path, flags: int) -> int:
    """Open a file of ours, which is made if it does not exist; a symbolic link in its place is an error."""
    return os.open(path, _OWN | flags, 0o666)


class NotAFileError(Exception):
    """The thing to read is a folder, a device or a socket, or a pipe where a file is needed."""


@contextlib.contextmanager
def open_strange(path: Path, *, may_be_pipe: bool = False) -> Iterator[tuple[BufferedReader, int | None]]:
    """Open a file that anyone may have made, for reading; the file and its size, None for a pipe.

    Its kind is checked first, as opening waits for ever at a pipe and may do anything at a device.

    Raises:
        NotAFileError: it is no regular file, nor a pipe that is allowed.
        OSError: it cannot be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not (may_be_pipe and stat.S_ISFIFO(mode)):
        raise NotAFileError(path)
    with path.open("rb") as file:
        yield file, os.fstat(file.fileno()).st_size if stat.S_ISREG(mode) else None


def make_folder(path: Path) -> None:
    """Make a folder that survives a power cut.

    Raises:
        OSError: as `os.mkdir`.
    """
    os.mkdir(path)  # noqa: PTH102
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file.

    Raises:
        OSError: as `os.unlink`.
    """
    os.unlink(path)  # noqa: PTH108


def leftovers(folder: Path) -> Iterator[tuple[Path, str]]:
    """The temporary files in a folder, of crashes or of living writers, each with its intended name."""
    for path in folder.iterdir():
        if match := _TEMPORARY.fullmatch(path.name):
            yield path, match[1]


def remove_abandoned(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the temporary files of dead writers whose intended names `is_ours` accepts."""
    with contextlib.suppress(OSError):
        for path in [path for path, name in leftovers(folder) if is_ours(name)]:
            with contextlib.suppress(OSError):
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    """Remove a temporary file. OSError if its writer lives, or if it is no file."""
    if sys.platform != "win32":
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
    else:
        remove(path)


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _replace(source: Path, target: Path) -> None:
    for pause in _PAUSES:
        try:
            os.replace(source, target)  # noqa: PTH105
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(source, target)  # noqa: PTH105


def _put_new(source: Path, target: Path) -> None:
    try:
        os.link(source, target)  # which, unlike a rename, never replaces another file
    except FileExistsError as error:
        raise _taken(target) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):  # the next best check, on a file system without links
            raise _taken(target) from error
        _replace(source, target)
    else:
        remove(source)


def open_new(path: Path, *, replaces: bool = False) -> BinaryIO:
    """Open a new file to write text into as it is made, so that a reader may watch it.

    Raises:
        UsageError: there is something at `path`, and not `replaces`.
        ResourceError: it cannot be written.
    """
    try:
        return path.open("wb" if replaces else "xb")
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise _cannot_write(path, "", error) from error


def _taken(path: Path) -> UsageError:
    return UsageError(f"{path} is there already, and nothing is overwritten; name another file")


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened, and its entries are written with the file
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _cannot_write(path: Path, size: str, error: OSError) -> ResourceError:
    advice = "; make room for it" if error.errno in DISK_FULL else ""
    return ResourceError(f"cannot write {path}{size}: {error.strerror or error}{advice}")
