"""Nothing phones home. All commands that the tests start are cut off from the network; here is the proof of the cut."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.prepared import prepared

ATTEMPTS = {
    "opening a socket": "socket.socket()",
    "one of IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
    "connecting": "socket.create_connection(('127.0.0.1', 9))",
    "a local connection": "socket.socket(socket.AF_UNIX).connect('nowhere')",
    "serving": "socket.socket(socket.AF_UNIX).bind('here')",
    "asking for a name": "socket.getaddrinfo('localhost', 80)",
    "asking in the old way": "socket.gethostbyname('localhost')",
    "a page": "__import__('urllib.request').request.urlopen('http://localhost')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_a_process_that_reaches_for_the_network_is_ended(folder: Path, attempt: str) -> None:
    program = f"import socket\ntry:\n    {attempt}\nexcept BaseException:\n    pass\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=folder)
    assert done.returncode == 97
    assert b"network: socket." in done.stderr


def test_so_is_a_prepared_command(folder: Path) -> None:
    done = prepared().run([], folder, program="import socket\nsocket.socket()")
    assert done.returncode == 97
    assert done.stderr.startswith(b"network: socket.")


def test_a_process_that_does_not_is_left_alone(folder: Path) -> None:
    program = "import socket; import charrnn.cli.app; socket.gethostname()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=folder)
    assert (done.returncode, done.stderr) == (0, b"")
