"""A text on the desk: what is written, its file, and its recovery file, which has what the file has not."""

import threading
from pathlib import Path

from charrnn.errors import DataError
from charrnn.files import check_new
from charrnn.writing.manuscript import Change, Manuscript, Writer
from charrnn.writing.text_file import Recovery, TextFile, decoded, discard

__all__ = ["Desk"]


class Desk:
    """A text that is written, and where it is saved.

    `keep` may be called from another thread than the rest.

    Args:
        path: the file; None for a text that has no name, or none to be saved in.
        text: the text to begin with if there is no file.

    Raises:
        UsageError, DataError: as `TextFile.open`.
    """

    def __init__(self, path: Path | None, text: str = "") -> None:
        self.file, self.recovery = TextFile(path), Recovery(path)
        self._saved = self.file.open()
        self.manuscript = Manuscript(self._saved or text)
        self._lock = threading.Lock()

    @property
    def is_saved(self) -> bool:
        """True if nothing would be lost without the text: the file has it, or there is none."""
        text = self.manuscript.text
        return text == self._saved or (not text and self.file.path is None)

    def save(self) -> None:
        """Save the text in its file, whatever is there. ResourceError if it cannot be written."""
        with self._lock:
            text = self.manuscript.text
            self.file.save(text)
            self._saved = text
            self.recovery.drop()

    def save_as(self, path: Path, *, replaces: bool = False) -> None:
        """Save the text in a file of another name, which is that of the text from now on.

        Raises:
            UsageError: there is something of that name, and not `replaces`.
            ResourceError: it cannot be written.
        """
        if not replaces:
            check_new(path)
        before, self.file = self.file, TextFile(path)
        try:
            self.save()
        except BaseException:
            self.file = before
            raise
        self.recovery = Recovery(path)

    def keep(self) -> Path | None:
        """Write what is not saved into the recovery file; its path, None if nothing would be lost.

        Raises:
            ResourceError: it cannot be written.
        """
        with self._lock:
            if self.is_saved or not self.manuscript.text:
                self.recovery.drop()
                return None
            return self.recovery.keep(self.manuscript.text)

    def give_up(self) -> None:
        """Take the text as it is for saved, as it is written elsewhere or not wanted."""
        with self._lock:
            self._saved = self.manuscript.text
            self.recovery.drop()

    def recover(self, path: Path) -> Change:
        """Put the text of a recovery file in the place of all of the text, which undo brings back.

        The file goes once the text is in the recovery file of this session.

        Raises:
            DataError: it cannot be read, or is not UTF-8.
            ResourceError: that of this session cannot be written.
        """
        try:
            text = decoded(path.read_bytes(), str(path))
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        change = self.manuscript.replace(0, len(self.manuscript.text), text, Writer.PERSON)
        self.keep()
        discard(path)
        return change
