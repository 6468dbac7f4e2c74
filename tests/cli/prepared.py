"""Run as a script: a process that has imported everything, and for each line of JSON becomes the command once more.

A line on standard input is the arguments; its answers are the process id of a forked child that runs the command with
them, and once that has ended its exit code, or minus the signal that killed it. Forking saves the seconds of starting.
"""

import json
import os
import sys

import torch

import charrnn.cli.render.display
import charrnn.training.loop  # noqa: F401
from charrnn.cli.app import main


def serve() -> None:
    torch.optim.AdamW([torch.zeros(1)])  # the first one imports as much again
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.argv[1:] = json.loads(line)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.dup2(2, 1)
            main()
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
