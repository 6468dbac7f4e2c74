"""Questions that are asked over the text, and the page of keys."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from rich.table import Table
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from charrnn.messages import safe

__all__ = ["KEYS", "AskName", "AskWhich", "Keys"]

# The keys and what they do, as the help page and the guide have them.
KEYS = {
    "Tab": "write what is suggested; where nothing is, suggest something",
    "→": "write one character of it",
    "Esc": "refuse it",
    "Ctrl+N, Ctrl+P": "draw another one; the one before",
    "Ctrl+L, Ctrl+K": "suggest more or less: a word, a line, a sentence",
    "F2 … F9": "write one of the likeliest characters",
    "Ctrl+T, Ctrl+G": "raise or lower the temperature",
    "Ctrl+U, Ctrl+D": "raise or lower top-p",
    "Ctrl+E": "take another seed",
    "Ctrl+O": "take the next voice, if there are several models",
    "Ctrl+W": "show who wrote what, or hide it",
    "Ctrl+R": "show what surprises the model, or hide it",
    "Ctrl+Z, Ctrl+Y": "undo, redo",
    "Shift+arrows, Ctrl+A": "select; select all",
    "Ctrl+X, Ctrl+C, Ctrl+V": "cut, copy, paste",
    "Ctrl+S": "save",
    "Ctrl+Q": "leave; asks if the text is not saved",
    "Ctrl+C": "without a selection: leave at once; the text is kept for the next time",
    "F1, Ctrl+/": "show these keys",
}

_FRAME = """
{name} {{ align: center middle; background: transparent; }}
{name} > .frame {{ width: {width}; max-width: 95%; height: auto; max-height: 95%; padding: 0 1;
    border: round ansi_default; background: ansi_default; }}
{name} .choice {{ width: auto; text-style: bold; }}
{name} Input {{ background: ansi_default; border: none; height: 1; padding: 0; }}
"""


class _Choice(Static):
    """A choice that the mouse takes."""

    def __init__(self, key: str, told: str) -> None:
        super().__init__(Content(f"{key:4} {told}"), classes="choice")
        self._key = key

    def on_click(self) -> None:
        self.screen.dismiss(self._key)


class _Dialog(ModalScreen[str]):
    """A dialog that works off keys itself. What is typed when it is closing is for what is below it."""

    def on_key(self, event: events.Key) -> None:
        """Work off a key, but for Ctrl+C, which the editor has."""
        if event.key == "ctrl+c":
            return
        event.stop()
        event.prevent_default()
        if self.is_current:
            self.work_off(event)
        else:
            self.app.post_message(events.Key(event.key, event.character))

    @abstractmethod
    def work_off(self, event: events.Key) -> None:
        """Do what the key means here."""


class AskWhich(_Dialog):
    """A question with a few answers, each a letter; Esc is the last of them. It gives the letter."""

    DEFAULT_CSS = _FRAME.format(name="AskWhich", width=64)

    def __init__(self, question: str, answers: Mapping[str, str]) -> None:
        super().__init__()
        self._question, self._answers = question, answers

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="frame"):
            yield Static(Content(safe(self._question)))
            yield Static("")
            for key, told in self._answers.items():
                yield _Choice(key, told)

    def work_off(self, event: events.Key) -> None:
        """Give the answer of a letter."""
        letter = "Esc" if event.key == "escape" else (event.character or "").upper()
        if letter in self._answers:
            self.dismiss(letter)


class AskName(ModalScreen[str]):
    """A question for a file's name. It gives the name, or an empty one."""

    DEFAULT_CSS = _FRAME.format(name="AskName", width=64)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", show=False)]

    def compose(self) -> ComposeResult:
        """The question and a line to answer on."""
        with Vertical(classes="frame"):
            yield Static(Content("Save the text in which file? Enter saves, Esc goes back."))
            yield Input(compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the name."""
        event.stop()
        self.dismiss(event.value)


class Keys(_Dialog):
    """The keys and what they do; any key goes back."""

    DEFAULT_CSS = _FRAME.format(name="Keys", width=84)

    def compose(self) -> ComposeResult:
        """The table of keys."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", min_width=10)
        table.add_column()
        for key, told in KEYS.items():
            table.add_row(key, told)
        with VerticalScroll(classes="frame", can_focus=False):
            yield Static(table)

    def work_off(self, event: events.Key) -> None:
        """Go back, or scroll."""
        frame = self.query_one(VerticalScroll)
        if event.key in ("down", "pagedown"):
            frame.scroll_page_down(animate=False) if event.key == "pagedown" else frame.scroll_down(animate=False)
        elif event.key in ("up", "pageup"):
            frame.scroll_page_up(animate=False) if event.key == "pageup" else frame.scroll_up(animate=False)
        else:
            self.dismiss()

    def on_click(self) -> None:
        """Go back."""
        self.dismiss()
