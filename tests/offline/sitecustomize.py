"""No network, for every Python process that starts with this folder on its path: an attempt ends the process.

Raising would not do: a program that phones home and swallows what comes of it would pass.
"""

import os
import sys

EXIT_CODE = 97
LOCAL = (0, 1)  # AF_UNSPEC, AF_UNIX
REFUSED = ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg")


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Asking for the own host's name is the one thing that is not refused."""
    opened = event == "socket.__new__" and arguments[1] not in LOCAL
    looked_up = event.startswith("socket.get") and event != "socket.gethostname"
    if opened or looked_up or event in REFUSED:
        os.write(2, f"network: {event} {arguments[1:]}\n".encode())
        os._exit(EXIT_CODE)


sys.addaudithook(refuse)
