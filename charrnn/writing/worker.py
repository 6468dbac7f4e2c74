"""A thread that answers the newest question and gives up the ones before it, so that nobody waits for it."""

import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from charrnn.writing.voice import Answer

__all__ = ["Reply", "Worker"]


class Reply(NamedTuple):
    """An answer to the question of a number, or the exception that ended the work on it."""

    number: int
    answer: Answer | Exception


class Worker:
    """Works on the newest of the questions that were asked; `reply` is called in the thread, with each answer."""

    def __init__(self, reply: Callable[[Reply], None]) -> None:
        self._reply = reply
        self._asked = threading.Condition()
        self._newest: tuple[int, Callable[[], Iterator[Answer | None]]] | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="charrnn-voice", daemon=True)
        self._thread.start()

    def ask(self, number: int, answers: Callable[[], Iterator[Answer | None]]) -> None:
        """Ask a question, which takes the place of the one before; `answers` is called in the thread."""
        with self._asked:
            self._newest = (number, answers)
            self._asked.notify()

    def close(self) -> None:
        """Give up the work; no reply comes any more once the thread has noticed."""
        with self._asked:
            self._is_closed = True
            self._asked.notify()

    def _work(self) -> None:
        while True:
            with self._asked:
                self._asked.wait_for(lambda: self._newest is not None or self._is_closed)
                if self._is_closed or self._newest is None:
                    return
                (number, answers), self._newest = self._newest, None
            try:
                self._answer(number, answers())
            except Exception as error:  # for the one who asked
                self._reply(Reply(number, error))

    def _answer(self, number: int, answers: Iterator[Answer | None]) -> None:
        for answer in answers:
            if answer is not None:
                self._reply(Reply(number, answer))
            if self._newest is not None or self._is_closed:
                return
