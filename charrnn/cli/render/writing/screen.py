"""The editor's screen: keys that ask the model or set how it writes, and what it answers."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Thread

from textual.app import ComposeResult
from textual.screen import Screen

from charrnn.cli.process.terminal import as_told
from charrnn.cli.render.writing.dialogs import Keys
from charrnn.cli.render.writing.editor import Editor
from charrnn.cli.render.writing.palette import Palette
from charrnn.cli.render.writing.panel import BAR_KEYS, Bars, Field, Fields
from charrnn.errors import CharrnnError
from charrnn.export.character_names import name_of
from charrnn.export.shading import SURPRISE
from charrnn.messages import counted
from charrnn.sampling.stream import random_seed
from charrnn.settings.sampling import SamplingConfig
from charrnn.writing.continuation import EXTENTS, Extent
from charrnn.writing.desk import Desk
from charrnn.writing.manuscript import Change, Writer
from charrnn.writing.voice import Copied, Costs, Likeliest, Question, Suggested, Voice
from charrnn.writing.worker import Reply, Worker

__all__ = ["WritingScreen"]

_TEMPERATURE_STEP, _TOP_P_STEP, _LEAST_TOP_P, _MOST_TEMPERATURE = 0.1, 0.05, 0.05, 2.0
_AT_THE_END = "the model would end the text here"
_LEGEND = (1, 4, 7, 10)  # levels of surprise that are explained
_MOST_UNKNOWN = 5  # characters that are named


class WritingScreen(Screen[None], inherit_bindings=False):
    """The text, and what the model thinks of it."""

    DEFAULT_CSS = """
    WritingScreen { background: ansi_default; layout: vertical; }
    WritingScreen Editor { height: 1fr; }
    WritingScreen Bars { height: 2; }
    WritingScreen Fields { height: 1; }
    """

    def __init__(
        self,
        desk: Desk,
        voices: Sequence[Voice],
        config: SamplingConfig,
        extent: Extent,
        palette: Palette,
        untitled: str,
        commands: Mapping[str, Callable[[], None]],
    ) -> None:
        super().__init__()
        self.desk, self._palette, self._untitled = desk, palette, untitled
        self._commands = {**self._own_commands(), **commands}
        self._shows_writers = self._shows_costs = False
        self._voices, self._chosen, self._config, self._extent = voices, 0, config, extent
        self._draw = self._number = 0
        self._is_refused = self._is_wanted = False
        self._likeliest = Likeliest((), ())
        self._costs: Costs | None = None
        self._copied: float | None = None
        self._message, self._is_alert, self._said_at = "", False, ("", -1)

    # The parts

    def compose(self) -> ComposeResult:
        """The text, the bars, and two lines."""
        palette = self._palette
        self.editor = Editor(self.desk.manuscript, palette, self._moved, self._commands)
        self.bars = Bars(palette)
        self._settings, self._measures = Fields(palette, is_quiet=False), Fields(palette, is_quiet=True)
        yield self.editor
        yield self.bars
        yield self._settings
        yield self._measures

    def on_mount(self) -> None:
        """Begin to read, and to count what the training texts have."""
        self._loop = asyncio.get_running_loop()
        self._worker = Worker(self._replied)
        for voice in self._voices:
            Thread(target=self._learn, args=(voice,), name="charrnn-learned", daemon=True).start()
        self.editor.focus()
        self.ask()

    def on_unmount(self) -> None:
        """End the reading."""
        self._worker.close()

    # Questions and answers. What runs in other threads only says so here, where it waits for its turn.

    @property
    def voice(self) -> Voice:
        """The voice that answers."""
        return self._voices[self._chosen]

    def ask(self) -> None:
        """Ask the voice about the text as it is. Answers to earlier questions are not shown any more."""
        self._number += 1
        manuscript, voice = self.desk.manuscript, self.voice
        wants = self._is_wanted or (not self._is_refused and self._is_at_end_of_line())
        question = Question(
            manuscript.text,
            manuscript.cursor,
            self._config,
            self._draw,
            self._extent,
            wants_suggestion=wants and manuscript.cursor == manuscript.anchor,
        )
        self._worker.ask(self._number, lambda: voice.answers(question))
        self.tell()

    def _is_at_end_of_line(self) -> bool:
        text, place = self.desk.manuscript.text, self.desk.manuscript.cursor
        end = text.find("\n", place)
        return not text[place : len(text) if end < 0 else end].strip()

    def _replied(self, reply: Reply) -> None:
        with contextlib.suppress(RuntimeError):  # the editor has ended
            self._loop.call_soon_threadsafe(self._answered, reply)

    def _learn(self, voice: Voice) -> None:
        voice.learn()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.ask)

    def _answered(self, reply: Reply) -> None:
        """Show an answer, unless it is one to an earlier question."""
        if reply.number != self._number:
            return
        match reply.answer:
            case Likeliest():
                self._likeliest = reply.answer
                self.bars.show(reply.answer.candidates, self.voice.vocabulary.unit)
            case Suggested(text):
                self.editor.suggest(text)
                if not text:
                    self.say(_AT_THE_END)
                elif self._message == _AT_THE_END:
                    self.say("")
            case Costs():
                self._costs = reply.answer
                self.editor.shade(reply.answer)
                self.tell()
            case Copied(share):
                self._copied = share
                self.tell()
            case CharrnnError() as error:
                self.say(as_told(error.message), is_alert=True)
            case Exception() as error:
                raise error

    # What is told below the text

    def say(self, message: str, *, is_alert: bool = False) -> None:
        """Tell something until text or cursor change."""
        self._message, self._is_alert = message, is_alert
        self._said_at = self.desk.manuscript.text, self.desk.manuscript.cursor
        self.tell()

    def tell(self) -> None:
        """Show settings and measures as they are."""
        self._settings.show(list(self._settings_told()))
        self._measures.show(list(self._measured()))

    def _settings_told(self) -> Iterator[Field]:
        config = self._config
        yield Field(self._extent, 9)
        yield Field(f"temperature {config.temperature:g}", 8)
        yield Field(f"top-p {1 if config.top_p is None else config.top_p:g}", 7)
        yield Field(f"seed {config.seed}{f' draw {self._draw}' if self._draw else ''}", 6)
        more = f" ({self._chosen + 1} of {len(self._voices)})" if len(self._voices) > 1 else ""
        yield Field(f"model {self.voice.name}{more}", 3)
        if self._shows_writers:
            yield Field("by the model", 4, self._palette.model)
        if self._shows_costs:
            yield Field("bits", 5)
            for level in _LEGEND:
                yield Field(SURPRISE.labels[level].replace(" or more", "+"), 5, self._palette.levels[level])

    def _measured(self) -> Iterator[Field]:
        manuscript, costs = self.desk.manuscript, self._costs
        if self._said_at == (manuscript.text, manuscript.cursor):
            yield Field(self._message, 9, self._palette.alert if self._is_alert else self._palette.strong)
        path = self.desk.file.path
        yield Field(f"{path.name if path else self._untitled}{'' if self.desk.is_saved else ' *'}", 6)
        start, end = manuscript.selection
        chosen = (start, end) if start < end else (0, len(manuscript.text))
        if costs is not None:
            if unknown := self._unknown(costs):
                yield Field(f"unknown: {unknown}", 7, self._palette.alert)
            if (bits := costs.per_character(*chosen)) is not None:
                is_part = ", selected" if start < end else ""
                yield Field(f"{bits:.2f} bits/character{is_part}", 5)
            if manuscript.text and len(costs.bits) < len(manuscript.text):
                yield Field(f"reading, {len(costs.bits) / len(manuscript.text):.0%}", 8)
        if manuscript.model_share is not None:
            yield Field(f"{manuscript.model_share:.0%} by the model", 4)
        if self._copied is not None:
            yield Field(f"{self._copied:.0%} in the training text", 3)
        yield Field(counted(len(manuscript.text), "character"), 1)
        yield Field("F1 keys", 2)

    def _unknown(self, costs: Costs) -> str:
        """The characters of the text that the model does not know, or some of them."""
        found = costs.unknown_of(self.desk.manuscript.text)
        return " ".join(map(name_of, found[:_MOST_UNKNOWN])) + (" …" if len(found) > _MOST_UNKNOWN else "")

    # What keys do

    def _own_commands(self) -> dict[str, Callable[[], None]]:
        """The action of each key that neither writes nor moves."""
        return {
            "tab": self._want,
            "escape": self._refuse,
            "ctrl+n": partial(self._draw_another, 1),
            "ctrl+p": partial(self._draw_another, -1),
            "ctrl+l": partial(self._widen, 1),
            "ctrl+k": partial(self._widen, -1),
            "ctrl+t": partial(self._change_temperature, 1),
            "ctrl+g": partial(self._change_temperature, -1),
            "ctrl+u": partial(self._change_top_p, 1),
            "ctrl+d": partial(self._change_top_p, -1),
            "ctrl+e": self._change_seed,
            "ctrl+o": self._change_voice,
            "ctrl+w": self._toggle_writers,
            "ctrl+r": self._toggle_costs,
            "ctrl+z": partial(self._undo, again=False),
            "ctrl+y": partial(self._undo, again=True),
            "ctrl+a": self._select_all,
            "ctrl+x": self._cut,
            "ctrl+v": self._paste,
            **dict.fromkeys(("f1", "ctrl+underscore", "ctrl+slash"), self._show_keys),
            **{key: partial(self._choose, rank) for rank, key in enumerate(BAR_KEYS)},
        }

    def _moved(self, change: Change | None) -> None:
        """Ask anew, as text or cursor have changed."""
        self._is_refused = False
        if change is None:
            self._is_wanted = False
        elif self._costs is not None:  # what comes behind a change is not known yet
            self._costs = self._costs.before(change.place)
        self.ask()

    def _refuse(self) -> None:
        """Suggest nothing until text or cursor change."""
        self.editor.suggest("")
        self._is_refused, self._is_wanted = True, False
        self.ask()

    def _want(self) -> None:
        """Suggest something here."""
        self._is_wanted, self._is_refused = True, False
        self.editor.suggest("")
        self.ask()

    def on_bars_chosen(self, event: Bars.Chosen) -> None:
        """Write the character of a bar."""
        self._choose(event.rank)

    def _choose(self, rank: int) -> None:
        """Write the likeliest character of a rank, from 0."""
        text = self._likeliest.texts[rank] if rank < len(self._likeliest.texts) else ""
        if text:
            self.editor.write(text, Writer.MODEL)
            self._likeliest = Likeliest((), ())  # these were for the place before
        else:
            self.say("this is no character that could be written")

    def _draw_another(self, step: int) -> None:
        """Draw another suggestion, or the one before."""
        self._draw = max(self._draw + step, 0)
        self._want()

    def _widen(self, step: int) -> None:
        """Suggest more, or less."""
        place = EXTENTS.index(self._extent) + step
        self._extent = EXTENTS[max(0, min(place, len(EXTENTS) - 1))]
        self._want()

    def _change_temperature(self, step: int) -> None:
        """Raise or lower the temperature."""
        wanted = round(self._config.temperature + step * _TEMPERATURE_STEP, 2)
        self._config = replace(self._config, temperature=max(0.0, min(wanted, _MOST_TEMPERATURE)))
        self._want()

    def _change_top_p(self, step: int) -> None:
        """Raise or lower top-p; 1 is without it."""
        wanted = round((1 if self._config.top_p is None else self._config.top_p) + step * _TOP_P_STEP, 2)
        self._config = replace(self._config, top_p=None if wanted >= 1 else max(wanted, _LEAST_TOP_P))
        self._want()

    def _change_seed(self) -> None:
        """Take another seed."""
        self._config, self._draw = replace(self._config, seed=random_seed()), 0
        self._want()

    def _change_voice(self) -> None:
        """Take the next voice."""
        if len(self._voices) == 1:
            self.say("there is one model; name several to switch between them")
            return
        self._chosen = (self._chosen + 1) % len(self._voices)
        self._likeliest, self._costs, self._copied = Likeliest((), ()), None, None
        self.bars.show((), self.voice.vocabulary.unit)
        self.editor.shade(None)
        self._want()

    def _toggle_writers(self) -> None:
        """Show who wrote what, or hide it."""
        self._shows_writers, _ = self.editor.toggle(writers=True)
        self.tell()

    def _toggle_costs(self) -> None:
        """Show what surprises the model, or hide it."""
        _, self._shows_costs = self.editor.toggle(costs=True)
        self.tell()

    def _undo(self, *, again: bool) -> None:
        """Take back the last step, or do the one again that was taken back."""
        if not self.editor.undo(again=again):
            self.say(f"there is nothing to {'redo' if again else 'undo'}")

    def _select_all(self) -> None:
        """Select all of the text."""
        self.editor.move(0)
        self.editor.move(len(self.desk.manuscript.text), selects=True)

    def copy(self) -> bool:
        """Copy the selection into the clipboard; False if there is none."""
        start, end = self.desk.manuscript.selection
        if start < end:
            self.app.copy_to_clipboard(self.desk.manuscript.text[start:end])
        return start < end

    def _cut(self) -> None:
        """Cut the selection out, into the clipboard."""
        if self.copy():
            self.editor.delete(0, 0)

    def _paste(self) -> None:
        """Write what was cut or copied here."""
        if self.app.clipboard:
            self.editor.write(self.app.clipboard)

    def _show_keys(self) -> None:
        """Show the keys."""
        self.app.push_screen(Keys())
