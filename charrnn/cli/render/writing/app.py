"""The editor as a program: saving, leaving, and what keeps the text when it is ended from outside."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from textual.app import App
from textual.binding import Binding, BindingType

from charrnn.cli.process.screen import is_gone
from charrnn.cli.process.signals import SIGNALS
from charrnn.cli.process.terminal import as_told
from charrnn.cli.render.shading import is_light
from charrnn.cli.render.writing.dialogs import AskName, AskWhich
from charrnn.cli.render.writing.palette import Palette, depth_of
from charrnn.cli.render.writing.screen import WritingScreen
from charrnn.errors import CharrnnError
from charrnn.settings.sampling import SamplingConfig
from charrnn.writing.continuation import Extent
from charrnn.writing.desk import Desk
from charrnn.writing.text_file import discard
from charrnn.writing.voice import Voice

__all__ = ["WriteApp"]

_KEEP_EVERY = 2.0  # seconds
_HANGUP = 129  # exit code: 128 and the signal of a terminal that is closed


class WriteApp(App[None], inherit_bindings=False):
    """The editor. When it has ended, `return_code` says why, and `failure` is the exception that ended it, if one did.

    Args:
        is_piped: the text is written elsewhere when the editor has ended, so that nothing is lost by leaving.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "interrupt", show=False)]  # over a dialog

    def __init__(
        self, desk: Desk, voices: Sequence[Voice], config: SamplingConfig, extent: Extent, *, is_piped: bool = False
    ) -> None:
        super().__init__()
        self.theme = "ansi-light" if is_light() else "ansi-dark"
        self.desk, self._is_piped = desk, is_piped
        palette = Palette(depth_of(self.console.color_system, no_color=self.no_color), is_light=is_light())
        untitled = "standard output" if is_piped else "untitled"
        commands = {"ctrl+s": self._save, "ctrl+q": self._ask_to_leave, "ctrl+c": self.action_interrupt}
        self.writing = WritingScreen(desk, voices, config, extent, palette, untitled, commands)
        self.failure: Exception | None = None
        self._kept = desk.manuscript.text

    def get_default_screen(self) -> WritingScreen:
        """The screen of the text."""
        return self.writing

    # Beginning and ending

    async def on_mount(self) -> None:
        """Listen to signals, and offer what an earlier session has left."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as SIGHUP is under nohup
                loop.add_signal_handler(number, self._end, 128 + number)
        self.set_interval(_KEEP_EVERY, self._look_after)
        self._offer()

    def _end(self, code: int) -> None:
        """Keep the text and end. Where the terminal is gone, there is nobody to draw for, and drawing would wait."""
        try:
            self.desk.keep()
        except CharrnnError as error:
            self.failure = error
        if self._is_deserted():
            os._exit(code)
        self.exit(return_code=code)

    def _is_deserted(self) -> bool:
        return not self.is_headless and is_gone()

    def _handle_exception(self, error: Exception) -> None:
        self.failure = error
        self._end(1)

    def panic(self, *_: RenderableType) -> None:
        """Keep the text and end: the terminal cannot be read any more."""
        self._end(_HANGUP)

    def _look_after(self) -> None:
        """Keep what is not saved in the recovery file, aside, and notice that the terminal is gone."""
        if self._is_deserted():
            self._end(_HANGUP)
        if self._kept is not self.desk.manuscript.text:
            self._kept = self.desk.manuscript.text
            self.run_worker(self._keep, thread=True, group="keep", exit_on_error=False)

    def _keep(self) -> None:
        try:
            self.desk.keep()
        except CharrnnError as error:
            self.call_from_thread(self._say, error)

    def _say(self, error: CharrnnError) -> None:
        self.writing.say(as_told(error.message), is_alert=True)

    # Keys

    def action_interrupt(self) -> None:
        """Copy the selection; without one, or over a dialog, keep the text for the next time and leave at once."""
        if self.screen is not self.writing or not self.writing.copy():
            self._end(128 + signal.SIGINT)

    def _ask_to_leave(self) -> None:
        """Leave, after a question if the text is not saved."""
        if self.desk.is_saved:
            self.desk.give_up()
        if self.desk.is_saved or self._is_piped:
            self.exit()
            return
        answers = {"S": "save it and leave", "D": "leave without it", "Esc": "go on writing"}
        self.push_screen(AskWhich("The text is not saved.", answers), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "D":
            self.desk.give_up()
            self.exit()
        elif answer == "S":
            self._save(leaves=True)

    def _save(self, *, leaves: bool = False) -> None:
        """Save, after a question where that would overwrite what somebody else has written."""
        if self._is_piped:
            self.writing.say("the text goes to standard output when you leave, with Ctrl+Q")
            return
        path = self.desk.file.path
        if path is None:
            self.push_screen(AskName(), lambda name: self._save_as(name, leaves))
            return
        try:
            has_changed = self.desk.file.has_changed()
        except CharrnnError as error:
            self._say(error)
            return
        if not has_changed:
            self._write(path, leaves)
            return
        answers = {"O": "overwrite it with this text", "N": "save under another name", "Esc": "go back"}
        question = f"{path} has changed on the disk since it was read here."
        self.push_screen(AskWhich(question, answers), lambda answer: self._overwrite(answer, leaves))

    def _overwrite(self, answer: str | None, leaves: bool) -> None:
        path = self.desk.file.path
        if answer == "O" and path is not None:
            self._write(path, leaves)
        elif answer == "N":
            self.push_screen(AskName(), lambda name: self._save_as(name, leaves))

    def _save_as(self, name: str | None, leaves: bool) -> None:
        if not name:
            return
        path = Path(name).expanduser()
        if not os.path.lexists(path):
            self._write(path, leaves, is_new=True)
            return
        answers = {"O": "overwrite it with this text", "N": "take another name", "Esc": "go back"}
        self.push_screen(
            AskWhich(f"There is a file {path} already.", answers),
            lambda answer: self._replace(path, answer, leaves),
        )

    def _replace(self, path: Path, answer: str | None, leaves: bool) -> None:
        if answer == "O":
            self._write(path, leaves, is_new=True, replaces=True)
        elif answer == "N":
            self.push_screen(AskName(), lambda name: self._save_as(name, leaves))

    def _write(self, path: Path, leaves: bool, *, is_new: bool = False, replaces: bool = False) -> None:
        """Write the text into its file, or into one of another name."""
        try:
            if is_new:
                self.desk.save_as(path, replaces=replaces)
            else:
                self.desk.save()
        except CharrnnError as error:
            self._say(error)
            return
        self.writing.say(f"saved in {path}")
        if leaves:
            self.exit()

    # What an earlier session has left

    def _offer(self) -> None:
        left = self.desk.recovery.left()
        if left is None:
            return
        answers = {"R": "recover it", "D": "delete it", "Esc": "leave it there"}
        question = f"{left.name} has a text that was not saved when an earlier session ended."
        self.push_screen(AskWhich(question, answers), lambda answer: self._recover(left, answer))

    def _recover(self, left: Path, answer: str | None) -> None:
        try:
            if answer == "R":
                self.writing.editor.changed(self.desk.recover(left))
                self.writing.say("recovered; Ctrl+S saves it, Ctrl+Z brings back what the file has")
            elif answer == "D":
                discard(left)
        except CharrnnError as error:
            self._say(error)
