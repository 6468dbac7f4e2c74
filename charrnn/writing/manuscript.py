"""A text while it is written: its characters with their writers, the cursor, and undo and redo, all of them exact.

This module knows no model and no screen.
"""

from enum import IntEnum
from typing import NamedTuple

__all__ = ["Change", "Manuscript", "Writer"]


class Writer(IntEnum):
    """The writer of a character."""

    PERSON = 0
    MODEL = 1


class Change(NamedTuple):
    """At `place`, `removed` characters went and `inserted` ones came."""

    place: int
    removed: int
    inserted: int


class _Passage(NamedTuple):
    """Some characters, and the writer of each."""

    text: str
    writers: bytes


class _Edit(NamedTuple):
    """One step of undo, with the cursor and the other end of the selection before it."""

    place: int
    removed: _Passage
    inserted: _Passage
    cursor: int
    anchor: int

    @property
    def change(self) -> Change:
        return Change(self.place, len(self.removed.text), len(self.inserted.text))

    def joined(self, after: "_Edit") -> "_Edit | None":
        """One edit for both, where typing or deleting goes on from this one; None where `after` is a step of its own.

        A step of typing is a word with the white space after it.
        """
        if not self.removed.text and not after.removed.text and after.place == self.place + len(self.inserted.text):
            same_hand = set(self.inserted.writers) == set(after.inserted.writers) == {Writer.PERSON}
            new_word = self.inserted.text[-1:].isspace() and not after.inserted.text.isspace()
            if same_hand and len(after.inserted.text) == 1 and after.inserted.text != "\n" and not new_word:
                return self._replace(inserted=_together(self.inserted, after.inserted))
        if not self.inserted.text and not after.inserted.text:
            if after.place + len(after.removed.text) == self.place:
                return self._replace(place=after.place, removed=_together(after.removed, self.removed))
            if after.place == self.place:
                return self._replace(removed=_together(self.removed, after.removed))
        return None


def _together(one: _Passage, other: _Passage) -> _Passage:
    return _Passage(one.text + other.text, one.writers + other.writers)


class Manuscript:
    """The text, the writer of each character, the cursor, and the other end of the selection (`anchor`).

    Undo goes back to the text that was opened, however long ago that was.
    """

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.writers = bytes(len(text))
        self.cursor = self.anchor = len(text)
        self._done: list[_Edit] = []
        self._undone: list[_Edit] = []
        self._may_join = False

    @property
    def selection(self) -> tuple[int, int]:
        """First character and end of the selection, which is empty where both are the cursor."""
        return min(self.cursor, self.anchor), max(self.cursor, self.anchor)

    @property
    def model_share(self) -> float | None:
        """Share of the characters that the model wrote, 0 to 1; None for an empty text."""
        return self.writers.count(Writer.MODEL) / len(self.text) if self.text else None

    def move(self, cursor: int, *, selects: bool = False) -> None:
        """Move the cursor; the selection ends there, or there is none any more."""
        self.cursor = max(0, min(cursor, len(self.text)))
        if not selects:
            self.anchor = self.cursor
        self._may_join = False

    def write(self, text: str, writer: Writer) -> Change:
        """Put a text in the place of the selection, or at the cursor."""
        return self.replace(*self.selection, text, writer)

    def replace(self, start: int, end: int, text: str, writer: Writer) -> Change:
        """Replace the characters from `start` up to `end`; the cursor is behind the new ones.

        ValueError for characters that are not there.
        """
        if not 0 <= start <= end <= len(self.text):
            raise ValueError(f"no characters from {start} to {end} in a text of {len(self.text)}")
        removed = _Passage(self.text[start:end], self.writers[start:end])
        edit = _Edit(start, removed, _Passage(text, bytes([writer]) * len(text)), self.cursor, self.anchor)
        if removed.text or text:
            before = self._done[-1] if self._done and self._may_join else None
            if before and (joint := before.joined(edit)):
                self._done[-1] = joint
            else:
                self._done.append(edit)
            self._undone.clear()
        self._put(edit.change, edit.inserted)
        self.cursor = self.anchor = start + len(text)
        self._may_join = True
        return edit.change

    def undo(self) -> Change | None:
        """Take back the last step: text, writers, cursor and selection are as before it. None if there is none."""
        if not self._done:
            return None
        edit = self._done.pop()
        self._undone.append(edit)
        change = Change(edit.place, len(edit.inserted.text), len(edit.removed.text))
        self._put(change, edit.removed)
        self.cursor, self.anchor, self._may_join = edit.cursor, edit.anchor, False
        return change

    def redo(self) -> Change | None:
        """Do the step again that was taken back last. None if there is none."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        self._done.append(edit)
        self._put(edit.change, edit.inserted)
        self.cursor = self.anchor = edit.place + len(edit.inserted.text)
        self._may_join = False
        return edit.change

    def _put(self, change: Change, passage: _Passage) -> None:
        end = change.place + change.removed
        self.text = self.text[: change.place] + passage.text + self.text[end:]
        self.writers = self.writers[: change.place] + passage.writers + self.writers[end:]
